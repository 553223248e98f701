"""The controller of a live gate: two workers, one of either revision, turn by turn. Imports no torch."""

import random
import time
from collections.abc import Callable, Container, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from harness.model import Budget, Case, Record, Side
from harness.model.messages import Accuracy, Answer, Memory, ObserveMachine, Prepare, Question, Release, Time
from harness.model.metrics import MEMORY_METRICS
from harness.runner.plan import Contest
from harness.runner.process import Worker, WorkerLostError
from harness.runner.record_builder import CaseEndedError, RecordBuilder, RoundNoise
from harness.runner.schedule import calibrate, take_turns


class Paired(Worker, Protocol):
    """A worker that can work beside another one, or be made to take nothing from it."""

    def put(self, question: Question) -> None:
        """Ask, and wait for nothing. Raises WorkerLostError when nobody is there."""

    def reply(self, limit: float) -> Answer:
        """The answer to what was put. Raises WorkerLostError when there is none within `limit` seconds."""

    def rest(self) -> None:
        """Until it is asked again."""


SIDES: tuple[Side, ...] = ("base", "head")


@dataclass(frozen=True)
class CasePair:
    """One case on both sides; a side that has no such case is left out."""

    case: Case
    contests: Mapping[Side, Contest]

    @property
    def is_timed(self) -> bool:
        """Whether more than one round of it makes sense."""
        judged = [
            any(metric.repeats and not metric.informative for metric in contest.metrics.values())
            for contest in self.contests.values()
        ]
        return len(judged) == 2 and all(judged)


Inquiry: TypeAlias = Callable[[int, CasePair, Side, Paired], object]
"""(number of the round, case pair, side, worker)"""


class PairedController:
    """Measures rounds of case pairs. A round is a fresh pair of workers.

    They build at the same time, which halves most of what is not timing; while one computes the other rests.
    """

    def __init__(
        self,
        start: Callable[[Side], Paired],
        budget: Budget,
        case_limit: float,
        seed: int,
        now: Callable[[], float] = time.perf_counter,
        after_duel: Inquiry | None = None,
    ) -> None:
        """`after_duel` sees the workers that are left when a case pair is over, before its records are told."""
        self.start = start
        self.after_duel = after_duel
        self.budget = budget
        self.case_limit = case_limit
        self.seed = seed
        self.now = now
        self.iterations: dict[Case, int] = {}
        self._workers: dict[Side, Paired] = {}

    def round(self, number: int, case_pairs: Sequence[CasePair]) -> Generator[dict[Side, Record], None, None]:
        """The records of each case pair in round `number`, in random order. Without case pairs no worker is started."""
        if not case_pairs:
            return
        order = list(case_pairs)
        rng = random.Random(f"{self.seed}/{number}")
        rng.shuffle(order)
        try:
            for side in rng.sample(SIDES, 2):
                self._workers[side] = self.start(side)  # both at once: they import at the same time
            for case_pair in order:
                records = self._fight(case_pair, number, rng)
                if self.after_duel is not None:
                    for side in case_pair.contests.keys() & self._workers.keys():
                        self.after_duel(number, case_pair, side, self._workers[side])
                yield records
        finally:
            for side in SIDES:
                self._dismiss(side)

    def _fight(self, case_pair: CasePair, number: int, rng: random.Random) -> dict[Side, Record]:
        """The case pair's records. A side that is alone, or is left alone by the other's end, is timed by itself."""
        builders = {
            side: RecordBuilder(contest, case_pair.case, number, self.now())
            for side, contest in case_pair.contests.items()
        }
        for side in builders:
            self._release(side)
        ended = self._prepare({side: builders[side] for side in rng.sample(tuple(builders), len(builders))})
        witness = RoundNoise()
        for builder in builders.values():
            builder.values.pop("latency", None)  # so far a trial, which found the loop count
        left = {side: builder for side, builder in builders.items() if side not in ended}
        while left and all("latency" in builder.wanted for builder in left.values()):
            try:
                self._time(left, witness, rng)
                break
            except SideEndedError as end:  # the other one is timed alone: it shows that there is something to compare
                ended[end.side] = left.pop(end.side).ended(end.end, self.now())
                witness = RoundNoise()
        made = {side: builder.measured(witness, self.now()) for side, builder in left.items()}
        return {side: (ended | made)[side] for side in builders}

    def _release(self, side: Side) -> None:
        """Let the worker forget the case pair before. One that cannot even do that is replaced."""
        if side not in self._workers:
            return
        try:
            self._workers[side].ask(Release(), self.case_limit)
        except WorkerLostError:
            self._dismiss(side)

    def _prepare(self, builders: Mapping[Side, RecordBuilder]) -> dict[Side, Record]:
        """Build, check against the contract, count bytes, in this order and before any timing; the sides that ended."""
        ended: dict[Side, Record] = {}
        self._at_once(builders, ended, _building)
        self._one_by_one(builders, ended, self._check)
        self._at_once(builders, ended, _bytes)
        self._one_by_one(builders, ended, self._calibrate)
        return ended

    def _at_once(
        self,
        builders: Mapping[Side, RecordBuilder],
        ended: dict[Side, Record],
        question: Callable[[RecordBuilder], Prepare | Memory | None],
    ) -> None:
        """Put a question to every side that is left, and then take in the answers: nobody waits for the other."""
        asked: list[Side] = []
        for side, builder in _left(builders, ended):
            put = question(builder)
            if put is not None:
                with self._ending(side, builder, ended):
                    self._worker(side).put(put)
                    asked.append(side)
        for side in asked:
            with self._ending(side, builders[side], ended):
                builders[side].take_in(_usable(builders[side].case, self._workers[side].reply(self.case_limit)))

    def _one_by_one(
        self,
        builders: Mapping[Side, RecordBuilder],
        ended: dict[Side, Record],
        step: Callable[[Side, RecordBuilder], None],
    ) -> None:
        """What computes on all cores: two at once would wait for each other's threads."""
        for side, builder in _left(builders, ended):
            with self._ending(side, builder, ended):
                step(side, builder)

    @contextmanager
    def _ending(self, side: Side, builder: RecordBuilder, ended: dict[Side, Record]) -> Iterator[None]:
        """Whatever ends the case inside becomes its record."""
        try:
            yield
        except WorkerLostError as lost:
            ended[side] = builder.ended(self._lost(side, builder.case, lost), self.now())
        except CaseEndedError as end:
            ended[side] = builder.ended(end, self.now())

    def _check(self, side: Side, builder: RecordBuilder) -> None:
        builder.take_in(self._exchange(side, builder.case, Accuracy(builder.case, tuple(sorted(builder.wanted)))))

    def _calibrate(self, side: Side, builder: RecordBuilder) -> None:
        """Choose the loop count once a case, for both sides and all rounds."""

        def take(case: Case, iterations: int, samples: int) -> Sequence[float]:
            return self._exchange(side, case, Time(case, iterations, samples)).values["latency"]

        if "latency" not in builder.wanted:
            return
        if builder.case not in self.iterations:
            self.iterations[builder.case] = calibrate(take, builder.case, self.budget.sample)
        builder.iterations = self.iterations[builder.case]

    def _time(self, builders: Mapping[Side, RecordBuilder], witness: RoundNoise, rng: random.Random) -> None:
        """Blocks in ABBA or BAAB order, until the time of a case pair is spent."""
        last: Side = next(iter(builders))

        def take(side: Side, iterations: int, samples: int) -> Sequence[float]:
            nonlocal last
            last, builder = side, builders[side]
            try:
                answer = self._exchange(side, builder.case, Time(builder.case, iterations, samples))
            except CaseEndedError as end:
                raise SideEndedError(side, end) from end
            builder.take_in(answer)
            builder.timed += sum(answer.values["latency"]) * iterations
            return answer.values["latency"]

        def look() -> None:
            try:  # of whom was visited last: at random, so that neither is the one that a canary has warmed up
                witness.take_in(self._exchange(last, builders[last].case, ObserveMachine()).noise)
            except CaseEndedError as end:
                raise SideEndedError(last, end) from end

        look()
        timings = take_turns(
            take,
            {side: builder.iterations for side, builder in builders.items()},
            seconds=self.budget.seconds,
            sample=self.budget.sample,
            rng=rng,
            now=self.now,
            after_block=look,
        )
        for side, timing in timings.items():
            builders[side].values["latency"] = list(timing.values)
            builders[side].blocks = timing.blocks

    def _exchange(self, side: Side, case: Case, question: Accuracy | Time | ObserveMachine) -> Answer:
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
            self._workers[side] = self.start(side)
        return self._workers[side]

    def _lost(self, side: Side, case: Case, lost: WorkerLostError) -> CaseEndedError:
        self._dismiss(side)
        return CaseEndedError(case, lost.outcome, lost.reason)

    def _dismiss(self, side: Side) -> None:
        if side in self._workers:
            self._workers.pop(side).close()


def _building(builder: RecordBuilder) -> Prepare:
    return Prepare(builder.case, builder.contest.seed)


def _bytes(builder: RecordBuilder) -> Memory | None:
    return Memory(builder.case, builder.contest.seed) if builder.wanted & MEMORY_METRICS else None


def _left(builders: Mapping[Side, RecordBuilder], ended: Container[Side]) -> list[tuple[Side, RecordBuilder]]:
    return [(side, builder) for side, builder in builders.items() if side not in ended]


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
