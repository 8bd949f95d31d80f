#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The slope test on series whose growth is known."""
import math
import random
import sys
import unittest

from slope import Bound, Slope, block_medians, fit, judge

SHARE = Bound(share=0.01)
NONE = Bound()


def series(level, per_hour, noise, minutes=30, seed=1, step=10, disturbance=0.0):
    """A sample each 10 s: a level, its growth, normal noise, and a disturbance of 20 s in every 90 s."""
    chance = random.Random(seed)
    points = []
    for time_s in range(0, minutes * 60, step):
        value = level + per_hour * time_s / 3600 + chance.gauss(0, noise)
        if time_s % 90 < 20:
            value += disturbance
        points.append((time_s, value))
    return points


class SlopeTest(unittest.TestCase):
    def complaint(self, points, bound, **options):
        return judge("control: memory", "KiB", points, bound, **options)[1]

    def test_the_slope_of_a_line_is_exact(self):
        slope = fit(series(1000, 36, 0))
        self.assertIsInstance(slope, Slope)
        self.assertAlmostEqual(slope.per_hour, 36, places=6)
        self.assertAlmostEqual(slope.low, 36, places=6)
        self.assertAlmostEqual(slope.high, 36, places=6)

    def test_flat_with_noise_passes(self):
        for seed in range(200):
            self.assertIsNone(self.complaint(series(40_000, 0, 200, seed=seed), SHARE), seed)

    def test_flat_with_noise_and_a_bound_of_nothing_passes(self):
        wrong = [seed for seed in range(400)
                 if self.complaint(series(3000, 0, 5, seed=seed), NONE)]
        self.assertLessEqual(len(wrong), 2)

    def test_a_leak_of_two_percent_an_hour_fails_in_half_an_hour_of_noise(self):
        for seed in range(50):
            words = self.complaint(series(40_000, 800, 60, seed=seed), SHARE)
            self.assertIsNotNone(words, seed)
            self.assertRegex(words, r"^control: memory grows by \d+(\.\d+)? KiB an hour \(at least ")

    def test_growth_below_the_bound_passes(self):
        for seed in range(50):
            self.assertIsNone(self.complaint(series(40_000, 200, 60, seed=seed), SHARE), seed)

    def test_two_percent_an_hour_shows_in_a_whole_hour_of_more_noise(self):
        for seed in range(50):
            self.assertIsNotNone(
                self.complaint(series(40_000, 800, 200, minutes=60, seed=seed), SHARE), seed)

    def test_one_descriptor_in_five_minutes_fails(self):
        points = [(t, 52 + t // 300) for t in range(0, 1800, 10)]
        self.assertIsNotNone(self.complaint(points, NONE))

    def test_a_number_that_never_changes_passes(self):
        self.assertIsNone(self.complaint([(t, 7) for t in range(0, 1800, 10)], NONE))

    def test_one_step_early_in_the_part_passes_and_steps_that_repeat_fail(self):
        one = [(t, 40_000 + (800 if t > 300 else 0)) for t in range(0, 1800, 10)]
        self.assertIsNone(self.complaint(one, SHARE))
        many = [(t, 40_000 + 200 * (t // 300)) for t in range(0, 1800, 10)]
        self.assertIsNotNone(self.complaint(many, SHARE))

    def test_disturbances_shorter_than_a_block_are_no_growth(self):
        for seed in range(50):
            self.assertIsNone(
                self.complaint(series(40_000, 0, 60, seed=seed, disturbance=9000), SHARE), seed)

    def test_shrinking_passes(self):
        self.assertIsNone(self.complaint(series(40_000, -9000, 60), SHARE))

    def test_samples_that_are_missing_change_nothing(self):
        chance = random.Random(3)
        points = [p for p in series(40_000, 800, 60) if chance.random() > 0.3]
        self.assertIsNotNone(self.complaint(points, SHARE))

    def test_too_short_a_part_is_not_judged(self):
        slope, complaint = judge("x", "KiB", series(1000, 9000, 0, minutes=7), NONE)
        self.assertIsNone(slope)
        self.assertIsNone(complaint)
        self.assertIsNotNone(judge("x", "KiB", series(1000, 9000, 0, minutes=8), NONE)[1])

    def test_the_resolution_is_what_the_noise_allows(self):
        quiet, loud = fit(series(40_000, 0, 20)), fit(series(40_000, 0, 200))
        self.assertLess(quiet.resolution, loud.resolution)
        self.assertLess(quiet.resolution, 400)  # 1 % of the level
        self.assertTrue(math.isfinite(loud.resolution))

    def test_a_block_is_its_median(self):
        self.assertEqual(block_medians([(0, 1), (10, 100), (20, 2), (60, 5)], 60), [(10, 2), (60, 5)])


if __name__ == "__main__":
    sys.exit(unittest.main())
