#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Compiles every header on its own, so that none leans on what another file included before it.

usage: self_contained_headers.py ROOT COMPILER FLAG…
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys


def main():
    root, compiler, *flags = sys.argv[1:]
    headers = [p for top in ("pns", "dataplane", "controlplane", "tests")
               for p in sorted(pathlib.Path(root, top).rglob("*.hpp"))]

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
    print(f"{len(headers)} headers, {failed} not self-contained")
    return 1 if failed or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
