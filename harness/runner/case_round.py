"""One case in one round: what is asked about it, in which order and in which turn, and the record that comes of it."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from harness.model import Budget, Case, Record
from harness.model.messages import Accuracy, Answer, Memory, ObserveMachine, Prepare, Question, Time
from harness.model.metrics import MEMORY_METRICS
from harness.runner.plan import Contest
from harness.runner.record_builder import RecordBuilder, RoundNoise
from harness.runner.schedule import Loop, Visit, calibrate, take_turns
from harness.runner.worker_link import CaseEndedError, WorkerLink


class CaseRound:
    """Asks about a case over a link. Every method that asks raises CaseEndedError once the case cannot go on."""

    def __init__(
        self,
        link: WorkerLink,
        contest: Contest,
        case: Case,
        number: int,
        loops: dict[Case, Loop],
        now: Callable[[], float],
    ) -> None:
        """`loops` holds those of all cases, for all rounds; `calibrate` adds this one's."""
        self.builder = RecordBuilder(contest, case, number, now())
        self.ended: Record | None = None
        """The record of a case that came to another end than being measured."""
        self.estimate: tuple[float, ...] = ()
        """Seconds per call in the last sample by which the loop count was found; nothing where it was known before."""
        self._link = link
        self._loops = loops
        self._now = now

    @property
    def case(self) -> Case:
        """The case that is measured."""
        return self.builder.case

    @property
    def is_timed(self) -> bool:
        """Whether its latency is asked for."""
        return "latency" in self.builder.wanted

    @property
    def loop(self) -> Loop:
        """How it is timed, once that is known."""
        return self._loops[self.case]

    def building(self) -> Prepare:
        """The request to build it and call it once."""
        return Prepare(self.case, self.builder.contest.seed)

    def checking(self) -> Accuracy:
        """The request to check its output against the contract: thoroughly in the first round."""
        return Accuracy(self.case, tuple(sorted(self.builder.wanted)), again=self.builder.round > 0)

    def counting(self) -> Memory | None:
        """The request to count its bytes, where that is wanted."""
        return Memory(self.case, self.builder.contest.seed) if self.builder.wanted & MEMORY_METRICS else None

    def build(self) -> None:
        """Build it and call it once, which is timed."""
        self.ask(self.building())

    def check(self) -> None:
        """Check it against the contract, then count its bytes; neither is timed."""
        self.ask(self.checking())
        if count := self.counting():
            self.ask(count)

    def calibrate(self, sample: float) -> None:
        """Choose the loop count for samples of about `sample` seconds; once a case, for all rounds."""
        if self.is_timed and self.case not in self._loops:
            first = sum(self.builder.values.get("first_call", ()))
            self._loops[self.case] = calibrate(CaseRound._estimate, self, sample, first)

    def _estimate(self, visit: Visit) -> Sequence[float]:
        self.estimate = self.take(visit)
        return self.estimate

    def known(self) -> dict[str, tuple[float, ...]]:
        """The values by metric before the case is timed; `latency` is a first estimate."""
        values = {metric: tuple(some) for metric, some in self.builder.values.items()}
        return {**values, "latency": self.estimate} if self.estimate else values

    def take(self, visit: Visit) -> tuple[float, ...]:
        """Visit the case: seconds per call of each sample."""
        values = self.ask(Time(self.case, *visit)).values["latency"]
        self.builder.timed += sum(values) * visit.iterations
        return values

    def observe(self) -> Mapping[str, float]:
        """Noise of the machine since the last time, and the canary, as the worker sees them. The case bears its end."""
        return self.exchange(ObserveMachine()).noise

    def ask(self, question: Question) -> Answer:
        """Ask, and keep what the answer says in the record."""
        answer = self.exchange(question)
        self.builder.take_in(answer)
        return answer

    def exchange(self, question: Question) -> Answer:
        """Ask, and keep nothing."""
        with self.bearing():
            return self._link.ask(question)

    def put(self, question: Question) -> None:
        """Ask, and wait for nothing; `take_reply` has to follow."""
        with self.bearing():
            self._link.put(question)

    def take_reply(self) -> None:
        """Keep what the answer says to what was put."""
        with self.bearing():
            self.builder.take_in(self._link.reply())

    @contextmanager
    def bearing(self) -> Iterator[None]:
        """The end that a case comes to inside becomes the record of this one; it is raised all the same."""
        try:
            yield
        except CaseEndedError as end:
            self.ended = self.ended or self.builder.ended(end, self._now())
            raise

    def record(self, noise: RoundNoise) -> Record:
        """The record of a case that has come to its end, whichever that is."""
        return self.ended or self.builder.measured(noise, self._now())


def time_in_turns(
    rounds: Sequence[CaseRound], budget: Budget, rng: random.Random, now: Callable[[], float]
) -> RoundNoise:
    """Time `rounds`, at least one, until `budget.seconds` are spent; what happened to the machine, block by block.

    It is observed by the worker that was visited last: at random, so that no side has one that a canary warms up.

    Raises CaseEndedError when one of them cannot go on, which then is the one that has `ended`.
    """
    noise = RoundNoise()
    noise.take_in(rounds[0].observe())
    timings = take_turns(
        CaseRound.take,
        {one: one.loop for one in rounds},
        seconds=budget.seconds,
        sample=budget.sample,
        rng=rng,
        now=now,
        after_block=lambda last: noise.take_in(last.observe()),
    )
    for one, timing in timings.items():
        one.builder.timing = timing
    return noise
