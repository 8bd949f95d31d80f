#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""`pns-bench compare` over made-up result files: every verdict, every exit status. Nothing is timed.

usage: compare_test.py PNS-BENCH
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = sys.argv.pop(1)


def mppe(case, contender, low, median):
    return {"bench": "mppe", "case": case, "contender": contender, "min": low, "median": median}


def pipeline(case, whole, echo=None):
    row = {"bench": "pipeline", "case": case, "min": whole[0], "median": whole[1]}
    if echo:
        row["echo"] = {"min": echo[0], "median": echo[1]}
    return row


def results(rows, **others):
    return {"cpu": "made up", "tsc_ghz": 2.5, "core_ratio": 1.2, "unit": "TSC cycles a packet",
            "rows": rows, "goals": [], **others}


class Compare(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def write(self, name, content):
        path = pathlib.Path(self.folder.name, name)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    def compare(self, old, new, *options):
        """(exit status, stdout, stderr)"""
        done = subprocess.run([BENCH, "compare", self.write("old.json", old),
                               self.write("new.json", new), *options],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def verdict(self, old_rows, new_rows, name, *options):
        """(exit status, last word of the row of that name)"""
        status, out, err = self.compare(results(old_rows), results(new_rows), *options)
        lines = [line for line in out.splitlines() if line.startswith(name)]
        self.assertEqual(len(lines), 1, out + err)
        return status, lines[0].split()[-1]

    def raw(self, old, new, *options):
        return self.verdict([pipeline("a", old)], [pipeline("a", new)], "pipeline: a", *options)

    def test_the_same_twice_is_the_same(self):
        self.assertEqual(self.raw((100, 120), (100, 120)), (0, "same"))

    def test_slower_needs_minimum_and_median(self):
        self.assertEqual(self.raw((100, 120), (112, 135)), (1, "slower"))
        self.assertEqual(self.raw((100, 120), (100, 240)), (0, "same"))
        self.assertEqual(self.raw((100, 120), (200, 120)), (0, "same"))
        self.assertEqual(self.raw((100, 120), (109, 240)), (0, "same"))

    def test_faster_needs_minimum_and_median(self):
        self.assertEqual(self.raw((112, 135), (100, 120)), (0, "faster"))
        self.assertEqual(self.raw((112, 135), (111, 120)), (0, "same"))

    def test_the_tolerance_is_an_option(self):
        self.assertEqual(self.raw((100, 120), (106, 127), "--tolerance", "0.05"), (1, "slower"))
        self.assertEqual(self.raw((100, 120), (112, 135), "--tolerance", "0.2"), (0, "same"))

    def test_a_slower_host_cancels_out_by_echo(self):
        self.assertEqual(self.verdict([pipeline("a", (100, 120), (20, 30))],
                                      [pipeline("a", (200, 240), (40, 60))], "pipeline: a"),
                         (0, "same"))

    def test_a_faster_host_hides_nothing(self):
        self.assertEqual(self.verdict([pipeline("a", (100, 120), (40, 60))],
                                      [pipeline("a", (100, 120), (20, 30))], "pipeline: a"),
                         (1, "slower"))

    def test_the_echo_of_one_row_moves_no_verdict(self):
        old = [pipeline(name, (100, 120), (20, 30)) for name in "abc"]
        new = [pipeline("a", (100, 120), (10, 15)), *old[1:]]
        self.assertEqual(self.verdict(old, new, "pipeline: a"), (0, "same"))

    def test_without_an_echo_on_one_side_the_raw_factor_judges(self):
        self.assertEqual(self.verdict([pipeline("a", (100, 120), (40, 60))],
                                      [pipeline("a", (100, 120))], "pipeline: a"), (0, "same"))

    def test_a_slower_host_cancels_out_by_plain_of_the_same_case(self):
        def rows(plain, avx2, other):
            return [mppe("x", "plain", plain, plain), mppe("x", "avx2", avx2, avx2),
                    mppe("y", "plain", other, other), mppe("y", "avx2", 50, 50)]
        old, new = rows(1000, 200, 100), rows(2000, 400, 100)
        self.assertEqual(self.verdict(old, new, "mppe: x avx2"), (0, "same"))
        self.assertEqual(self.verdict(old, new, "mppe: x plain"), (0, "reference"))
        new[1] = mppe("x", "avx2", 480, 480)
        self.assertEqual(self.verdict(old, new, "mppe: x avx2"), (1, "slower"))
        self.assertEqual(self.verdict(old, new, "mppe: y avx2"), (1, "same"))

    def test_both_factors_are_printed(self):
        _, out, _ = self.compare(results([pipeline("a", (100, 100), (20, 20))]),
                                 results([pipeline("a", (300, 300), (40, 40))]))
        self.assertRegex(out, r"pipeline: a +100/100 +300/300 +3\.00/3\.00 +1\.50/1\.50 +slower")

    def test_the_worst_comes_first(self):
        _, out, _ = self.compare(
            results([pipeline(name, (100, 100)) for name in "abc"]),
            results([pipeline("a", (90, 90)), pipeline("b", (120, 120)), pipeline("c", (150, 150))]))
        order = [line.split()[1] for line in out.splitlines() if line.startswith("pipeline:")]
        self.assertEqual(order, ["c", "b", "a"])

    def test_what_is_in_one_file_only_is_told_and_no_regression(self):
        both = pipeline("both", (100, 100))
        status, out, _ = self.compare(results([both, pipeline("gone", (1, 1))]),
                                      results([both, pipeline("come", (1, 1))]))
        self.assertEqual(status, 0)
        self.assertRegex(out, r"pipeline: gone +only in OLD")
        self.assertRegex(out, r"pipeline: come +only in NEW")

    def goals(self, old, new, key="goal"):
        row = [pipeline("a", (100, 100))]
        return self.compare(results(row, goals=[{key: "quick", "met": met} for met in old]),
                            results(row, goals=[{key: "quick", "met": met} for met in new]))[:2]

    def test_a_goal_that_is_met_no_longer_is_a_regression(self):
        for key in ("goal", "name"):
            status, out = self.goals([True], [False], key)
            self.assertEqual(status, 1)
            self.assertIn("goal LOST: quick", out)

    def test_other_goals_are_none(self):
        for old, new, text in (([False], [True], "goal reached: quick"), ([True], [True], ""),
                               ([False], [False], ""), ([True], [], "goal only in OLD: quick"),
                               ([], [False], "goal only in NEW: quick (missed)")):
            status, out = self.goals(old, new)
            self.assertEqual(status, 0, out)
            self.assertIn(text, out)

    def test_another_machine_is_warned_of(self):
        rows = [pipeline("a", (100, 100))]
        for change, text in (({"cpu": "another"}, "another CPU: made up before, another now"),
                             ({"tsc_ghz": 3.0}, "another TSC: 2.50 GHz before, 3.00 GHz now"),
                             ({"core_ratio": 1.0}, "another clock"),
                             ({"huge_pages": True}, "huge pages in one of the two runs only"),
                             ({"frames": [{"state": "memory"}, {"state": "llc"}]},
                              "other states of frames: unknown before, memory, llc now"),
                             ({"hosts": ["all"]}, "other hosts: unknown before, all now")):
            status, out, _ = self.compare(results(rows), results(rows, **change))
            self.assertEqual(status, 0)
            self.assertIn("warning: " + text, out)
        self.assertNotIn("warning", self.compare(results(rows), results(rows))[1])

    def test_rows_without_a_cost_are_told_of(self):
        rows = [pipeline("a", (100, 100)), {"bench": "scale", "case": "b"}]
        status, out, _ = self.compare(results(rows), results(rows))
        self.assertEqual(status, 0)
        self.assertIn("1 rows of the new file have no min and median", out)

    def test_files_that_are_not_comparable_are_named(self):
        good = results([pipeline("a", (100, 100))])
        for bad, text in (("{", "parse error"), ("[]", "at()"), ({"rows": []}, "'cpu' not found"),
                          (results([]), "has no row with min and median"),
                          (results([pipeline("a", (0, 0))]), "has no row with min and median"),
                          (results([pipeline("a", ("1", 1))]), "type must be number"),
                          (results([{"min": 1, "median": 1}]), "not found"),
                          (results(good["rows"] * 2), "pipeline: a is there twice"),
                          (results(good["rows"], goals=[{"met": True}]), "'goal' not found"),
                          (results(good["rows"], unit="ns"), "the units differ"),
                          (results([pipeline("b", (1, 1))]), "have no row in common")):
            for pair in ((good, bad), (bad, good)):
                status, _, err = self.compare(*pair)
                self.assertEqual(status, 2, (bad, err))
                self.assertIn(text, err)

    def test_a_file_that_is_not_there(self):
        done = subprocess.run([BENCH, "compare", self.write("old.json", results([])), "nowhere.json"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        done = subprocess.run([BENCH, "compare", "nowhere.json", "nowhere.json"],
                              capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr.strip()),
                         (2, "pns-bench: nowhere.json: cannot be opened"))


if __name__ == "__main__":
    unittest.main()
