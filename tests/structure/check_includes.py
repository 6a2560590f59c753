#!/usr/bin/env python3
"""Compares every #include of a source tree with its include table.

usage: check_includes.py TREE TABLE      exit code 0: all fit; 1: some do not (each is printed with file and line); 2: the table is wrong
"""
import os.path
import pathlib
import re
import sys

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
OURS = ("worker/", "server/", "client/", "proto/", "tests/")
STANDARD_C = {name + ".h" for name in "assert ctype errno float inttypes limits locale math setjmp signal stdarg stddef stdint stdio stdlib string time wchar".split()}
# What a foreign header's path begins with, and what we call it.
LIBRARIES = [
    ("absl/", "absl"), ("fmt/", "fmt"), ("boost/", "boost"), ("nlohmann/", "json"), ("google/protobuf/", "protobuf"), ("google/rpc/", "protobuf"),
    ("grpc", "grpc"), ("spdlog/", "spdlog"), ("sqlite3", "sqlite"), ("openssl/", "openssl"), ("yaml-cpp/", "yaml"), ("CLI/", "cli11"), ("gtest/", "gtest"),
    ("gmock/", "gtest"), ("benchmark/", "benchmark"), ("jpeglib.h", "jpeg"), ("png.h", "png"), ("zmq.h", "zmq"), ("relacy/", "relacy"), ("cxxabi.h", "standard"), ("unwind.h", "posix"),
]
POSIX = re.compile(r"^(sys|linux|arpa|netinet|asm)/|^(unistd|fcntl|poll|sched|pthread|dlfcn|spawn|mqueue|link|execinfo|dirent|pwd|grp|ucontext|"
                   r"termios|elf|sysexits|syscall|semaphore|getopt|libgen|netdb|strings|malloc|features)\.h$")


def read_table(path):
    """The rooms, longest path first, with what each may include; None: anything."""
    rooms = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        room, colon, allowed = line.partition(":")
        if not colon or room.strip() in rooms:
            sys.exit(print(f"{path}:{number}: not of the form 'room: what it may include', or the room stands there twice", file=sys.stderr) or 2)
        rooms[room.strip()] = None if allowed.strip() == "*" else set(allowed.split())
    return rooms


def room_of(path, rooms):
    fitting = [room for room in rooms if path == room or path.startswith(room + "/")]
    return max(fitting, key=len, default=None)


def name_of(included, quoted, folder, tree, rooms):
    """The room or library that an included path belongs to; None: unknown."""
    if quoted and (tree / folder / included).exists():
        return room_of(os.path.normpath(f"{folder}/{included}"), rooms)
    if re.match(r"puma/v1/.*\.grpc\.pb\.h$", included):
        return "proto/grpc"
    if re.match(r"puma/v1/.*\.pb\.h$", included):
        return "proto"
    if included.startswith("puma/client/"):
        return "client/include/puma/client"
    if included.startswith("puma/"):
        return "worker/include/puma"
    if included.startswith(OURS):
        return room_of(included, rooms)
    for prefix, library in LIBRARIES:
        if included.startswith(prefix):
            return library
    if POSIX.match(included):
        return "posix"
    if "." not in included and "/" not in included or included in STANDARD_C:
        return "standard"
    return None


def check(tree, rooms):
    wrong, checked, used = [], 0, set()
    for file in sorted(tree.rglob("*")):
        path = file.relative_to(tree).as_posix()
        if file.suffix not in (".h", ".cc") or not path.startswith(OURS):
            continue
        room = room_of(path, rooms)
        if room is None:
            wrong.append(f"{path}: belongs to no room of the table")
            continue
        used.add(room)
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            checked += 1
            name = name_of(match[2], match[1] == '"', file.parent.relative_to(tree).as_posix(), tree, rooms)
            if name is None:
                wrong.append(f"{path}:{number}: {match[2]} belongs to no room and no library that is known")
            elif name not in ("standard", room) and rooms[room] is not None and name not in rooms[room]:
                wrong.append(f"{path}:{number}: {room} may not include {name} ({match[2]})")
    return wrong, checked, used


def main(tree, table):
    rooms = read_table(pathlib.Path(table))
    wrong, checked, used = check(pathlib.Path(tree), rooms)
    print("\n".join(wrong + [f"{checked} includes of {len(used)} rooms, {len(wrong)} against the table"]))
    return 1 if wrong or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 3 else print(__doc__) or 2)
