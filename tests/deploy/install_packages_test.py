#!/usr/bin/env python3
"""deploy/install-packages on a machine that is made up: dpkg-query, apt-get, id and sudo are scripts of this test."""
import os
import pathlib
import subprocess
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "install-packages"


class InstallPackages(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.bin = pathlib.Path(folder.name)
        self.calls = self.bin / "calls"
        for tool in ("bash", "awk", "readlink", "dirname", "env"):
            (self.bin / tool).symlink_to(subprocess.check_output(["which", tool], text=True).strip())
        self.tool("id", "echo 0")
        self.tool("apt-get", f'echo "$@" >>{self.calls}')
        self.installed("g++", "cmake")

    def tool(self, name, text):
        (self.bin / name).write_text(f"#!{os.path.realpath('/bin/bash')}\n{text}\n")
        (self.bin / name).chmod(0o755)

    def installed(self, *names):
        self.tool("dpkg-query", f'for last; do :; done; case " {" ".join(names)} " in *" $last "*) printf installed ;; *) exit 1 ;; esac')

    def run_script(self, *words):
        return subprocess.run([SCRIPT, *words], capture_output=True, text=True, env={"PATH": str(self.bin)}, timeout=50)

    def everything(self):
        return [line.split()[0] for line in (SCRIPT.parent / "packages.txt").read_text().splitlines() if line and line[0] not in "#["]

    def test_what_is_there_is_not_installed_again(self):
        done = self.run_script("build")
        self.assertEqual(done.returncode, 0, done.stderr)
        install = [line for line in self.calls.read_text().splitlines() if " install " in line][0].split()
        self.assertIn("ninja-build", install)
        self.assertNotIn("g++", install)
        self.assertNotIn("libgtest-dev", install)

    def test_nothing_is_called_when_all_is_there(self):
        self.installed(*self.everything())
        done = self.run_script("build", "demo", "test")
        self.assertEqual((done.returncode, done.stdout), (0, "packages: all there\n"))
        self.assertFalse(self.calls.exists())

    def test_a_command_may_stand_for_its_package(self):
        self.installed(*[name for name in self.everything() if name not in ("npm", "nodejs")])
        self.tool("npm", "")
        self.tool("node", "")
        self.assertEqual(self.run_script("test").stdout, "packages: all there\n")

    def test_a_dry_run_installs_nothing(self):
        done = self.run_script("--dry-run", "demo")
        self.assertEqual(done.returncode, 0)
        self.assertIn("mate-backgrounds", done.stdout)
        self.assertFalse(self.calls.exists())

    def test_without_root_and_sudo_it_says_what_to_do(self):
        self.tool("id", "echo 1000")
        done = self.run_script("demo")
        self.assertEqual(done.returncode, 1)
        self.assertIn("apt-get install --no-install-recommends mate-backgrounds", done.stderr)

    def test_without_root_it_uses_sudo(self):
        self.tool("id", "echo 1000")
        self.tool("sudo", f'echo "sudo $@" >>{self.calls}')
        self.assertEqual(self.run_script("demo").returncode, 0)
        self.assertTrue(all(line.startswith("sudo ") for line in self.calls.read_text().splitlines()))

    def test_a_failure_of_apt_get_is_a_failure(self):
        self.tool("apt-get", 'case "$*" in *install*) echo "E: no room"; exit 100 ;; esac')
        done = self.run_script("demo")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no room", done.stdout)

    def test_an_unknown_section_is_refused(self):
        self.assertEqual(self.run_script("nonsense").returncode, 2)
        self.assertEqual(self.run_script().returncode, 2)


if __name__ == "__main__":
    unittest.main()
