#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Many kills: the case of kill_test.py that kills planes at random instants under calls that come and
go, once for each seed and condition. Prints one line for each run and a table at the end.
Exit status: 0 no call was lost and every run passed, 1 not so, 77 a precondition is missing."""
import argparse
import os
import pathlib
import random
import re
import subprocess
import sys

CASE = "test_4_kills_at_random_instants_while_calls_come_and_go"
CONDITIONS = {
    "idle": {},
    "busy": {"PNS_KILL_BUSY": "1"},
    "loss": {"PNS_KILL_LOSS": "2%"},
}
SOURCE = pathlib.Path(__file__).resolve().parents[2]


def last_number(pattern, text):
    """The number in the last match; 0 where there is none."""
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def run(condition, seed, options):
    """One run: (exit status, kills, calls that came and went, calls lost)"""
    environment = {**os.environ, "PNS_KILL_BUSY": "0", "PNS_KILL_LOSS": "", **CONDITIONS[condition],
                   "PNS_KILL_SEED": str(seed), "PNS_KILLS": str(options.kills),
                   "PNS_TEST_LOGS": str(options.logs / condition)}
    done = subprocess.run(
        [sys.executable, "-B", str(pathlib.Path(__file__).with_name("kill_test.py")), "--ports", "tap",
         "--binaries", str(options.binaries), CASE],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", check=False)
    out = done.stdout
    if done.returncode not in (0, 77):
        options.logs.mkdir(parents=True, exist_ok=True)
        log = options.logs / f"{condition}-{seed}.log"
        log.write_text(out)
        told = [line for line in out.splitlines()
                if line.startswith("--- ") or re.match(r"\w*(Error|Exception)\b", line)]
        print("\n".join([*told, f"--- its output: {log}"]), flush=True)
    return (done.returncode, last_number(r"(\d+) kills, both planes", out),
            last_number(r'"churned": (\d+)', out), last_number(r'"lost_calls": (\d+)', out))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="10", help="how many, or a list: 1105905701,7 (default 10)")
    parser.add_argument("--kills", type=int, default=200, help="of each run")
    parser.add_argument("--conditions", default=",".join(CONDITIONS), help="of " + ", ".join(CONDITIONS))
    parser.add_argument("--binaries", type=pathlib.Path, default=SOURCE / "build" / "bin")
    parser.add_argument("--logs", type=pathlib.Path, default=SOURCE / "build" / "test-logs",
                        help="where runs that fail leave their logs")
    options = parser.parse_args()
    if "," in options.seeds or int(options.seeds) > 1000:
        seeds = [int(seed) for seed in options.seeds.split(",")]
    else:
        seeds = [random.SystemRandom().randrange(1, 2**31) for _ in range(int(options.seeds))]
    rows = {}
    failed = False
    for seed in seeds:
        for condition in options.conditions.split(","):
            status, kills, churned, lost = run(condition, seed, options)
            if status == 77:
                print("a precondition is missing", file=sys.stderr)
                return 77
            failed |= status != 0
            print(f"{condition} seed {seed}: {kills} kills, {churned} calls came and went, {lost} lost, "
                  f"exit status {status}", flush=True)
            row = rows.setdefault(condition, [0, 0, 0, 0, 0])
            rows[condition] = [a + b for a, b in zip(row, (1, kills, churned, lost, int(status != 0)))]
    print("\n| condition | runs | kills | calls that came and went | lost | runs that failed |")
    print("|---|---|---|---|---|---|")
    for condition, row in rows.items():
        print(f"| {condition} | " + " | ".join(f"{n:,}" for n in row) + " |")
    return 1 if failed or any(row[3] for row in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
