"""From raw values to intervals: pure functions, on the logs of one value per round.

The independent unit is the round, a fresh process: samples of one process share its memory layout and its luck, and
treating them as independent makes intervals several times too short. Logs, because noise on a duration is a factor.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from harness.estimators.looks import CONFIDENCE, LOOKED_AT
from harness.estimators.sample_mean import Difference
from harness.estimators.t_test import student, variance, welch


class Taken(Protocol):
    """Values, and the block that each was taken in: a stored measurement, or a timing that was just made."""

    @property
    def values(self) -> tuple[float, ...]:
        """In the order taken."""

    @property
    def blocks(self) -> tuple[int, ...]:
        """One a value, or none at all."""


Rounds: TypeAlias = Mapping[int, Taken]
"""Raw values by round."""


class Summary(msgspec.Struct, frozen=True):
    """One metric of one case over its rounds: centre and a confidence interval."""

    metric: str
    centre: float
    lo: float
    hi: float
    confidence: float
    n: int
    """Independent values behind the interval: rounds, or units of a paired metric."""
    warnings: tuple[str, ...] = ()


class Comparison(msgspec.Struct, frozen=True):
    """Candidate over baseline for one metric. A `ratio` of 1.1 means the candidate's value is 10 % larger."""

    metric: str
    baseline: Summary
    candidate: Summary
    ratio: float
    lo: float
    hi: float
    paired: bool
    """Whether both sides were measured in the same rounds, or of the same units, and differences within were tested."""
    warnings: tuple[str, ...] = ()
    difference: Difference | None = None
    """Of a paired metric, which is judged by it."""

    @property
    def inverse(self) -> tuple[float, float, float]:
        """Baseline over candidate with its bounds; of durations the speed-up. NaN where there is none."""
        centre, lo, hi = (1 / value if value > 0 else math.nan for value in (self.ratio, self.hi, self.lo))
        return centre, lo, hi


FEW = 3
"""Blocks, of which the one in the middle can be told."""

ONE_ROUND = "one round: no interval; measure 3 rounds or more (--rounds 3)"
NO_COMMON_ROUND = "no round has both sides: nothing to pair; measure both in one run"


def round_value(values: Sequence[float]) -> float:
    """The one value that stands for a round: the median. NaN when a value is not finite."""
    if not all(map(math.isfinite, values)):
        return math.nan
    return values[0] if len(values) == 1 else statistics.median(values)


def round_logs(rounds: Rounds) -> dict[int, float]:
    """The log of the one value that stands for each round, by round; those that have none are left out."""
    logs = {number: _log(round_value(taken.values)) for number, taken in rounds.items()}
    return {number: log for number, log in logs.items() if not math.isnan(log)}


class RatioSide(NamedTuple):
    """One side of the ratio of a round, on the log scale: made once, and held against as many others as there are."""

    whole: float
    """Of the one value that stands for the round; NaN where there is none."""
    blocks: Mapping[int, float]
    """By block."""

    @classmethod
    def of(cls, taken: Taken, *, apart: bool = False) -> "RatioSide":
        """Of a block the mean of its samples' logs, which were taken within a fraction of a second of each other.

        `apart` says that the sides of the ratio ran in two processes. The first samples after one has given way to the
        other then find threads asleep and caches full of the other's data, so that a block's lowest sample takes the
        place of its mean (docs/how-it-works/decision.md).
        """
        return cls(_log(round_value(taken.values)), _by_block(taken, min if apart else statistics.fmean))

    def over(self, baseline: "RatioSide") -> float:
        """Log of this side over `baseline`: the midmean of what the blocks that have both say.

        What slows the machine down for longer than a block cancels. The midmean leaves out the lowest and the highest
        quarter, blocks that something shorter has spoilt. Where there are too few blocks to leave one out, it is the
        ratio of the medians of all samples. results/estimators.md says how this was chosen.
        """
        common = self.blocks.keys() & baseline.blocks.keys() if self.blocks else ()
        if len(common) < FEW:
            return self.whole - baseline.whole
        return midmean([self.blocks[block] - baseline.blocks[block] for block in common])


def ratio_sides(rounds: Rounds, *, apart: bool = False) -> dict[int, RatioSide]:
    """One side of the ratio of every round; `apart` as in `RatioSide.of`."""
    return {number: RatioSide.of(taken, apart=apart) for number, taken in rounds.items()}


def log_ratio(baseline: Taken, candidate: Taken, *, apart: bool = False) -> float:
    """Logarithm of candidate over baseline in one round, as of `RatioSide.over`."""
    base, head = (RatioSide.of(side, apart=apart) for side in (baseline, candidate))
    return head.over(base)


def midmean(values: Sequence[float]) -> float:
    """Mean of the middle half, of three values or more without the lowest and the highest; NaN if one of them is."""
    if any(map(math.isnan, values)):
        return math.nan
    cut = max(len(values) // 4, 1 if len(values) > 2 else 0)
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def _by_block(measurement: Taken, of_block: Callable[[Sequence[float]], float]) -> dict[int, float]:
    """What stands for the logs of each block's values, by block."""
    logs: dict[int, list[float]] = {}
    for block, value in zip(measurement.blocks, measurement.values, strict=False):  # old records have no blocks
        logs.setdefault(block, []).append(_log(value))
    return {block: of_block(values) for block, values in logs.items()}


class Estimate(NamedTuple):
    """A centre with its bounds, NaN where there is none, and what to say of rounds that do not count."""

    centre: float
    lo: float
    hi: float
    n: int
    """Rounds behind it; of a ratio those that have both sides, or those of both sides together."""
    warnings: tuple[str, ...]


def mean(rounds: Iterable[Sequence[float]], *, looked_at: bool = False) -> Estimate:
    """The geometric mean over rounds with Student's t interval on the logs (Student 1908), from the values of each.

    `looked_at` says that the number of rounds was decided by looks at how narrow the interval was.
    """
    values = [round_value(values) for values in rounds if values]
    logs, warnings = _usable(map(_log, values))
    centre, lo, hi = _interval(logs, _level(looked_at))
    if len(logs) == 1:  # as it was measured, not as it comes back from its logarithm
        centre = next(value for value in values if not math.isnan(_log(value)))
    return Estimate(centre, lo, hi, len(logs), tuple(warnings))


def paired_ratio(
    baseline: Mapping[int, RatioSide], candidate: Mapping[int, RatioSide], *, looked_at: bool = False
) -> Estimate:
    """Candidate over baseline from the rounds that have both: Student's t on the logs of the rounds' ratios.

    What a round does to both sides alike cancels.
    """
    common = [side.over(baseline[number]) for number, side in candidate.items() if number in baseline]
    logs, warnings = _usable(common)
    if not common:
        warnings.append(NO_COMMON_ROUND)
    return Estimate(*_interval(logs, _level(looked_at)), len(logs), tuple(warnings))


def unpaired_ratio(baseline: Rounds, candidate: Rounds, *, looked_at: bool = False) -> Estimate:
    """Candidate over baseline from separate rounds: Welch's t on the logs, with Satterthwaite's degrees of freedom.

    Welch 1947, "The generalization of Student's problem when several different population variances are involved".
    """
    base, warnings = _usable([_log(round_value(taken.values)) for taken in baseline.values()])
    head, more = _usable([_log(round_value(taken.values)) for taken in candidate.values()])
    shift = statistics.fmean(head) - statistics.fmean(base) if base and head else math.nan
    interval = (_exp(shift), math.nan, math.nan)
    if len(base) > 1 and len(head) > 1:
        interval = _around(shift, *welch(base, head), _level(looked_at))
    return Estimate(*interval, len(base) + len(head), (*warnings, *more))


def extremes(values: Sequence[float]) -> Estimate:
    """What all of `values` should be, with the smallest and the largest as bounds; NaN when one is or there is none."""
    if not values or any(map(math.isnan, values)):
        return Estimate(math.nan, math.nan, math.nan, len(values), ())
    return Estimate(statistics.median_low(values), min(values), max(values), len(values), ())


def rounds_needed(n: int, half_width: float, target: float, confidence: float = CONFIDENCE, *, sides: int = 2) -> int:
    """How many rounds a side bring the half width of an interval (on the logs) down to `target`.

    `half_width` is what `n` rounds a side gave; `unpaired_ratio` has two sides, `paired_ratio` one. Supposes that the
    noise stays as it is; 1000 means that many or more.
    """
    noise = half_width * math.sqrt(n) / student(sides * (n - 1), confidence)
    candidates = range(n + 1, 1000)
    return next((k for k in candidates if noise * student(sides * (k - 1), confidence) <= target * math.sqrt(k)), 1000)


def _level(looked_at: bool) -> float:
    """The confidence that Student's quantile is taken at, so that the interval holds with CONFIDENCE."""
    return LOOKED_AT if looked_at else CONFIDENCE


def _log(value: float) -> float:
    return math.log(value) if 0 < value < math.inf else math.nan


def _usable(logs: Iterable[float]) -> tuple[list[float], list[str]]:
    """The logs that are numbers, and what to say of the others."""
    given = list(logs)
    usable = [log for log in given if log == log]  # NaN alone is not itself
    warnings = []
    if len(usable) < len(given):
        lost = len(given) - len(usable)
        warnings.append(f"{lost} of {len(given)} rounds left out: not a positive number; measure again")
    if len(usable) == 1:
        warnings.append(ONE_ROUND)
    return usable, warnings


def _interval(logs: Sequence[float], confidence: float) -> tuple[float, float, float]:
    if len(logs) < 2:
        return _exp(logs[0]) if logs else math.nan, math.nan, math.nan
    error = math.sqrt(variance(logs) / len(logs))
    return _around(statistics.fmean(logs), error, len(logs) - 1, confidence)


def _around(centre: float, error: float, freedom: float, confidence: float) -> tuple[float, float, float]:
    half = student(freedom, confidence) * error
    return _exp(centre), _exp(centre - half), _exp(centre + half)


def _exp(exponent: float) -> float:
    return math.inf if exponent > 709 else math.exp(exponent)
