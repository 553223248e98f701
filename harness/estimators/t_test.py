"""How far one side lies from the other on the log scale, and what independent rounds let one say of it."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

POWER = 0.9
"""How often an effect that is called detectable is to be detected."""
_MOST = 1000
"""Rounds beyond which nobody counts."""


@dataclass(frozen=True)
class LogRatio:
    """The mean of the logs of head over base, its standard error, and the degrees of freedom of that."""

    mean: float
    error: float
    freedom: float
    rounds: int

    @classmethod
    def paired(cls, logs: Sequence[float]) -> "LogRatio | None":
        """From one log ratio a round; None where fewer than two are numbers."""
        usable = [log for log in logs if math.isfinite(log)]
        if len(usable) < 2:
            return None
        error = math.sqrt(variance(usable) / len(usable))
        return cls(statistics.fmean(usable), error, len(usable) - 1, len(usable))

    @classmethod
    def between(cls, base: Sequence[float], head: Sequence[float]) -> "LogRatio | None":
        """From separate rounds of either side (Welch 1947); None where a side has fewer than two."""
        sides = [[log for log in side if math.isfinite(log)] for side in (base, head)]
        if min(map(len, sides)) < 2:
            return None
        error, freedom = welch(*sides)
        return cls(statistics.fmean(sides[1]) - statistics.fmean(sides[0]), error, freedom, min(map(len, sides)))

    def above(self, limit: float) -> float:
        """P value of the hypothesis that the truth is at most `limit`: small where rounds lie well above it."""
        return _tail(self.mean - limit, self.error, self.freedom)

    def below(self, limit: float) -> float:
        """P value of the hypothesis that the truth is at least `limit`: small where rounds lie well below it."""
        return _tail(limit - self.mean, self.error, self.freedom)

    def half_width(self, confidence: float) -> float:
        """Of the two-sided interval."""
        return student(self.freedom, confidence) * self.error

    def detectable(self, limit: float, level: float) -> float:
        """The truth that would be found to be above `limit` at `level` in nine of ten repetitions."""
        quantiles = student(self.freedom, 1 - 2 * level) + student(self.freedom, 2 * POWER - 1)
        return limit + quantiles * self.error

    def rounds_needed(self, limit: float, level: float) -> int:
        """How many rounds would part the mean from `limit` at `level`, if mean and noise stay; 1000 is that or more."""
        distance, noise = abs(limit - self.mean), self.error * math.sqrt(self.rounds)
        candidates = range(max(self.rounds, 2), _MOST)
        return next((n for n in candidates if student(n - 1, 1 - 2 * level) * noise <= distance * math.sqrt(n)), _MOST)


def _tail(distance: float, error: float, freedom: float) -> float:
    """Probability that Student's t with `freedom` exceeds distance over error."""
    if error == 0:
        return 0.0 if distance > 0 else 1.0
    from scipy.special import stdtr  # late: a quarter of a second, and not needed for exact metrics

    return float(stdtr(freedom, -distance / error))


def variance(values: Sequence[float]) -> float:
    """Of a sample of two or more. `statistics.variance` computes in fractions, which takes a hundred times as long."""
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def welch(base: Sequence[float], head: Sequence[float]) -> tuple[float, float]:
    """Standard error of the difference of means, and its degrees of freedom (Satterthwaite)."""
    parts = [variance(side) / len(side) for side in (base, head)]
    weight = sum(part**2 / (len(side) - 1) for part, side in zip(parts, (base, head), strict=True))
    freedom = sum(parts) ** 2 / weight if weight else len(base) + len(head) - 2.0
    return math.sqrt(sum(parts)), freedom


@cache
def student(freedom: float, confidence: float) -> float:
    """Student's quantile of a two-sided interval: how many standard errors it reaches to either side."""
    from scipy.special import stdtrit  # late: a quarter of a second, and not needed for exact metrics

    return float(stdtrit(freedom, 0.5 + confidence / 2))


def resolvable(noise: float, level: float, rounds: int) -> float:
    """The least margin with which unchanged code is found to be ok in nine of ten gates of so many rounds."""
    quantiles = student(rounds - 1, 1 - 2 * level) + student(rounds - 1, 2 * POWER - 1)
    return math.expm1(quantiles * noise / math.sqrt(rounds))


def detectable(noise: float, margin: float, level: float, rounds: int) -> float:
    """The least slowdown that nine of ten gates find to be above `margin` at `level`, at the look after `rounds`."""
    quantiles = student(rounds - 1, 1 - 2 * level) + student(rounds - 1, 2 * POWER - 1)
    return math.expm1(math.log1p(margin) + quantiles * noise / math.sqrt(rounds))
