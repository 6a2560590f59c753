#!/usr/bin/env python3
"""Installs a build to a prefix of its own and uses it as a user would.

usage: package_test.py --build DIR --source DIR --compiler CXX --generator NAME [TEST...]
"""
import argparse
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

FENCE = re.compile(r"^```\w+\n(?://|#) ([\w.]+\.\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WATCHDOG_S = 120
options = argparse.Namespace()


def run(*words, **more):
    """The standard output of a command that succeeds."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=500, **more)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, words))}\nended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def readme_files():
    """The files that README.md shows: code whose first line is a comment with a file's name."""
    return dict(FENCE.findall((options.source / "README.md").read_text()))


class PackageTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="puma-package."))
        self.addCleanup(shutil.rmtree, self.folder)
        self.prefix = self.folder / "prefix"
        run("cmake", "--install", options.build, "--prefix", self.prefix)

    def build_module(self, name, source):
        """A module built outside of the tree; its path."""
        build = self.folder / (name + "-build")
        run("cmake", "-S", source, "-B", build, "-G", options.generator, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={options.compiler}",
            "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror -O1")
        run("cmake", "--build", build)
        module = build / (name + ".so")
        self.assertTrue(module.exists(), f"{module} was not built")
        self.assertIn(f"puma_module_{name}", module.read_bytes().decode("latin-1"))
        return module

    def hello(self):
        """The folder with the README's first runnable."""
        folder = self.folder / "hello"
        folder.mkdir()
        for name, text in readme_files().items():
            (folder / name).write_text(text)
        return folder

    def test_the_example_module_builds_against_an_install(self):
        source = self.folder / "edges"
        shutil.copytree(options.source / "worker/examples/edges", source)
        self.build_module("edges", source)

    def test_the_example_program_builds_and_runs_against_an_install(self):
        source = self.folder / "squares"
        shutil.copytree(options.source / "worker/examples/squares", source)
        build = self.folder / "squares-build"
        run("cmake", "-S", source, "-B", build, "-G", options.generator, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={options.compiler}",
            "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror -O1")
        run("cmake", "--build", build)
        for kind in ("threads", "processes"):
            self.assertIn(f"add up to 385, between {kind}", run(build / "squares", kind, "10"))

    def test_the_example_client_builds_and_runs_against_an_install(self):
        source = self.folder / "control"
        source.mkdir()
        shutil.copy(options.source / "client/examples/control.cc", source)
        readme = (options.source / "client/examples/README.md").read_text()
        (source / "CMakeLists.txt").write_text(re.search(r"^```cmake\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL).group(1))
        build = self.folder / "control-build"
        run("cmake", "-S", source, "-B", build, "-G", options.generator, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={options.compiler}",
            "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror -O1")
        run("cmake", "--build", build)
        (self.folder / "spec.json").write_text('{"pipeline": "p"}')
        words = [str(build / "control"), f"unix:{self.folder}/nobody.sock", str(self.folder / "spec.json"), "p/t", "go"]
        alone = subprocess.run(words, capture_output=True, text=True, timeout=WATCHDOG_S)
        self.assertNotEqual(alone.returncode, 0)
        self.assertIn("start one with: puma-host", alone.stdout + alone.stderr)

    def test_the_readmes_logging_works_from_an_install(self):
        readme = (options.source / "README.md").read_text()
        program = re.search(r"^## Logging$.*?^```cpp\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL).group(1)
        source = self.folder / "logging"
        source.mkdir()
        (source / "main.cc").write_text(program)
        (source / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.25)\nproject(imaging LANGUAGES CXX)\nfind_package(puma REQUIRED)\n"
                                               "add_executable(imaging main.cc)\ntarget_link_libraries(imaging puma::puma)\n")
        build = self.folder / "logging-build"
        run("cmake", "-S", source, "-B", build, "-G", options.generator, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={options.compiler}",
            "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror -O1")
        run("cmake", "--build", build)
        run(build / "imaging", cwd=self.folder)
        files = list((self.folder / "logs").glob("imaging_*.000001.log"))
        self.assertEqual(len(files), 1)
        self.assertRegex(files[0].read_text(), r" DEBUG imaging imaging\.sobel \d+ main\.cc:main:\d+ 12 edges in pumas\.png\n$")

    def run_tests_of(self, source, expected):
        """Builds a project outside of the tree and runs its tests with ctest."""
        build = self.folder / (source.name + "-build")
        run("cmake", "-S", source, "-B", build, "-G", options.generator, f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={options.compiler}",
            "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror -O0")
        run("cmake", "--build", build)
        said = run("ctest", "--test-dir", build, "--output-on-failure")
        self.assertIn(f"100% tests passed, 0 tests failed out of {expected}", said)

    def test_a_users_tests_build_and_pass_against_an_install(self):
        source = self.folder / "averager"
        shutil.copytree(options.source / "worker/examples/averager", source)
        self.run_tests_of(source, (source / "averager_test.cc").read_text().count("\nTEST("))

    def test_the_readmes_unit_test_passes(self):
        source = self.hello()
        with open(source / "CMakeLists.txt", "a") as cmake:
            cmake.write((source / "hello_test.cmake").read_text())
        self.run_tests_of(source, 1)

    def test_the_readmes_first_runnable_builds(self):
        self.assertLess(len(readme_files()["hello.cc"].splitlines()), 40)
        self.build_module("hello", self.hello())

    def test_the_package_names_nothing_of_this_tree(self):
        files = [file for pattern in ("include/**/*.h", "lib/**/cmake/puma/*.cmake") for file in self.prefix.glob(pattern)]
        self.assertTrue(files)
        for file in files:
            self.assertNotIn(str(options.source), file.read_text(), file)

    def test_the_readmes_first_runnable_runs(self):
        folder = self.hello()
        module = self.build_module("hello", folder)
        address = f"unix:{self.folder}/puma.sock"
        with open(self.folder / "host.txt", "w") as said:
            host = subprocess.Popen([self.prefix / "bin/puma-host", "--state-dir", self.folder / "state", "--socket", self.folder / "puma.sock", "--modules",
                                     module.parent, "--log-file", self.folder / "puma.log"], stdout=said, stderr=said)
        self.addCleanup(self.end, host)

        def ctl(*words):
            return run(self.prefix / "bin/puma-ctl", "--host", address, *words)

        self.wait_for(lambda: ctl("get", "pipelines") is not None, host)
        ctl("apply", "-f", folder / "hello.yaml", "--wait")
        log = self.folder / "puma.log"
        self.wait_for(lambda: "hello, world" in log.read_text(), host)
        ctl("call", "hello/greeter", "set_name", "name=PUMA")
        self.wait_for(lambda: "hello, PUMA" in log.read_text(), host)
        self.assertIn("hello/greeter", ctl("get", "tasks"))
        self.assertIn("puma.Exec", ctl("get", "types"))  # of the module that every host has

    def wait_for(self, condition, host):
        deadline = time.monotonic() + WATCHDOG_S
        while True:
            try:
                if condition():
                    return
                last = "not yet true"
            except (AssertionError, OSError) as error:
                last = error
            if host.poll() is not None or time.monotonic() > deadline:
                self.fail(f"{last}\nthe host said:\n{(self.folder / 'host.txt').read_text()}")
            time.sleep(0.1)

    def end(self, host):
        host.send_signal(signal.SIGTERM)
        try:
            host.wait(60)
        except subprocess.TimeoutExpired:
            host.kill()
            host.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--source", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--generator", required=True)
    options, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest])
