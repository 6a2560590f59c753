#!/usr/bin/env python3
"""The include check finds what is planted, and only that."""
import pathlib
import tempfile
import unittest

import check_includes


class CheckIncludes(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.tree = pathlib.Path(self.folder.name)
        self.write("table", "worker/buffer: absl posix\nworker/runner: worker/buffer\nserver: worker/runner grpc\ntests: *\n")

    def write(self, path, text):
        (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / path).write_text(text)

    def wrong(self):
        return check_includes.check(self.tree, check_includes.read_table(self.tree / "table"))[0]

    def test_what_the_table_allows_is_no_finding(self):
        self.write("worker/buffer/a.h", '#include <vector>\n#include <cstdint>\n#include "absl/time/time.h"\n#include <sys/mman.h>\n#include "worker/buffer/b.h"\n')
        self.write("server/a.cc", '#include "worker/runner/a.h"\n#include <grpcpp/server.h>\n')
        self.assertEqual(self.wrong(), [])

    def test_an_include_outwards_is_found_with_file_and_line(self):
        self.write("worker/buffer/a.h", '#include <vector>\n#include "server/a.h"\n')
        self.assertEqual(self.wrong(), ["worker/buffer/a.h:2: worker/buffer may not include server (server/a.h)"])

    def test_a_foreign_library_in_the_wrong_room_is_found(self):
        self.write("worker/buffer/a.cc", "#include <grpcpp/server.h>\n")
        self.assertIn("may not include grpc", self.wrong()[0])

    def test_a_system_call_in_the_wrong_room_is_found(self):
        self.write("worker/runner/a.cc", "#  include <sys/mman.h>\n")
        self.assertIn("may not include posix", self.wrong()[0])

    def test_an_include_by_relative_path_is_resolved(self):
        self.write("server/inner.h", "")
        self.write("worker/runner/a.cc", '#include "../../server/inner.h"\n')
        self.assertEqual(len(self.wrong()), 1)

    def test_an_unknown_library_is_found(self):
        self.write("worker/buffer/a.cc", "#include <libmystery/mystery.h>\n")
        self.assertIn("no library that is known", self.wrong()[0])

    def test_a_file_without_a_room_is_found(self):
        self.write("client/new/a.cc", "")
        self.assertEqual(self.wrong(), ["client/new/a.cc: belongs to no room of the table"])

    def test_tests_may_include_anything_that_is_known(self):
        self.write("tests/a.cc", '#include <grpcpp/server.h>\n#include <gtest/gtest.h>\n#include "server/a.h"\n')
        self.assertEqual(self.wrong(), [])


if __name__ == "__main__":
    unittest.main()
