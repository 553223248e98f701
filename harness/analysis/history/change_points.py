"""Where a series of numbers changes its level: PELT with a radial kernel proposes, a t test confirms.

The proposals are those of Killick, Fearnhead and Eckley (2012) with the kernel cost of Arlot, Celisse and Harchaoui
(2019), as `ruptures` computes them: they see short steps and pass over outliers, but noise that is correlated from run
to run looks like steps to them. So each is confirmed by Welch's test between the segments beside it, whose noise is
enlarged by the correlation of neighbours: of n runs with a correlation r, n (1 - r) / (1 + r) count (Bartlett 1946).
docs/experiments/history/change_points.py compares this with others, on steps that are known.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from harness.estimators.t_test import student

FEWEST = 4
"""Runs without which no change can be told: two on either side."""
_SHORTEST = 2
"""Runs of a segment."""
CONFIDENCE = 0.9999
"""Of the test that confirms a change. A history of a hundred cases asks it hundreds of times."""
INTERVAL = 0.95
"""Of the interval of a change's size."""
_PENALTY = 0.6
"""Of a change, times ln n. Lower than would do alone: more is proposed than is confirmed."""
_MOST_CORRELATED = 0.9
_FEWEST_COUNTED = 1.5
"""Independent runs that a segment stands for at least, however much its neighbours are alike."""


@dataclass(frozen=True)
class Step:
    """The level changes between two places of a series: `at - 1` is the last of before, `at` the first of after."""

    at: int
    size: float
    """Mean after less mean before, over the segments up to the changes beside it."""
    lo: float
    hi: float


def steps(values: Sequence[float] | np.ndarray) -> list[Step]:
    """The confirmed changes of a series of finite numbers, with their intervals at 95 %.

    Of durations give the logs, so that the size is the log of a ratio. Fewer than four values have none.
    """
    series = np.asarray(values, float)
    ends = [0, *proposed(series), len(series)]
    while len(ends) > 2:
        noise = _Noise.of(series, ends)
        found = [noise.between(series, *trio) for trio in zip(ends, ends[1:], ends[2:], strict=False)]
        weakest = min(range(len(found)), key=lambda index: found[index].certainty)
        if found[weakest].certainty >= 1:
            return [one.step for one in found]
        del ends[weakest + 1]
    return []


def proposed(series: np.ndarray) -> list[int]:
    """The first places of new levels, by PELT with a radial kernel; none where all is one."""
    if len(series) < FEWEST or np.ptp(series) == 0:
        return []
    import ruptures  # late: it is optional, and takes a second

    found = ruptures.KernelCPD(kernel="rbf", min_size=_SHORTEST).fit(series)
    return [int(end) for end in found.predict(pen=_PENALTY * math.log(len(series)))[:-1]]


@dataclass(frozen=True)
class _Found:
    step: Step
    certainty: float
    """How often the size is what would confirm it: 1 or more for a change that is kept."""


@dataclass(frozen=True)
class _Noise:
    """Of the values about the levels of their segments."""

    variance: float
    correlation: float

    @classmethod
    def of(cls, series: np.ndarray, ends: Sequence[int]) -> "_Noise":
        rest = np.concatenate([series[a:b] - series[a:b].mean() for a, b in pairwise(ends)])
        freedom = max(1, len(series) - len(ends) + 1)
        total = float(rest @ rest)
        correlation = float(rest[:-1] @ rest[1:]) / total if total else 0.0
        # Residuals about a mean of their own seem less alike than they are, by about 1 / n a segment (Kendall 1954).
        corrected = correlation + (len(ends) - 1) * (1 + 3 * max(correlation, 0.0)) / len(series)
        return cls(total / freedom, min(max(corrected, 0.0), _MOST_CORRELATED))

    def between(self, series: np.ndarray, start: int, at: int, end: int) -> _Found:
        sides = series[start:at], series[at:end]
        shrunk = (1 - self.correlation) / (1 + self.correlation)
        counted = [max(_FEWEST_COUNTED, len(side) * shrunk) for side in sides]
        spread = [max(self.variance / 4, float(side.var(ddof=1))) if len(side) > 8 else self.variance for side in sides]
        error = math.sqrt(sum(part / count for part, count in zip(spread, counted, strict=True)))
        freedom = max(1.0, len(series) * shrunk - 2)
        size = float(sides[1].mean() - sides[0].mean())
        needed = student(freedom, CONFIDENCE) * error
        half = student(freedom, INTERVAL) * error
        return _Found(Step(at, size, size - half, size + half), abs(size) / needed if needed else math.inf)
