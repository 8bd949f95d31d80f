#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Static cycles of a step of the RC4 kernels by LLVM's models of CPUs, for CPUs that are not at hand.

usage: tools/rc4_static.py [BUILD-DIRECTORY]      (default: build)
Needs llvm-mca-14 (package llvm-14). The models know ports and latencies. They know neither the
width of stores nor dependences through memory, so they flatter both forms, the bytes more.
"""
import pathlib
import re
import subprocess
import sys

CPUS = ("znver2", "znver3", "icelake-server")
OCTETS = 16  # of each stream in one turn of the loop


def instructions(path, name):
    """[(address, text)] of a function."""
    done = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "-M", "intel", f"--disassemble={name}",
                           str(path)], stdout=subprocess.PIPE, text=True, check=True)
    found = (re.match(r"\s+([0-9a-f]+):\s+(.*)", line) for line in done.stdout.splitlines())
    return [(int(m[1], 16), m[2].split("#")[0].split("<")[0].strip()) for m in found if m]


def longest_loop(listing):
    """The instructions of the longest loop, without its jumps."""
    loops = []
    for address, text in listing:
        jump = re.match(r"j\w+\s+([0-9a-f]+)\b", text)
        if jump and int(jump[1], 16) <= address:
            loops.append([t for a, t in listing if int(jump[1], 16) <= a < address])
    body = max(loops, key=len)
    return [text for text in body if not re.match(r"j\w+\s", text)]


def cycles(body, cpu):
    done = subprocess.run(["llvm-mca-14", "-mtriple=x86_64", f"-mcpu={cpu}", "-iterations=100"],
                          input="\n".join([".intel_syntax noprefix", *body, ""]),
                          stdout=subprocess.PIPE, text=True, check=True)
    return int(re.search(r"Total Cycles:\s+(\d+)", done.stdout)[1]) / 100


def main():
    build = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build")
    forms = {"words": ("rc4_words.S.o", "pns_rc4_words_generate_"), "bytes": ("rc4_lanes.S.o", "pns_rc4_generate_")}
    for form, (file, prefix) in forms.items():
        path = next(build.rglob(file))
        for streams in (1, 6):
            body = longest_loop(instructions(path, f"{prefix}{streams}"))
            steps = OCTETS * streams
            print(f"{form}, {streams} streams: " + ", ".join(
                f"{cpu} {cycles(body, cpu) / steps:.2f}" for cpu in CPUS) + " cycles a step")


if __name__ == "__main__":
    main()
