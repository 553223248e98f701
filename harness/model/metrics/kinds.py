"""The kinds of metric. Each says how its values are summarised, compared and written; nobody else asks which it is.

    ENERGY = Sampled(name="energy", unit="J", better="lower")
    PAGES = Exact(name="pages", unit="1", better="lower", tolerance=2)

Values that vary from call to call are `Sampled`: they get intervals, and a change is judged by statistics. Values that
a repetition gives again are `Exact`: they are compared directly, within a tolerance. Those of many units, such as the
documents of a text, are `Paired` (`harness.model.metrics.paired`). All are plain data, so that a run carries those that
it measures in its header.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

from harness.estimators.intervals import (
    ONE_ROUND,
    Comparison,
    Estimate,
    Rounds,
    Summary,
    extremes,
    mean,
    paired_ratio,
    ratio_sides,
    round_value,
    unpaired_ratio,
)
from harness.estimators.looks import CONFIDENCE
from harness.model.metrics.declaration import Declared
from harness.model.metrics.paired import Paired
from harness.model.units import NOT_KNOWN, amount, figure, is_known, percent_change, spread, supported_digits


class Sampled(Declared, frozen=True, kw_only=True, tag="sampled"):
    """A metric whose values vary from call to call: positive numbers, whose noise is a factor."""

    relative_tolerance: float = 0.0
    """The share by which it may get worse in a gate; 0 means the gate's own margin."""
    first_round_only: bool = False
    """Measured once a run: later rounds would find warm compile caches."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unit == "dB":
            raise ValueError(f"metric {self.name}: decibels have no ratios; declare it Exact, or in another unit")

    @property
    def repeats(self) -> bool:
        """Whether rounds after the first measure it again."""
        return not self.first_round_only

    @property
    def has_interval(self) -> bool:
        """Whether its values vary from round to round."""
        return self.repeats

    @property
    def portable(self) -> bool:
        """Never: another machine has other values."""
        return False

    def of_round(self, values: Sequence[float]) -> float:
        """The one value that stands for a round: the median."""
        return round_value(values)

    def summarise(self, rounds: Sequence[Sequence[float]], *, looked_at: bool = False) -> Summary:
        """The geometric mean over rounds, from the raw values of each, with Student's t interval on the logs.

        The bounds are NaN when fewer than two rounds have a positive value. `looked_at` says that the number of rounds
        was decided by looks at how narrow the interval was.
        """
        found = mean(rounds, looked_at=looked_at)
        warnings = self._doubts(found.warnings)
        return Summary(self.name, found.centre, found.lo, found.hi, CONFIDENCE, found.n, warnings)

    def compare(
        self, baseline: Rounds, candidate: Rounds, *, paired: bool = False, apart: bool = False, looked_at: bool = False
    ) -> Comparison:
        """Candidate over baseline, from the raw values by round.

        `paired` says that both sides took turns in the same rounds, `apart` that they did so in two processes.
        """
        if paired:
            sides = (ratio_sides(side, apart=apart) for side in (baseline, candidate))
            found = paired_ratio(*sides, looked_at=looked_at)
        else:
            found = unpaired_ratio(baseline, candidate, looked_at=looked_at)
        base, head = (self.summarise(_values(side)) for side in (baseline, candidate))
        return self.comparison(base, head, found, paired=paired)

    def comparison(self, baseline: Summary, candidate: Summary, found: Estimate, *, paired: bool) -> Comparison:
        """The two sides and the ratio that was `found` of them, with the doubts about all three."""
        warnings = (*self._doubts(found.warnings), *baseline.warnings, *candidate.warnings)
        told = tuple(dict.fromkeys(warnings)) if warnings else ()
        return Comparison(self.name, baseline, candidate, found.centre, found.lo, found.hi, paired, told)

    def format(self, summary: Summary) -> str:
        """`458 us ±1.2%`, `not known` where the interval says nothing, the bare amount where it is taken once a run."""
        if self.first_round_only:
            return amount(summary.centre, self.unit)
        if not is_known(summary.centre, summary.hi):
            return NOT_KNOWN
        digits = supported_digits(summary.centre, summary.hi)
        return f"{amount(summary.centre, self.unit, digits)} {spread(summary.centre, summary.hi)}"

    def spread(self, summary: Summary) -> str:
        """`±1.2%`; empty where there is no interval, and of what is not positive."""
        return spread(summary.centre, summary.hi) if self.repeats and not summary.centre <= 0 else ""

    def change(self, ratio: Comparison) -> str:
        """What became of a value: a percentage with its interval."""
        return percent_change(ratio.ratio - 1, ratio.lo - 1, ratio.hi - 1)

    def _doubts(self, warnings: tuple[str, ...]) -> tuple[str, ...]:
        """Of an estimate: nobody is asked for more rounds of what is taken in the first alone."""
        return warnings and tuple(text for text in warnings if text != ONE_ROUND or self.repeats)


class Exact(Declared, frozen=True, kw_only=True, tag="exact"):
    """A metric that a repetition gives again. Two values count as equal within its tolerances together."""

    tolerance: float = 0.0
    """Absolute, in the metric's unit."""
    relative_tolerance: float = 0.0
    """Times the value before."""
    machine_dependent: bool = False
    """Exact on one machine, but another's math library sums in another order or takes other scratch space."""

    @property
    def repeats(self) -> bool:
        """Never: a later round would give the same."""
        return False

    @property
    def has_interval(self) -> bool:
        """Never: there is no noise."""
        return False

    @property
    def portable(self) -> bool:
        """Whether unlike machines have the same value."""
        return not self.machine_dependent

    def of_round(self, values: Sequence[float]) -> float:
        """The value itself; of several the lower one in the middle, which may be infinite."""
        return extremes(values).centre

    def summarise(self, rounds: Sequence[Sequence[float]], *, looked_at: bool = False) -> Summary:
        """The value itself, which all rounds should share; if they do not, the smallest and the largest are the bounds.

        There is no noise, so that it does not matter when one looked.
        """
        del looked_at
        if len(rounds) == 1 and len(rounds[0]) == 1:  # the usual case, of hundreds of thousands in a large run
            (value,) = rounds[0]
            return Summary(self.name, value, value, value, CONFIDENCE, 1)
        centre, lo, hi, count, _ = extremes([value for values in rounds for value in values])
        same = lo == hi or math.isnan(centre) or all(self.is_same(one, centre) for one in (lo, hi))
        doubts = (
            () if same else (f"{self.name} should be exact and differs between rounds; look for what is random in it",)
        )
        return Summary(self.name, centre, lo, hi, CONFIDENCE, count, doubts)

    def compare(
        self, baseline: Rounds, candidate: Rounds, *, paired: bool = False, apart: bool = False, looked_at: bool = False
    ) -> Comparison:
        """Candidate over baseline: 1 for equal values, zeros and infinities included, else the quotient."""
        del paired, apart, looked_at
        base, head = (self.summarise(_values(side)) for side in (baseline, candidate))
        before, after = base.centre, head.centre
        ratio = 1.0 if before == after else after / before if before else math.nan
        warnings = tuple(dict.fromkeys([*base.warnings, *head.warnings]))
        return Comparison(self.name, base, head, ratio, ratio, ratio, paired=False, warnings=warnings)

    def is_same(self, before: float, after: float) -> bool:
        """Whether two values count as equal. NaN equals nothing, infinity equals itself."""
        if not (math.isfinite(before) and math.isfinite(after)):
            return before == after
        return abs(after - before) <= self.allowed(before)

    def allowed(self, before: float) -> float:
        """By how much a value that was `before` may differ and still count as equal, in the metric's unit."""
        relative = self.relative_tolerance * abs(before) if self.relative_tolerance and math.isfinite(before) else 0.0
        return self.tolerance + relative

    def format(self, summary: Summary) -> str:
        """The bare amount."""
        return amount(summary.centre, self.unit)

    def spread(self, summary: Summary) -> str:
        """Nothing."""
        del summary
        return ""

    def change(self, ratio: Comparison) -> str:
        """What became of a value: a percentage, for decibels a difference, empty where nothing changed."""
        before, after = ratio.baseline.centre, ratio.candidate.centre
        if before == after:
            return ""
        if self.unit == "dB" or not math.isfinite(ratio.ratio):
            return f"{after - before:+.3g} {self.unit}".removesuffix(" 1")
        percent = 100 * (ratio.ratio - 1)
        return f"{'-' if percent < 0 else '+'}{figure(abs(percent), 2)} %"


Metric: TypeAlias = Exact | Paired | Sampled
"""Any kind."""


def _values(rounds: Rounds) -> list[tuple[float, ...]]:
    return [taken.values for taken in rounds.values()]
