#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The record of fuzz runs, and that docs/fuzzing.md shows what docs/fuzz-totals.csv has."""
import pathlib
import sys
import tempfile
import unittest

import totals

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"


class TotalsTest(unittest.TestCase):
    def test_runs_add_up_and_outlive_the_process(self):
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory, "totals.csv")
            known = totals.read(path)
            self.assertEqual(known, {})
            known.setdefault("config", totals.Total()).add(100, 60, 7, False, "2026-11-30")
            known.setdefault("config", totals.Total()).add(20, 30, 5, True, "2026-11-29")
            totals.write(path, known)
            self.assertEqual(totals.read(path), {"config": totals.Total(120, 90, 7, 1, "2026-11-30")})
            self.assertEqual([child.name for child in path.parent.iterdir()], ["totals.csv"])

    def test_the_table_shows_targets_and_their_sum(self):
        lines = totals.table({"a": totals.Total(250_000_000, 3600, 1200, 0, "x"),
                              "b": totals.Total(1, 1800, 9, 2, "y")}).splitlines()
        self.assertEqual(lines[2], "| a | 250,000,000 | 1.00 | 1,200 | 0 | x |")
        self.assertEqual(lines[-1], "| all | 250,000,001 (25.0 % of 10^9) | 1.50 | | 2 | |")

    def test_the_page_is_what_the_record_says(self):
        page = (DOCS / "fuzzing.md").read_text(encoding="utf-8")
        self.assertEqual(totals.update_page(page, totals.read(DOCS / "fuzz-totals.csv")), page,
                         "tests/fuzz/run --record writes both")


if __name__ == "__main__":
    sys.exit(unittest.main())
