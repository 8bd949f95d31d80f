#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compiles headers on their own, so that none leans on what another file included before it.

A header that a source file of the product includes first has passed this test already: the build
compiled it with nothing before it. Only the other headers are compiled here. Sources of tests do not
count, because a precompiled header comes before them. Where the build joins source files (PNS_UNITY)
the builds that do not join them, such as the preset dev, are the test of these headers; headers of
tests are compiled there alone too.

usage: self_contained_headers.py ROOT COMPILE_COMMANDS COMPILER FLAG…
"""
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys


INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.M)


def built_first(root, compile_commands):
    """The headers, relative to root, that a source file of the product includes before all others."""
    tests = pathlib.Path(root, "tests").resolve()
    names = set()
    for command in json.loads(pathlib.Path(compile_commands).read_text()):
        source = pathlib.Path(command["directory"], command["file"]).resolve()
        if source.is_relative_to(tests):
            continue
        joined = INCLUDE.findall(source.read_text()) if source.match("Unity/unity_*.cxx") else [source]
        for each in joined:
            first = INCLUDE.search(pathlib.Path(each).read_text())
            if first:
                names.add(first.group(1))
    return names


def main():
    root, compile_commands, compiler, *flags = sys.argv[1:]
    built = built_first(root, compile_commands)
    joins = any("Unity/unity_" in command["file"]
                for command in json.loads(pathlib.Path(compile_commands).read_text()))
    folders = ("pns", "dataplane", "controlplane") + (() if joins else ("tests",))
    every = [p for top in folders
             for p in sorted(pathlib.Path(root, top).rglob("*.hpp"))]
    headers = [p for p in every if p.relative_to(root).as_posix() not in built]

    def check(header):
        name = header.relative_to(root).as_posix()
        run = subprocess.run([compiler, *flags, "-I", root, "-fsyntax-only", "-x", "c++", "-"],
                             input=f'#include "{name}"\n', text=True, capture_output=True)
        return name, run.returncode, run.stderr

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, status, errors in pool.map(check, headers):
            if status != 0:
                failed += 1
                print(f"{name} does not compile alone:\n{errors}")
    print(f"{len(every)} headers, {len(every) - len(headers)} of them first in a source file, "
          f"{len(headers)} compiled here, {failed} not self-contained")
    return 1 if failed or not headers or not built else 0


if __name__ == "__main__":
    sys.exit(main())
