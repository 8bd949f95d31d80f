#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""deploy/packages-runtime lists the package of each library that the executables are linked with, and no other.

usage: packages_test.py DEPLOY/PACKAGES-RUNTIME EXECUTABLE...
Exit status 77: not on Debian.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

LIST, *EXECUTABLES = sys.argv[1:]
# Every Debian has them, or a sanitizer brings them.
ASSUMED = re.compile(r"libc6|libgcc-s1|lib[a-z]+san\d+")
# DPDK loads these by name when it starts.
LOADED = re.compile(r"librte-(net|bus|mempool)-.*")


def output(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def listed():
    lines = (line.partition("#")[0].strip() for line in pathlib.Path(LIST).read_text().splitlines())
    return [line for line in lines if line]


def package_of(library):
    places = re.findall(rf"^\s*{re.escape(library)} \(libc6,x86-64[^)]*\) => (\S+)", output("ldconfig", "-p"), re.M)
    real = os.path.realpath(places[0])
    for path in (real, real.removeprefix("/usr"), f"/usr{real}"):
        found = subprocess.run(["dpkg-query", "-S", path], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    raise AssertionError(f"no package has {real}")


class Packages(unittest.TestCase):
    def test_what_the_executables_are_linked_with_is_listed_and_nothing_else(self):
        libraries = {match for each in EXECUTABLES
                     for match in re.findall(r"NEEDED\s+(\S+)", output("objdump", "-p", each))}
        linked = {package_of(library) for library in libraries if not library.startswith("ld-linux")}
        linked = {name for name in linked if not ASSUMED.fullmatch(name)}
        # The bonding driver is linked, and a driver that EAL loads too.
        self.assertLessEqual(linked, set(listed()))
        self.assertLessEqual({name for name in listed() if not LOADED.fullmatch(name)}, linked)

    def test_no_package_is_listed_twice(self):
        self.assertEqual(sorted(listed()), sorted(set(listed())))


if __name__ == "__main__":
    if shutil.which("dpkg-query") is None:
        print("skipped: not on Debian", file=sys.stderr)
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
