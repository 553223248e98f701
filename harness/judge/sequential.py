"""The gate's decision: rounds in, verdicts out, look by look. Pure, and the same live and when a run is read back.

A family of cases is looked at after planned numbers of rounds, and once more where the time is over between two looks:
that one takes the place of those that do not come. At each look a case that is open is accused when a t test on its
rounds says that it is slower than its limit, by Holm's procedure over the family (Holm 1979, "A simple sequentially
rejective multiple test procedure"), and acquitted when a t test says that it is not. The levels are split evenly over
the looks, which holds whatever the looks have in common (Bonferroni). To acquit, the last one may also use what is left
by those that do not come. An accused case is red only when the rounds that were taken after the accusation, by fresh
processes, alone say the same; until then it goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, TypeAlias

from harness.analysis.looks import CONFIDENCE, LOOKED_AT
from harness.analysis.pairs import LogsByRound, MetricPair, mean_by_round
from harness.analysis.t_test import LogRatio
from harness.judge.rules import Rules
from harness.judge.verdict import CaseState, Look, Note, NoteCode

FRESH = 3
"""Rounds after the accusation that a confirmation takes at least."""
CONFIRMING = 5
"""Rounds that are added after the last look for cases that were accused at it."""

ONCE = (1 - CONFIDENCE) / 2
"""The level of a single look, one-sided."""


@dataclass(frozen=True)
class Evidence:
    """What there is to decide on: a limit, and the rounds. A positive log is a change for the worse."""

    limit: float
    rounds: LogsByRound
    """The log ratio of head to base by round; rounds that say nothing are left out. Empty for a single look."""
    shift: LogRatio | None
    """Of all rounds."""

    @property
    def reversed(self) -> "Evidence":
        """The other direction."""
        shift = self.shift and LogRatio(-self.shift.mean, self.shift.error, self.shift.freedom, self.shift.rounds)
        return Evidence(self.limit, {number: -log for number, log in self.rounds.items()}, shift)


@dataclass(frozen=True)
class CaseHistory:
    """How a case fared, look by look."""

    limit: float
    looks: tuple[Look, ...] = ()
    shift: LogRatio | None = None
    """At the last look."""

    @property
    def state(self) -> CaseState:
        """After the last look: open, accused, regressed or ok."""
        return self.looks[-1].state if self.looks else "open"

    @property
    def is_settled(self) -> bool:
        """Whether more rounds can change nothing."""
        return self.state in ("regressed", "ok")

    @property
    def accused_at(self) -> int:
        """Rounds at the look at which it was accused, if it is; at the last one where it was accused anew."""
        if self.state != "accused":
            return 0
        return max(look.rounds for look in self.looks if look.state == "accused" and look.above_level > 0)


def looks_until(rules: Rules, reached: int) -> tuple[int, ...]:
    """The looks at `reached` rounds: those planned, one that confirms, and one where the time was over."""
    planned = (*rules.looks, rules.looks[-1] + CONFIRMING)
    end = min(reached, planned[-1])
    return (*(look for look in planned if look < end), end) if end >= planned[0] else ()


class PlannedLook(NamedTuple):
    """A number of rounds, and the level at which a case is ok then."""

    rounds: int
    ok_level: float


@dataclass(frozen=True)
class Sequential:
    """A gate whose sides take turns: it looks again and again, and fresh processes confirm what it accuses."""

    rules: Rules
    looks: tuple[PlannedLook, ...]
    red_note: ClassVar[NoteCode] = "confirmed"

    @classmethod
    def so_far(cls, rules: Rules, reached: int) -> "Sequential":
        """A gate that goes on after `reached` rounds."""
        return cls(rules, tuple(PlannedLook(rounds, rules.ok_level) for rounds in looks_until(rules, reached)))

    @classmethod
    def ended(cls, rules: Rules, reached: int) -> "Sequential":
        """A gate that has no more rounds: to acquit, its last look may use the levels of those that do not come."""
        looks = cls.so_far(rules, reached).looks
        unused = max(0, len(rules.looks) - len(looks))
        return cls(
            rules, (*looks[:-1], *(PlannedLook(last.rounds, last.ok_level * (1 + unused)) for last in looks[-1:]))
        )

    @property
    def red_level(self) -> float:
        """Of one look, for all cases together."""
        return self.rules.red_level

    @property
    def ok_level(self) -> float:
        """Of one look, for each case."""
        return self.rules.ok_level

    def evidence(self, pair: MetricPair, limit: float) -> Evidence:
        """Of one case: the log ratio within each round that both sides have."""
        worse = 1 if pair.metric.better == "lower" else -1
        logs = {number: worse * log for number, log in pair.log_ratios.items()}
        return Evidence(limit, logs, LogRatio.paired(list(logs.values())))

    def mean_evidence(self, pairs: Sequence[MetricPair], limit: float) -> Evidence:
        """Of the geometric mean of all cases."""
        rounds = mean_by_round([pair.log_ratios for pair in pairs])
        return Evidence(limit, rounds, LogRatio.paired(list(rounds.values())))

    def courses(self, family: Mapping[str, Evidence]) -> dict[str, "CaseHistory"]:
        """The course of each case of a family."""
        courses = {name: CaseHistory(evidence.limit) for name, evidence in family.items()}
        taken = {name: evidence.rounds for name, evidence in family.items()}
        for look in self.looks:
            shifts = {
                name: LogRatio.paired([log for number, log in taken[name].items() if number < look.rounds])
                for name, course in courses.items()
                if not course.is_settled
            }
            courses |= _looked_at(courses, shifts, taken, self.rules, look)
        return courses

    def unseen(self, evidence: Evidence) -> Note:
        """Why there was no look at a case."""
        return Note("too_few_rounds", rounds=len(evidence.rounds), of=self.rules.looks[0])


@dataclass(frozen=True)
class SingleLook:
    """Two stored runs, each measured by itself: looked at once, and nothing can be confirmed any more.

    The levels are those of the interval that is shown, so that what is red or ok is seen to be.
    """

    rules: Rules
    red_note: ClassVar[NoteCode] = "beyond_margin"
    red_level: ClassVar[float] = ONCE
    ok_level: ClassVar[float] = ONCE

    def evidence(self, pair: MetricPair, limit: float) -> Evidence:
        """Of one case: the rounds of either side."""
        base, head = pair.side_logs
        before, after = (base, head) if pair.metric.better == "lower" else (head, base)
        return Evidence(limit, {}, LogRatio.between(list(before.values()), list(after.values())))

    def mean_evidence(self, pairs: Sequence[MetricPair], limit: float) -> Evidence:
        """Of the geometric mean of all cases."""
        sides = zip(*(pair.side_logs for pair in pairs), strict=True)
        base, head = (list(mean_by_round(side).values()) for side in sides)
        return Evidence(limit, {}, LogRatio.between(base, head))

    def courses(self, family: Mapping[str, Evidence]) -> dict[str, "CaseHistory"]:
        """The course of each case of a family."""
        limits = {name: evidence.limit for name, evidence in family.items()}
        shifts = {name: evidence.shift for name, evidence in family.items() if evidence.shift}
        above = {name: shift.above(limits[name]) for name, shift in shifts.items()}
        levels = _holm(above, len(shifts), ONCE)
        courses = {name: CaseHistory(limit) for name, limit in limits.items()}
        for name, shift in shifts.items():
            below = shift.below(limits[name])
            state: CaseState = "regressed" if above[name] <= levels[name] else "ok" if below <= ONCE else "open"
            width = shift.half_width(CONFIDENCE)
            look = Look(shift.rounds, shift.mean, width, above[name], levels[name], below, ONCE, state)
            courses[name] = CaseHistory(limits[name], (look,), shift)
        return courses

    def unseen(self, _: Evidence) -> Note:
        """Why there was no look at a case."""
        return Note("one_round")


Design: TypeAlias = Sequential | SingleLook
"""How often rounds are looked at, and what it takes to be red or ok."""


def _looked_at(
    courses: Mapping[str, CaseHistory],
    shifts: Mapping[str, LogRatio | None],
    taken: Mapping[str, LogsByRound],
    rules: Rules,
    planned: PlannedLook,
) -> dict[str, CaseHistory]:
    """The courses that go on, one look later."""
    rounds, ok_level = planned
    deciding = rounds <= rules.looks[-1]
    known = {name: shift for name, shift in shifts.items() if shift is not None}
    confirmed = {name: _confirmed(courses[name], taken[name], rules, rounds) for name in known}
    open_cases = {name: known[name] for name, fresh in confirmed.items() if fresh is None or fresh == "refuted"}
    above = {name: shift.above(courses[name].limit) for name, shift in known.items()}
    levels = _holm({name: above[name] for name in open_cases}, len(courses), rules.red_level)
    later = {}
    for name, shift in known.items():
        below = shift.below(courses[name].limit)
        level = levels.get(name, 0.0)
        state: CaseState
        if confirmed[name] == "confirmed":
            state = "regressed"
        elif confirmed[name] == "waiting" or (deciding and above[name] <= level):
            state = "accused"
        elif deciding and below <= ok_level:
            state = "ok"
        else:
            state = "open"
        look = Look(rounds, shift.mean, shift.half_width(LOOKED_AT), above[name], level, below, ok_level, state)
        later[name] = CaseHistory(courses[name].limit, (*courses[name].looks, look), shift)
    return later


def _confirmed(course: CaseHistory, taken: LogsByRound, rules: Rules, rounds: int) -> str | None:
    """What the rounds since the accusation say, if there was one: confirmed, refuted, or waiting for more of them."""
    if not course.accused_at:
        return None
    fresh = [log for number, log in taken.items() if course.accused_at <= number < rounds]
    shift = LogRatio.paired(fresh) if len(fresh) >= FRESH else None
    if shift is None:
        return "waiting"
    return "confirmed" if shift.above(course.limit) <= rules.unconfirmed else "refuted"


def _holm(chances: Mapping[str, float], family: int, level: float) -> dict[str, float]:
    """The level that each case's chance is held against; those after the first that fails are held against its own."""
    levels = {}
    passed = 0
    for name in sorted(chances, key=lambda one: chances[one]):
        levels[name] = level / (family - passed)
        if chances[name] <= levels[name] and passed == len(levels) - 1:
            passed += 1
    return levels


def improved(courses: Mapping[str, CaseHistory], rules: Rules) -> set[str]:
    """The cases that are faster by more than their limit (Benjamini and Hochberg 1995): of those that are called so a
    share of at most `rules.false_improved` is expected not to be.
    """
    chances = {
        name: course.shift.below(-course.limit) for name, course in courses.items() if course.shift and course.looks
    }
    ordered = sorted(chances, key=lambda name: chances[name])
    last = max(
        (rank for rank, name in enumerate(ordered, 1) if chances[name] <= rules.false_improved * rank / len(courses)),
        default=0,
    )
    return {name for name in ordered[:last] if courses[name].state != "regressed"}
