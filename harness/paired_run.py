"""The controller of a live gate: two workers, one of either revision, turn by turn. Imports no torch."""

import random
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from harness.draft import CaseEndedError, Draft, Witness
from harness.measure import calibrate, take_turns
from harness.model import Budget, Case, Record
from harness.plan import Contest
from harness.process import WorkerLostError
from harness.protocol import Accuracy, Answer, Look, Memory, Prepare, Question, Release, Time
from harness.run import MEMORY_METRICS
from harness.scout import Worker


class Resting(Worker, Protocol):
    """A worker that can be made to take nothing from others while it is not asked."""

    def rest(self) -> None:
        """Until it is asked again."""


Side: TypeAlias = Literal["base", "head"]
SIDES: tuple[Side, ...] = ("base", "head")

Leave: TypeAlias = Callable[[int, Side, Resting], object]
"""(number of the round, side, worker)"""


@dataclass(frozen=True)
class Duel:
    """One case on both sides; a side that has no such case is left out."""

    case: Case
    contests: Mapping[Side, Contest]

    @property
    def is_timed(self) -> bool:
        """Whether more than one round of it makes sense."""
        return len(self.contests) == 2 and all("latency" in contest.metrics for contest in self.contests.values())


class PairedController:
    """Measures rounds of duels. A round is a fresh pair of workers, of which one computes at a time."""

    def __init__(
        self,
        hire: Callable[[Side], Resting],
        budget: Budget,
        case_limit: float,
        seed: int,
        now: Callable[[], float] = time.perf_counter,
        before_leaving: Leave | None = None,
    ) -> None:
        """`before_leaving` sees every worker at the end of its round."""
        self.hire = hire
        self.before_leaving = before_leaving
        self.budget = budget
        self.case_limit = case_limit
        self.seed = seed
        self.now = now
        self.iterations: dict[Case, int] = {}
        self._workers: dict[Side, Resting] = {}

    def round(self, number: int, duels: Sequence[Duel]) -> Generator[dict[Side, Record], None, None]:
        """The records of each duel in round `number`, in random order. Without duels nobody is hired."""
        if not duels:
            return
        order = list(duels)
        rng = random.Random(f"{self.seed}/{number}")
        rng.shuffle(order)
        try:
            for side in rng.sample(SIDES, 2):
                self._workers[side] = self.hire(side)  # both at once: they import at the same time
            for duel in order:
                yield self._fight(duel, number, rng)
            if self.before_leaving is not None:
                for side, worker in self._workers.items():
                    self.before_leaving(number, side, worker)
        finally:
            for side in SIDES:
                self._dismiss(side)

    def _fight(self, duel: Duel, number: int, rng: random.Random) -> dict[Side, Record]:
        """The duel's records. A side that is alone, or is left alone by the other's end, is timed by itself."""
        drafts = {side: Draft(contest, duel.case, number, self.now()) for side, contest in duel.contests.items()}
        ended: dict[Side, Record] = {}
        for side in rng.sample(tuple(drafts), len(drafts)):
            try:
                self._release(side)
                self._prepare(side, drafts[side])
            except CaseEndedError as end:
                ended[side] = drafts[side].ended(end, self.now())
        witness = Witness()
        for draft in drafts.values():
            draft.values.pop("latency", None)  # so far a trial, which found the loop count
        left = {side: draft for side, draft in drafts.items() if side not in ended}
        while left and all("latency" in draft.wanted for draft in left.values()):
            try:
                self._time(left, witness, rng)
                break
            except SideEndedError as end:  # the other one is timed alone: it shows that there is something to compare
                ended[end.side] = left.pop(end.side).ended(end.end, self.now())
                witness = Witness()
        made = {side: draft.measured(witness, self.now()) for side, draft in left.items()}
        return {side: (ended | made)[side] for side in drafts}

    def _release(self, side: Side) -> None:
        """Let the worker forget the duel before. One that cannot even do that is replaced."""
        if side not in self._workers:
            return
        try:
            self._workers[side].ask(Release(), self.case_limit)
        except WorkerLostError:
            self._dismiss(side)

    def _prepare(self, side: Side, draft: Draft) -> None:
        """Build, check against the contract, count bytes: in this order, before any timing."""
        contest, case = draft.contest, draft.case
        draft.started = self.now()
        draft.take_in(self._exchange(side, case, Prepare(case, contest.seed)))
        draft.take_in(self._exchange(side, case, Accuracy(case, tuple(sorted(draft.wanted)))))
        if draft.wanted & MEMORY_METRICS:
            draft.take_in(self._exchange(side, case, Memory(case, contest.seed)))
        if "latency" in draft.wanted:
            self._calibrate(side, draft)

    def _calibrate(self, side: Side, draft: Draft) -> None:
        """Choose the loop count once a case, for both sides and all rounds."""

        def take(case: Case, iterations: int, samples: int) -> Sequence[float]:
            return self._exchange(side, case, Time(case, iterations, samples)).values["latency"]

        if draft.case not in self.iterations:
            self.iterations[draft.case] = calibrate(take, draft.case, self.budget.sample)
        draft.iterations = self.iterations[draft.case]

    def _time(self, drafts: Mapping[Side, Draft], witness: Witness, rng: random.Random) -> None:
        """Blocks in ABBA or BAAB order, until the time of a duel is spent."""
        last: Side = next(iter(drafts))

        def take(side: Side, iterations: int, samples: int) -> Sequence[float]:
            nonlocal last
            last, draft = side, drafts[side]
            try:
                answer = self._exchange(side, draft.case, Time(draft.case, iterations, samples))
            except CaseEndedError as end:
                raise SideEndedError(side, end) from end
            draft.take_in(answer)
            draft.timed += sum(answer.values["latency"]) * iterations
            return answer.values["latency"]

        def look() -> None:
            try:  # of whom was visited last: at random, so that neither is the one that a canary has warmed up
                witness.take_in(self._exchange(last, drafts[last].case, Look()).noise)
            except CaseEndedError as end:
                raise SideEndedError(last, end) from end

        look()
        timings = take_turns(
            take,
            {side: draft.iterations for side, draft in drafts.items()},
            seconds=self.budget.seconds,
            sample=self.budget.sample,
            rng=rng,
            now=self.now,
            after_block=look,
        )
        for side, timing in timings.items():
            drafts[side].values["latency"] = list(timing.values)
            drafts[side].blocks = timing.blocks

    def _exchange(self, side: Side, case: Case, question: Question) -> Answer:
        """The answer of a side. Raises CaseEndedError when `case`, which the question is about, cannot go on there."""
        if side not in self._workers:
            self._workers[side] = self.hire(side)
        if isinstance(question, Time | Look):  # what is built may be built beside an import
            for other in self._workers.keys() - {side}:
                self._workers[other].rest()
        try:
            answer = self._workers[side].ask(question, self.case_limit)
        except WorkerLostError as lost:
            self._dismiss(side)
            raise CaseEndedError(case, lost.outcome, lost.reason) from lost
        if answer.outcome != "measured":
            raise CaseEndedError(case, answer.outcome, answer.reason, answer)
        return answer

    def _dismiss(self, side: Side) -> None:
        if side in self._workers:
            self._workers.pop(side).close()


class SideEndedError(Exception):
    """A case came to an end on one side while both were timed."""

    def __init__(self, side: Side, end: CaseEndedError) -> None:
        super().__init__(end.reason)
        self.side = side
        self.end = end
