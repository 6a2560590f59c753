#!/usr/bin/env python3
"""Every text with which a public header refuses a mistake is tested: a case of puma_mistakes() (cmake/PumaMistakes.cmake) expects it.

usage: check_mistakes.py TREE      exit code 0: all are; 1: some are not (each is printed with its file)
"""
import pathlib
import re
import sys

ASSERTION = re.compile(r"static_assert\((.*?)\);", re.DOTALL)
LITERALS = re.compile(r'"((?:[^"\\]|\\.)*)"')
CASE = re.compile(r"^#(?:el)?if defined\([A-Z_]+\) *// (.+)$", re.MULTILINE)


def main(tree):
    mistakes = [path for path in (tree / "tests").rglob("*.cc") if "mistakes" in path.relative_to(tree).as_posix()]
    expected = [text.strip() for path in mistakes for text in CASE.findall(path.read_text())]
    untested = []
    for header in sorted((tree / "worker/include/puma").glob("*.h")):
        for assertion in ASSERTION.findall(header.read_text()):
            text = "".join(LITERALS.findall(assertion))
            if not any(begin in text for begin in expected):
                untested.append(f"{header.relative_to(tree)}: no test expects: {text or assertion}")
    print("\n".join(untested), end="\n" if untested else "")
    return 1 if untested or not expected else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
