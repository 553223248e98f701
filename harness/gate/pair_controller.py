"""The controller of a live gate: two workers, one of either revision, turn by turn. Imports no torch."""

import random
import time
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from harness.model import Budget, Case, Record
from harness.model.messages import Accuracy, Answer, Look, Memory, Prepare, Question, Release, Time
from harness.model.metrics import MEMORY_METRICS
from harness.runner.plan import Contest
from harness.runner.process import Worker, WorkerLostError
from harness.runner.record_builder import CaseEndedError, Draft, Witness
from harness.runner.schedule import calibrate, take_turns


class Paired(Worker, Protocol):
    """A worker that can work beside another one, or be made to take nothing from it."""

    def put(self, question: Question) -> None:
        """Ask, and wait for nothing. Raises WorkerLostError when nobody is there."""

    def reply(self, limit: float) -> Answer:
        """The answer to what was put. Raises WorkerLostError when there is none within `limit` seconds."""

    def rest(self) -> None:
        """Until it is asked again."""


Side: TypeAlias = Literal["base", "head"]
SIDES: tuple[Side, ...] = ("base", "head")


@dataclass(frozen=True)
class Duel:
    """One case on both sides; a side that has no such case is left out."""

    case: Case
    contests: Mapping[Side, Contest]

    @property
    def is_timed(self) -> bool:
        """Whether more than one round of it makes sense."""
        return len(self.contests) == 2 and all("latency" in contest.metrics for contest in self.contests.values())


Inquiry: TypeAlias = Callable[[int, Duel, Side, Paired], object]
"""(number of the round, duel, side, worker)"""


class PairedController:
    """Measures rounds of duels. A round is a fresh pair of workers.

    They build at the same time, which halves most of what is not timing; while one computes the other rests.
    """

    def __init__(
        self,
        hire: Callable[[Side], Paired],
        budget: Budget,
        case_limit: float,
        seed: int,
        now: Callable[[], float] = time.perf_counter,
        after_duel: Inquiry | None = None,
    ) -> None:
        """`after_duel` sees the workers that are left when a duel is over, before its records are told."""
        self.hire = hire
        self.after_duel = after_duel
        self.budget = budget
        self.case_limit = case_limit
        self.seed = seed
        self.now = now
        self.iterations: dict[Case, int] = {}
        self._workers: dict[Side, Paired] = {}

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
                records = self._fight(duel, number, rng)
                if self.after_duel is not None:
                    for side in duel.contests.keys() & self._workers.keys():
                        self.after_duel(number, duel, side, self._workers[side])
                yield records
        finally:
            for side in SIDES:
                self._dismiss(side)

    def _fight(self, duel: Duel, number: int, rng: random.Random) -> dict[Side, Record]:
        """The duel's records. A side that is alone, or is left alone by the other's end, is timed by itself."""
        drafts = {side: Draft(contest, duel.case, number, self.now()) for side, contest in duel.contests.items()}
        for side in drafts:
            self._release(side)
        ended = self._prepare({side: drafts[side] for side in rng.sample(tuple(drafts), len(drafts))})
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

    def _prepare(self, drafts: Mapping[Side, Draft]) -> dict[Side, Record]:
        """Build, check against the contract, count bytes, in this order and before any timing; the sides that ended."""
        ended: dict[Side, Record] = {}
        self._at_once(drafts, ended, _building)
        self._one_by_one(drafts, ended, self._check)
        self._at_once(drafts, ended, _bytes)
        self._one_by_one(drafts, ended, self._calibrate)
        return ended

    def _at_once(
        self,
        drafts: Mapping[Side, Draft],
        ended: dict[Side, Record],
        question: Callable[[Draft], Prepare | Memory | None],
    ) -> None:
        """Put a question to every side that is left, and then take in the answers: nobody waits for the other."""
        asked: list[Side] = []
        for side, draft in _left(drafts, ended):
            put = question(draft)
            if put is not None:
                with self._ending(side, draft, ended):
                    self._worker(side).put(put)
                    asked.append(side)
        for side in asked:
            with self._ending(side, drafts[side], ended):
                drafts[side].take_in(_usable(drafts[side].case, self._workers[side].reply(self.case_limit)))

    def _one_by_one(
        self, drafts: Mapping[Side, Draft], ended: dict[Side, Record], step: Callable[[Side, Draft], None]
    ) -> None:
        """What computes on all cores: two at once would wait for each other's threads."""
        for side, draft in _left(drafts, ended):
            with self._ending(side, draft, ended):
                step(side, draft)

    @contextmanager
    def _ending(self, side: Side, draft: Draft, ended: dict[Side, Record]) -> Iterator[None]:
        """Whatever ends the case inside becomes its record."""
        try:
            yield
        except WorkerLostError as lost:
            ended[side] = draft.ended(self._lost(side, draft.case, lost), self.now())
        except CaseEndedError as end:
            ended[side] = draft.ended(end, self.now())

    def _check(self, side: Side, draft: Draft) -> None:
        draft.take_in(self._exchange(side, draft.case, Accuracy(draft.case, tuple(sorted(draft.wanted)))))

    def _calibrate(self, side: Side, draft: Draft) -> None:
        """Choose the loop count once a case, for both sides and all rounds."""

        def take(case: Case, iterations: int, samples: int) -> Sequence[float]:
            return self._exchange(side, case, Time(case, iterations, samples)).values["latency"]

        if "latency" not in draft.wanted:
            return
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

    def _exchange(self, side: Side, case: Case, question: Accuracy | Time | Look) -> Answer:
        """The answer of a side while the other rests. Raises CaseEndedError when `case` cannot go on there."""
        worker = self._worker(side)
        for other in self._workers.keys() - {side}:
            self._workers[other].rest()
        try:
            return _usable(case, worker.ask(question, self.case_limit))
        except WorkerLostError as lost:
            raise self._lost(side, case, lost) from lost

    def _worker(self, side: Side) -> Paired:
        if side not in self._workers:
            self._workers[side] = self.hire(side)
        return self._workers[side]

    def _lost(self, side: Side, case: Case, lost: WorkerLostError) -> CaseEndedError:
        self._dismiss(side)
        return CaseEndedError(case, lost.outcome, lost.reason)

    def _dismiss(self, side: Side) -> None:
        if side in self._workers:
            self._workers.pop(side).close()


def _building(draft: Draft) -> Prepare:
    return Prepare(draft.case, draft.contest.seed)


def _bytes(draft: Draft) -> Memory | None:
    return Memory(draft.case, draft.contest.seed) if draft.wanted & MEMORY_METRICS else None


def _left(drafts: Mapping[Side, Draft], ended: Container[Side]) -> list[tuple[Side, Draft]]:
    return [(side, draft) for side, draft in drafts.items() if side not in ended]


def _usable(case: Case, answer: Answer) -> Answer:
    if answer.outcome != "measured":
        raise CaseEndedError(case, answer.outcome, answer.reason, answer)
    return answer


class SideEndedError(Exception):
    """A case came to an end on one side while both were timed."""

    def __init__(self, side: Side, end: CaseEndedError) -> None:
        super().__init__(end.reason)
        self.side = side
        self.end = end
