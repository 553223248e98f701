"""What is declared before anything is measured: what a gate tolerates, when a contest ends, what counts for nobody."""

import math
from collections.abc import Collection
from typing import TypeVar

import msgspec

from harness.estimators.looks import LOOKS
from harness.model import filters
from harness.model.case import Case
from harness.model.metrics import Exact, Metric, Paired
from harness.model.record import Amount

Tolerant = TypeVar("Tolerant", Exact, Paired)
"""What has a tolerance in its unit."""


class Allowance(msgspec.Struct, frozen=True):
    """Another margin for the latency of some cases, with the reason that a reviewer read."""

    match: str
    """An expression as of `bitbench run -k`."""
    margin: float
    reason: str

    def is_for(self, name: str) -> bool:
        """Whether it is for the case of that name."""
        return filters.parse(self.match)(name)


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a gate tolerates and how sure it must be. Shares are of 1: 0.03 is 3 %."""

    margin: float = 0.03
    """The slowdown of a case that is tolerated."""
    geometric_mean: float = 0.01
    """The slowdown of the geometric mean of all cases that is tolerated."""
    floor: float = 1e-6
    """Seconds that a call may take longer, however short it is: below, a margin would be lost in the clock."""
    false_red: float = 0.05
    """At most this share of gates calls any case slower that is just within its margin, before confirmation."""
    false_ok: float = 0.05
    """At most this share of the cases that are just beyond their margin is called ok."""
    unconfirmed: float = 0.05
    """The level of the test that fresh rounds alone must pass before a case is red."""
    false_improved: float = 0.05
    """Expected share of false ones among the cases that are called improved."""
    looks: tuple[int, ...] = LOOKS
    """Numbers of rounds after which the rounds are looked at; the undecided go on until the last."""
    tolerances: dict[str, float] = {}
    """By exact or paired metric: another absolute tolerance than its own."""
    allowances: tuple[Allowance, ...] = ()

    def limit_of(self, metric: Metric, case: Case, before: float) -> float:
        """The log ratio for the worse that is tolerated of what varies and was `before`, in the metric's unit."""
        if metric.relative_tolerance:
            return math.log1p(metric.relative_tolerance)
        return self.limit(case, before) if metric.unit == "s" else math.log1p(self.margin)

    def limit(self, case: Case, seconds: float) -> float:
        """The log ratio that is tolerated of a case whose call took `seconds` before."""
        margin = self.margin
        for allowance in self.allowances:
            if allowance.is_for(case.name):
                margin = allowance.margin
        return max(math.log1p(margin), math.log1p(self.floor / seconds) if seconds > 0 else 0.0)

    def reason(self, case: Case) -> str:
        """Why the case has a margin of its own; empty where it has none."""
        matching = (a.reason for a in reversed(self.allowances) if a.is_for(case.name))
        return next(matching, "")

    def idle(self, names: Collection[str]) -> list[str]:
        """In words: allowances that decide for none of the cases of these `names`."""
        told = []
        deciding = {max((n for n, a in enumerate(self.allowances) if a.is_for(name)), default=-1) for name in names}
        for number, allowance in enumerate(self.allowances):
            if number not in deciding:
                why = "later ones match all of them" if any(map(allowance.is_for, names)) else "it matches none of them"
                told.append(
                    f"the allowance {allowance.match!r} decides for no case of this gate, {why}:"
                    " correct its match, or take it out of the rules"
                )
        return told

    def metric(self, metric: Tolerant) -> Tolerant:
        """The metric with the tolerance that it has here."""
        if metric.name not in self.tolerances:
            return metric
        return msgspec.structs.replace(metric, tolerance=self.tolerances[metric.name], relative_tolerance=0.0)

    @property
    def red_level(self) -> float:
        """Of one look, for all cases together: the error budget is split evenly over the looks (Bonferroni)."""
        return self.false_red / len(self.looks)

    @property
    def ok_level(self) -> float:
        """Of one look, for each case."""
        return self.false_ok / len(self.looks)

    def in_words(self) -> tuple[str, ...]:
        """The rules, as a gate declares them before it measures."""
        planned, fresh = ", ".join(map(str, self.looks)), _percent(self.unconfirmed)
        return (
            f"one value a round, a fresh pair of processes: the log ratio of head to base; looks after {planned},"
            " and when the time is over",
            f"red: slower than {_percent(self.margin)} and {self.floor * 1e6:g} us by a t test, Holm over the cases,"
            f" {_percent(self.false_red)} split over the looks, and again at {fresh} by the rounds after that alone",
            f"ok: not slower than that, at {_percent(self.false_ok)} a case split over the looks; the last has what is"
            " left of it",
            f"geometric mean of all cases: the same, against {_percent(self.geometric_mean)}",
            *(f"{a.match}: {_percent(a.margin)}, because {a.reason}" for a in self.allowances),
            *(f"{name}: a difference of {value:g} is tolerated" for name, value in self.tolerances.items()),
        )


class RunRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one run, beside its aims. Words are made of them where they are shown."""

    looks: tuple[int, ...] = ()
    """Numbers of rounds after which a contest that is to reach a precision is looked at."""
    confidence: Amount = 0.0
    """Of the intervals that are to be so narrow."""
    disturbed: Amount = 0.0
    """A block is voided beside a canary that took more than so many times the median of its round's canaries."""
    most_voided: Amount = 0.0
    """Where that were a larger share of a round's blocks, none is."""
    gate: Rules | None = None
    """What a gate tolerates; None for a run by itself."""
    words: tuple[str, ...] = ()
    """All of it in sentences, as runs had them before schema 5; those have no numbers."""


def _percent(part: float) -> str:
    return f"{100 * part:g} %"
