"""A worker and a clock that make everything up: schedules need neither a process nor time."""

from typing import Protocol

from harness.model import Case
from harness.model.messages import Accuracy, Answer, Memory, ObserveMachine, Prepare, Probe, Question, Release, Time


class FakeClock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


class Scene(Protocol):
    """Where fake workers play: it makes up what they answer."""

    clock: FakeClock

    def on_put(self, worker: "FakeWorker") -> None:
        """A question was put to `worker`."""

    def on_reply(self, worker: "FakeWorker", question: Question) -> Answer | None:
        """`worker` is about to answer; the answer, or WorkerLostError, of one that misbehaves."""

    def values(self, worker: "FakeWorker", question: Question) -> dict[str, tuple[float, ...]]:
        """All values of the answer but latencies."""

    def noise(self) -> dict[str, float]:
        """What the machine did."""

    def seconds(self, worker: "FakeWorker", case: Case) -> float:
        """What a call takes."""


class FakeWorker:
    """Answers everything with made-up numbers; a call takes what the scene says, and nothing else takes time."""

    def __init__(self, scene: Scene, number: int) -> None:
        """`number` is that of the worker, or of the round that it was started for."""
        self.scene = scene
        self.number = number
        self.prepared: set[Case] = set()
        self.waiting: Question | None = None
        self.asked: list[Question] = []
        self.resting = self.closed = False

    def put(self, question: Question) -> None:
        assert not self.closed
        assert self.waiting is None, "one question at a time"
        self.resting, self.waiting = False, question
        self.scene.on_put(self)

    def reply(self, limit: float) -> Answer:
        question, self.waiting = self.waiting, None
        assert question is not None, "nothing was asked"
        self.asked.append(question)
        if (answer := self.scene.on_reply(self, question)) is not None:
            if isinstance(question, Prepare) and answer.outcome == "measured":
                self.prepared.add(question.case)
            return answer
        match question:
            case Prepare(case, _):
                self.prepared.add(case)
            case Release():
                self.prepared.clear()
            case Time(case, iterations, samples):
                assert case in self.prepared, "timed before it was prepared in this worker"
                seconds = self.scene.seconds(self, case)
                self.scene.clock.time += seconds * iterations * samples
                return Answer(values={"latency": (seconds,) * samples})
            case ObserveMachine():
                return Answer(noise=self.scene.noise())
            case Accuracy() | Memory() | Probe():
                pass
            case _:
                raise AssertionError(question)
        return Answer(values=self.scene.values(self, question))

    def rest(self) -> None:
        self.resting = True

    def close(self) -> None:
        self.closed, self.waiting = True, None
