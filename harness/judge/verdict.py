"""What became of a case in a gate: the word, the reason, and every look that led there."""

import math
from typing import Literal

import msgspec

from harness.estimators.intervals import Comparison
from harness.model import Case, Count

Word = Literal["regressed", "ok", "improved", "inconclusive", "incomparable", "not_measured", "new"]
CaseState = Literal["open", "accused", "regressed", "ok"]

EVERYTHING = Case("geometric mean", "all", {})
"""Stands for all cases together, where their geometric mean is judged."""


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
    """The judgement on one metric of one case, with its reason in words. Shares are of 1: 0.03 is 3 %."""

    case: Case
    metric: str
    word: Word
    reason: str
    comparison: Comparison | None = None
    margin: float = math.nan
    """The slowdown that was tolerated, the floor for short calls included; NaN for exact metrics."""
    detectable: float = math.nan
    """The slowdown that these rounds would have called in nine of ten repetitions."""
    needed: Count = 0
    """Of an inconclusive one: rounds that would settle it, if its noise stays; 1000 is that or more."""
    looks: tuple[Look, ...] = ()
    log_ratios: dict[int, float] = {}
    """Of head to base by round, where they were paired."""
