# SPDX-License-Identifier: BSD-3-Clause
"""The slope test: does a resource grow? Theil-Sen's slope over the medians of blocks, and Sen's
confidence interval of it (P. K. Sen, 1968). A resource has grown when the whole interval lies above
the bound, so noise alone fails no run; docs/soak.md explains the choice."""
import dataclasses
import math
import statistics

BLOCK_SECONDS = 60  # longer than a disturbance, so that one of them moves no median by itself
LEAST_BLOCKS = 8
# Two-sided 99.9 %: with twenty resources a run fails by chance less than once in a hundred times.
Z = 3.29


@dataclasses.dataclass
class Slope:
    """Of one resource, in its unit an hour."""

    level: float    # median of the judged part
    per_hour: float
    low: float      # the confidence interval
    high: float
    blocks: int

    @property
    def resolution(self):
        """The smallest growth an hour that this run could have shown."""
        return self.per_hour - self.low


@dataclasses.dataclass
class Bound:
    """What a resource may grow an hour: a share of its level, or a number of its unit."""

    share: float = 0.0
    units: float = 0.0

    def of(self, level):
        return self.share * abs(level) + self.units

    def __str__(self):
        if self.share:
            return f"{self.share * 100:g} %"
        return f"{self.units:g}"


def block_medians(points, block_seconds):
    """(middle time, median) of each block of the points (time_s, value)."""
    blocks = {}
    for time_s, value in points:
        blocks.setdefault(int(time_s // block_seconds), []).append((time_s, value))
    return [(statistics.median(t for t, _ in block), statistics.median(v for _, v in block))
            for _, block in sorted(blocks.items())]


def fit(points, block_seconds=BLOCK_SECONDS):
    """The slope of (time_s, value) points; None where there are too few."""
    medians = block_medians(points, block_seconds)
    count = len(medians)
    if count < LEAST_BLOCKS:
        return None
    slopes = sorted((v2 - v1) / (t2 - t1) * 3600 for i, (t1, v1) in enumerate(medians)
                    for t2, v2 in medians[i + 1:])
    pairs = len(slopes)
    spread = Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    first = max(0, int((pairs - spread) / 2))
    last = min(pairs - 1, int(math.ceil((pairs + spread) / 2)))
    return Slope(level=statistics.median(v for _, v in medians), per_hour=statistics.median(slopes),
                 low=slopes[first], high=slopes[last], blocks=count)


def judge(name, unit, points, bound, block_seconds=BLOCK_SECONDS):
    """(slope, complaint): the complaint is None when the resource has not grown, or the part is too
    short to tell, for which the slope is None too."""
    slope = fit(points, block_seconds)
    if slope is None:
        return None, None
    allowed = bound.of(slope.level)
    if slope.low <= allowed:
        return slope, None
    return slope, (f"{name} grows by {slope.per_hour:.4g} {unit} an hour (at least {slope.low:.4g}), from "
                   f"a level of {slope.level:.6g}; {bound} an hour may be")
