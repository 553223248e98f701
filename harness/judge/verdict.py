"""What became of a case in a gate, as data: the word, the change, what led there. `harness.show` puts it into words."""

import math
from typing import Literal

import msgspec

from harness.estimators.intervals import Comparison
from harness.estimators.looks import LOOKED_AT
from harness.estimators.sample_mean import Difference
from harness.estimators.t_test import LogRatio
from harness.model import Case, Count
from harness.model.record import Outcome

Word = Literal["regressed", "ok", "improved", "inconclusive", "incomparable", "not_measured", "new"]
CaseState = Literal["open", "accused", "regressed", "ok"]
NoteCode = Literal[
    "beyond_margin",
    "confirmed",
    "unconfirmed",
    "undecided",
    "one_round",
    "too_few_rounds",
    "no_case",
    "no_metric",
    "ended",
    "wrong_answer",
    "not_a_number",
    "unlike_machines",
    "other_units",
    "sentinel_moved",
    "beyond_tolerance",
    "undecided_units",
    "one_unit",
    "other_sample",
    "no_raw_values",
]
Cure = Literal[
    "more_rounds",
    "quieter_machine",
    "rounds_option",
    "budget_option",
    "measure_again",
    "one_machine",
    "gate_again",
    "measure_anew",
    "more_units",
    "several_units",
    "wider_tolerance",
    "raw_values",
]
"""What settles the verdict: more rounds or units (`needed` says how many), a quieter machine, and so on."""

EVERYTHING = Case("geometric mean", "all", {})
"""Stands for all cases together, where their geometric mean is judged."""


class RelativeChange(msgspec.Struct, frozen=True):
    """Head over base less 1, with its interval: -0.1 is 10 % less. NaN where the interval is not known."""

    centre: float
    lo: float = math.nan
    hi: float = math.nan

    @classmethod
    def of(cls, ratio: Comparison) -> "RelativeChange | None":
        """None where the ratio is not a number."""
        return cls(ratio.ratio - 1, ratio.lo - 1, ratio.hi - 1) if math.isfinite(ratio.ratio) else None

    @classmethod
    def of_logs(cls, shift: LogRatio | None) -> "RelativeChange | None":
        """None where there are too few rounds."""
        if shift is None:
            return None
        half = shift.half_width(LOOKED_AT)
        return cls(*(math.expm1(shift.mean + part) for part in (0.0, -half, half)))


class Note(msgspec.Struct, frozen=True):
    """What led to the word besides the change. Which of the fields are given depends on the code."""

    code: NoteCode
    side: Literal["", "base", "head"] = ""
    """The side that lacks something or ended early."""
    outcome: Outcome | None = None
    """How the rounds of the side ended."""
    rounds: Count = 0
    """Of `unconfirmed`: the look that accused it. Of `too_few_rounds`: those there are. Of `ended`: the last one."""
    of: Count = 0
    """Of `too_few_rounds`: those that the first look takes."""
    detail: str = ""
    """A text that the judge did not write: a contestant's error, the fields that differ, a warning, a name."""
    change: RelativeChange | None = None
    """Of `sentinel_moved`: how far."""


class Look(msgspec.Struct, frozen=True):
    """What the rounds said of a case at one planned look. `mean` and `half_width` are of the log ratio."""

    rounds: Count
    mean: float
    half_width: float
    above: float
    """p value of: it is no slower than its limit."""
    above_level: float
    """It is accused where `above` is at most this: Holm's level; 0 where it was not up for accusation."""
    below: float
    """p value of: it is slower than its limit."""
    below_level: float
    """It is ok where `below` is at most this."""
    state: CaseState


class Verdict(msgspec.Struct, frozen=True):
    """The judgement on one metric of one case. Shares are of 1: 0.03 is 3 %."""

    case: Case
    metric: str
    word: Word
    change: RelativeChange | None = None
    """None where a side has no number or the two must not be compared, and for decibels: see `comparison`."""
    note: Note | None = None
    cure: Cure | None = None
    comparison: Comparison | None = None
    margin: float = math.nan
    """The slowdown that was tolerated, the floor for short calls included; NaN for exact and paired metrics."""
    allowance: str = ""
    """Why the margin is one of its own; empty where it is that of the rules."""
    detectable: float = math.nan
    """The slowdown that these rounds would have called in nine of ten repetitions."""
    needed: Count = 0
    """Of an inconclusive one: rounds that would settle it, if its noise stays; 1000 is that or more. Of a paired metric
    units, and a million is that or more."""
    looks: tuple[Look, ...] = ()
    log_ratios: dict[int, float] = {}
    """Of head to base by round, where they were paired."""
    unit: str = ""
    """Of the metric."""
    is_exact: bool = False
    """Whether the metric was compared directly, and not by its rounds or units."""
    allowed: float = math.nan
    """By how much the mean might get worse, in the metric's unit; NaN for all but paired metrics."""

    @property
    def difference(self) -> Difference | None:
        """Of the means unit by unit; None for all but paired metrics."""
        return self.comparison.difference if self.comparison else None
