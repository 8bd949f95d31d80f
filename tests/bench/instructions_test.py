#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts the instructions of the burst engine's AVX2 variant under callgrind, with each form of RC4: a bar that noise
does not move.

usage: instructions_test.py PNS-BENCH
valgrind 3.19 knows neither AVX-512 nor the SHA instructions, and hides them from the program. Prints instructions a
packet; exit status 1 when one is above its bar, 77 without valgrind or without AVX2.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

ROUNDS = 20
PACKETS = 32
# contender → octets → most instructions for a packet, sealed, 32 sessions with one packet each
BARS = {"avx2-bytes": {64: 4400, 1400: 14600}, "avx2-words": {64: 5050, 1400: 15500}}


def instructions(bench, contender, octets):
    """Instructions that MppeEngine::run() and what it calls take for a packet."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=pns::dataplane::MppeEngine::run*",
             "--callgrind-out-file=" + os.path.join(folder, "out"), bench, "mppe", "--rounds", str(ROUNDS),
             "--only", contender, "--filter", f"stateless/seal/{octets}/32x32"],
            text=True, capture_output=True)
    if "no contender" in run.stderr:
        sys.exit(77)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not collected or collected[1] == "0":
        sys.exit(f"callgrind failed:\n{run.stderr}")
    return int(collected[1]) / ROUNDS / PACKETS


def main():
    if shutil.which("valgrind") is None:
        return 77
    failed = 0
    for contender, bars in BARS.items():
        for octets, bar in bars.items():
            count = instructions(sys.argv[1], contender, octets)
            print(f"{contender}, {octets} octets: {count:.0f} instructions a packet, at most {bar}")
            failed |= count > bar
    return failed


if __name__ == "__main__":
    sys.exit(main())
