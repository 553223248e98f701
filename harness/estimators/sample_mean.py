"""The mean over units (documents, queries, seeds) with its interval, and the mean difference over the same units.

The units are the sample: an evaluation is deterministic, so that measuring again tells nothing of other documents.
Of few units the interval is Student's t (1908), of many the bias-corrected and accelerated bootstrap (Efron 1987,
"Better bootstrap confidence intervals"), which follows a skewed sample; docs/numbers/paired.md says where either is
right more often. The mean of zeros and ones is a share and has the interval of Wilson (1927).
"""

import math
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from harness.estimators.looks import CONFIDENCE
from harness.estimators.t_test import student, variance

MANY = 100
"""Units from which on the bootstrap holds its level at least as well as Student's t, whatever the sample looks like."""
HUGE = 5000
"""Units from which on the mean is near enough to Gaussian, and the bootstrap's jackknife would take seconds."""
RESAMPLES = 2000
_AT_ONCE = 1_000_000
"""Values that are resampled at once, which bounds the memory."""
_MOST = 1_000_000
"""Units beyond which nobody counts."""
_LARGEST = 1e150
"""What is beyond has no square."""


class Interval(NamedTuple):
    """A mean with its bounds, which are NaN where there are none."""

    centre: float
    lo: float
    hi: float


class Difference(msgspec.Struct, frozen=True):
    """The mean over the same units of candidate less baseline, in the metric's unit, with its interval."""

    centre: float
    lo: float
    hi: float
    units: int
    alike: int
    """Units of which both sides have the same value."""
    deviation: float
    """The sample standard deviation of the differences; NaN of fewer than two units, and where one is not finite."""

    @classmethod
    def of(cls, baseline: Sequence[float], candidate: Sequence[float]) -> "Difference":
        """Of values unit by unit. Equal values differ by 0, infinities too.

        Where every unit is alike the interval is 0, however few they are: nothing has changed that could vary. One unit
        has no interval otherwise. Raises ValueError where the sides are not equally many.
        """
        differences = [
            0.0 if before == after else after - before for before, after in zip(baseline, candidate, strict=True)
        ]
        alike = differences.count(0.0)
        deviation = math.sqrt(variance(differences)) if len(differences) > 1 and _are_numbers(differences) else math.nan
        interval = Interval(0.0, 0.0, 0.0) if alike == len(differences) else _interval(differences)
        return cls(*interval, len(differences), alike, deviation)

    def needed(self, limit: float) -> int:
        """How many units would part the mean from `limit`, in the metric's unit, if mean and deviation stay.

        A million is that or more; 0 is not known.
        """
        if not math.isfinite(self.deviation):
            return 0
        distance = abs(limit - self.centre)

        def is_parted(count: int) -> bool:
            return student(count - 1, CONFIDENCE) * self.deviation <= distance * math.sqrt(count)

        counts = range(max(self.units, 2), _MOST)
        return max(self.units, 2) + bisect_left(counts, True, key=is_parted)


def sample_mean(values: Sequence[float]) -> Interval:
    """The mean of at least one value. It has no bounds where all values are equal, as one value alone has none: that
    they are the same here does not say how far others are off.
    """
    first, *others = values
    if all(value == first for value in others):
        return Interval(first, math.nan, math.nan)
    if {*values} == {0.0, 1.0}:
        return _share(values)
    return _interval(values)


def _interval(values: Sequence[float]) -> Interval:
    """Of Student's t or of the bootstrap. Values that are equal have one of no width, one value alone has none."""
    if not _are_numbers(values):
        centre = sum(value / len(values) for value in values)  # NaN also where there are infinities of either sign
        bound = centre if math.isinf(centre) else math.nan
        return Interval(centre, bound, bound)
    centre = statistics.fmean(values)
    if len(values) < 2:
        return Interval(centre, math.nan, math.nan)
    if MANY <= len(values) < HUGE and min(values) < max(values):
        found = _bootstrapped(values)
        if found is not None:
            return Interval(centre, *found)
    half = student(len(values) - 1, CONFIDENCE) * math.sqrt(variance(values) / len(values))
    return Interval(centre, centre - half, centre + half)


def _are_numbers(values: Sequence[float]) -> bool:
    return all(-_LARGEST < value < _LARGEST for value in values)


def _bootstrapped(values: Sequence[float]) -> tuple[float, float] | None:
    """The bounds, the same whenever they are computed; None where the values are too much alike for the method."""
    import numpy as np  # late: not needed for anything that is timed
    from scipy import stats  # late: a third of a second

    found = stats.bootstrap(
        (np.array(values),),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, _AT_ONCE // len(values)),
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    bounds = float(found.low), float(found.high)
    return bounds if all(map(math.isfinite, bounds)) else None


def _share(values: Sequence[float]) -> Interval:
    from scipy.stats import binomtest  # late: a third of a second

    found = binomtest(round(sum(values)), len(values)).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(statistics.fmean(values), float(found.low), float(found.high))
