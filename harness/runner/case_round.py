"""One case in one round: what is asked about it, in which order, and the record that comes of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from harness.model import Case, Record
from harness.model.messages import Accuracy, Answer, Memory, ObserveMachine, Prepare, Question, Time
from harness.model.metrics import MEMORY_METRICS
from harness.runner.plan import Contest
from harness.runner.record_builder import RecordBuilder, RoundNoise
from harness.runner.schedule import calibrate
from harness.runner.worker_link import CaseEndedError, WorkerLink


class CaseRound:
    """Asks about a case over a link. Every method that asks raises CaseEndedError once the case cannot go on."""

    def __init__(
        self,
        link: WorkerLink,
        contest: Contest,
        case: Case,
        number: int,
        loop_counts: dict[Case, int],
        now: Callable[[], float],
    ) -> None:
        """`loop_counts` holds those of all cases, for all rounds; `calibrate` adds this one's."""
        self.builder = RecordBuilder(contest, case, number, now())
        self.ended: Record | None = None
        """The record of a case that came to another end than being measured."""
        self.estimate: tuple[float, ...] = ()
        """Seconds per call in the last sample by which the loop count was found; nothing where it was known before."""
        self._link = link
        self._loop_counts = loop_counts
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
    def iterations(self) -> int:
        """Calls in one sample, once that is known."""
        return self._loop_counts[self.case]

    def building(self) -> Prepare:
        """The request to build it and call it once."""
        return Prepare(self.case, self.builder.contest.seed)

    def checking(self) -> Accuracy:
        """The request to check its output against the contract; made in every round."""
        return Accuracy(self.case, tuple(sorted(self.builder.wanted)))

    def counting(self) -> Memory | None:
        """The request to count its bytes, where that is wanted."""
        return Memory(self.case, self.builder.contest.seed) if self.builder.wanted & MEMORY_METRICS else None

    def prepare(self) -> None:
        """Build, check against the contract, count bytes, find the loop count: in this order, before any timing."""
        self.ask(self.building())
        self.ask(self.checking())
        if count := self.counting():
            self.ask(count)
        self.calibrate(self.builder.contest.suite.budget.sample)

    def calibrate(self, sample: float) -> None:
        """Choose the loop count for samples of about `sample` seconds; once a case, for all rounds."""
        if self.is_timed and self.case not in self._loop_counts:
            self._loop_counts[self.case] = calibrate(CaseRound._estimate, self, sample)

    def _estimate(self, iterations: int, samples: int) -> Sequence[float]:
        self.estimate = self.take(iterations, samples)
        return self.estimate

    def known(self) -> dict[str, tuple[float, ...]]:
        """The values by metric before the case is timed; `latency` is a first estimate."""
        values = {metric: tuple(some) for metric, some in self.builder.values.items()}
        return {**values, "latency": self.estimate} if self.estimate else values

    def take(self, iterations: int, samples: int) -> tuple[float, ...]:
        """Visit the case: seconds per call of each sample."""
        values = self.ask(Time(self.case, iterations, samples)).values["latency"]
        self.builder.timed += sum(values) * iterations
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
