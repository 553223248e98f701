"""When a run has to end: by the user's --budget, or else by what its suites say."""

import math
from collections.abc import Callable, Iterable, Sequence

from harness.model import Request
from harness.runner.plan import Contest
from harness.runner.record_builder import RecordBuilder

LATER = 1 / 3
"""A later round of a contest takes at most about this part of the first, in which more is checked and counted."""
FEWEST_ROUNDS = 3
"""From two, an interval of 95 % is 9 times their spread; from three, 2.5 times."""


def chosen_by_suites(request: Request, contests: Iterable[Contest]) -> float:
    """Seconds that the suites of `contests` give a run; 0 for no limit, if one gives none or the user says more.

    Who asks for rounds or for a precision wants them, however long that takes.
    """
    limits = {contest.suite.name: contest.suite.budget.wall for contest in contests}.values()
    return sum(limits) if all(limits) and not (request.budget or request.rounds or request.precision) else 0.0


class TimeLimit:
    """The time that is left. What the user sets is kept to the letter: no contest begins after it.

    Of what the suites set, first-use compilation is not counted, because how long that takes is the compiler's. No
    round of a contest begins that would not end in time, by what the round before took; and no contest begins if it
    would take from those begun before it, or would not have itself, the rounds that an interval needs, by what the
    first round of the contest before took. What time is left after these goes to those that waited, round by round.
    """

    def __init__(self, request: Request, contests: Sequence[Contest], now: Callable[[], float]) -> None:
        self._is_strict = request.budget > 0
        self.seconds = request.budget or chosen_by_suites(request, contests)
        """From the beginning to the end; 0 for no limit."""
        self._now = now
        self._end = now() + self.seconds if self.seconds else math.inf
        self._compiling = self._latest = 0.0
        self._fewest_rounds = FEWEST_ROUNDS
        self._begin_pass()

    def next_pass(self) -> None:
        """Contests that have begun are at their end, and those that have waited may have the time that is left.

        A round of them says more than nothing, though it gives no interval.
        """
        self._fewest_rounds = 1
        self._begin_pass()

    def _begin_pass(self) -> None:
        self._next: dict[str, float] = {}
        self._due: dict[str, int] = {}

    def _rounds_due(self, contest: Contest) -> int:
        return min(self._fewest_rounds, contest.aim.rounds)

    def has_begun(self, contest: Contest) -> bool:
        """Whether it had a round in this pass."""
        return _name(contest) in self._next

    def has_time_for(self, contest: Contest) -> bool:
        """Whether a round of it may begin: it would end in time, as far as that is known."""
        if self._is_strict:
            expected = 0.0
        elif self.has_begun(contest):
            expected = self._next[_name(contest)]
        else:
            due = sum(self._next[name] * count for name, count in self._due.items())
            expected = due + self._latest * (1 + LATER * (self._rounds_due(contest) - 1))
        return self._now() + expected < self._end

    @property
    def leaves_out(self) -> bool:
        """Whether what has not been measured at all is left out of a contest that has begun."""
        return not self._is_strict and self._now() >= self._end

    def spent(self, contest: Contest, number: int, seconds: float) -> None:
        """A round of `contest` took so long."""
        name, seconds = _name(contest), seconds - self._compiling
        self._next[name] = seconds if number else LATER * seconds
        self._due[name] = max(0, self._due.get(name, self._rounds_due(contest)) - 1)
        if number == 0:
            self._latest = seconds
        self._compiling = 0.0

    def built(self, builder: RecordBuilder) -> None:
        """Let the run have the time that the first call of a case took, if it compiled and is the first of all."""
        if not self._is_strict and builder.round == 0 and any(builder.values.get("graphs", ())):
            seconds = sum(builder.values.get("first_call", ()))
            self._end += seconds
            self._compiling += seconds


def _name(contest: Contest) -> str:
    return contest.cases[0].contest
