"""The kind of metric whose values are those of units: the documents of a text, the queries, the seeds of a training.

    PERPLEXITY = Paired(name="bits_per_byte", unit="bit/B", better="lower", tolerance=0.01)

A workload returns a tuple of one value a unit, in an order that is the same wherever the case is measured. An
evaluation gives them again when it is repeated, so that they are measured once a run. Two runs are compared unit by
unit: what makes a document hard makes it hard for both sides, and cancels.

Every unit counts as much as any other. Where a rate is over units of unlike size (bits per byte over documents), a
suite cuts them to equal size, so that their mean is the rate over all of them.

A suite tells which units it has by the fact `units` of its cases, such as a digest of the texts: two results with
unlike ones, or with unlike numbers of units, are not compared.
"""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from harness.estimators.intervals import Comparison, Rounds, Summary
from harness.estimators.looks import CONFIDENCE
from harness.estimators.sample_mean import Difference, Interval, sample_mean
from harness.model.metrics.declaration import Declared
from harness.model.units import amount, signed_amount, with_spread

UNITS = "units"
"""The fact that says of which units the values of a case are."""

ANSWERS = 50
"""Right and wrong answers below which an interval of their difference misses the truth far too often."""

PairedWord: TypeAlias = Literal["worse", "better", "ok", "undecided"]


class Paired(Declared, frozen=True, kw_only=True, tag="paired"):
    """A metric with a value a unit, compared unit by unit. The mean may get worse by its tolerances together."""

    tolerance: float = 0.0
    """Absolute, in the metric's unit."""
    relative_tolerance: float = 0.0
    """Times the mean before."""

    @property
    def repeats(self) -> bool:
        """Never: a later round would give the same."""
        return False

    @property
    def has_interval(self) -> bool:
        """Always: over its units."""
        return True

    @property
    def portable(self) -> bool:
        """Always: another machine rounds otherwise, which moves a mean over units less than any tolerance."""
        return True

    @property
    def is_never_negative(self) -> bool:
        """Never refused: a divergence of equals may be rounded to just below 0."""
        return False

    def of_round(self, values: Sequence[float]) -> float:
        """The mean over units."""
        return sample_mean(values).centre

    def summarise(self, rounds: Sequence[Sequence[float]], *, looked_at: bool = False) -> Summary:
        """The mean over units, of the first round, with its interval; see `harness.estimators.sample_mean`.

        The bounds are NaN where all units have one value. The number of units was decided by nobody who looked.
        """
        del looked_at
        if not rounds or not rounds[0]:
            return Summary(self.name, math.nan, math.nan, math.nan, CONFIDENCE, 0)
        values = rounds[0]
        warnings = []
        if lost := sum(map(math.isnan, values)):
            warnings.append(f"{self.name}: {lost} of {len(values)} units are not a number, so that the mean is none")
        if infinite := sum(map(math.isinf, values)):
            warnings.append(f"{self.name}: {infinite} of {len(values)} units are infinite, so that the mean is")
        if any(_differ(values, other) for other in rounds[1:]):
            warnings.append(f"{self.name} differs between rounds, the first one counts; look for what is random in it")
        return Summary(self.name, *sample_mean(values), CONFIDENCE, len(values), tuple(warnings))

    def compare(
        self, baseline: Rounds, candidate: Rounds, *, paired: bool = False, apart: bool = False, looked_at: bool = False
    ) -> Comparison:
        """Candidate against baseline unit by unit, with the ratio of their means.

        The ratio has the interval of the difference, over the baseline's mean; NaN where that is not positive. Raises
        ValueError where the sides have not equally many units.
        """
        del paired, apart, looked_at
        before, after = ([taken.values for taken in side.values()] for side in (baseline, candidate))
        base, head = self.summarise(before), self.summarise(after)
        found = Difference.of(before[0], after[0])
        is_doubtful = found.alike < found.units < ANSWERS and {*before[0], *after[0]} == {0.0, 1.0}
        few = [self._too_few()] if is_doubtful else []
        warnings = tuple(dict.fromkeys([*base.warnings, *head.warnings, *few]))
        return Comparison(self.name, base, head, *_ratio(found, base.centre), True, warnings, found)

    def allowed(self, before: float) -> float:
        """By how much the mean, which was `before`, may get worse, in the metric's unit."""
        relative = self.relative_tolerance * abs(before) if self.relative_tolerance and math.isfinite(before) else 0.0
        return self.tolerance + relative

    def word(self, found: Comparison) -> PairedWord:
        """What the interval of the mean difference says of the mean.

        `worse`: it lies beyond what is allowed; `ok`: within; `better`: beyond as much on the other side; `undecided`:
        across, or there is none. Raises ValueError for a comparison of another kind of metric.
        """
        if found.difference is None:
            raise ValueError(f"{found.metric} was not compared unit by unit")
        lo, hi = found.difference.lo, found.difference.hi
        least, most = (lo, hi) if self.better == "lower" else (-hi, -lo)
        allowed = self.allowed(found.baseline.centre)
        if least > allowed:
            return "worse"
        if most < -allowed:
            return "better"
        return "ok" if most <= allowed else "undecided"

    def format(self, summary: Summary) -> str:
        """`1.023 ±0.012 bit/B`; the bare amount where there is no interval."""
        return " ".join(filter(None, with_spread(summary.centre, summary.lo, summary.hi, self.unit)))

    def spread(self, summary: Summary) -> str:
        """Half the interval, `±0.012`, in the metric's unit; empty where there is none."""
        return with_spread(summary.centre, summary.lo, summary.hi, self.unit)[1]

    def change(self, found: Comparison) -> str:
        """The mean difference with its interval, in the metric's unit; empty where nothing changed."""
        one = found.difference
        if one is None or one.alike == one.units:
            return ""
        return signed_amount(one.centre, one.lo, one.hi, self.unit)

    def _too_few(self) -> str:
        return f"{self.name}: fewer than {ANSWERS} right and wrong answers say little of others; take more"


def difference_words(found: Difference, unit: str) -> str:
    """`+0.012 [+0.004, +0.020] bit/B`, or that all units are alike."""
    if found.alike == found.units:
        return f"the same on {'all ' * (found.units > 1)}{found.units} unit{'s' * (found.units > 1)}"
    return signed_amount(found.centre, found.lo, found.hi, unit)


def tolerance_words(allowed: float, unit: str) -> str:
    """`0.01 bit/B is tolerated`."""
    return f"{amount(allowed, unit)} is tolerated" if allowed else "nothing is tolerated"


def _ratio(found: Difference, before: float) -> Interval:
    """Of the means, with the bounds of the difference; NaN where the mean before is not positive."""
    if found.alike == found.units:
        return Interval(1.0, 1.0, 1.0)
    size = before if 0 < before < math.inf else math.nan
    return Interval(1 + found.centre / size, 1 + found.lo / size, 1 + found.hi / size)


def _differ(values: Sequence[float], other: Sequence[float]) -> bool:
    pairs = zip(values, other, strict=False)
    return len(values) != len(other) or any(
        one != two and not (math.isnan(one) and math.isnan(two)) for one, two in pairs
    )
