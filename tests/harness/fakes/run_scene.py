"""A run on a stage: the controller of one or two contests over fake workers and a fake clock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from msgspec import structs

from harness.model import Aim, Budget, Case, Ceilings, Record, Request
from harness.model.messages import Accuracy, Answer, Memory, Prepare, Question
from harness.model.metrics import METRICS
from harness.model.suite import Suite
from harness.runner.controller import Controller
from harness.runner.plan import Contest
from tests.harness.fakes.fake_worker import FakeClock, FakeWorker

SUITE = Suite(
    name="s",
    summary="",
    axes=(),
    metrics=("latency", "weight_bytes", "agreement_sqnr", "first_call", "peak_forward_bytes"),
    budget=Budget(rounds=3, seconds=0.5, sample=0.005),
    workload="",
    resolve=dict,
    facts=dict,
)
FIXED = Aim(rounds=SUITE.budget.rounds)
ANSWERS: Mapping[type[Question], Mapping[str, tuple[float, ...]]] = {
    Prepare: {"prepare": (0.1,), "first_call": (0.2,), "weight_bytes": (1e6,)},
    Accuracy: {"agreement_sqnr": (140.0,)},
    Memory: {"peak_forward_bytes": (50.0,)},
}

Misbehaviour = Callable[[Question], Answer | None]
Latency = Callable[[Case, int], float]
"""(case, number of the worker) -> seconds per call"""


def contest_of(m: int, aim: Aim = FIXED, wall: float = 0.0) -> Contest:
    """Three contestants; their suite has `wall` seconds."""
    suite = replace(SUITE, budget=structs.replace(SUITE.budget, wall=wall))
    cases = tuple(Case.of("s", name, {"m": m}) for name in "abc")
    metrics = {name: METRICS[name] for name in SUITE.metric_names}
    return Contest(suite, cases, {"operations": 2, "activation_bytes": 8}, metrics, aim, seed=1)


class Silent:
    """Watches a run and says nothing."""

    def began(self, contest: Contest, number: int, left: int) -> None:
        """Nothing."""

    def prepared(self, case: Case, values: dict[str, tuple[float, ...]]) -> None:
        """Nothing."""


class RunScene:
    """A controller of one or two contests over fake workers."""

    def __init__(
        self,
        misbehave: Misbehaviour = lambda _: None,
        *,
        budget: float = 0.0,
        wall: float = 0.0,
        contests: int = 1,
        aim: Aim = FIXED,
        latency: Latency = lambda case, number: 0.001,
        ceilings: Sequence[Ceilings] = (),
    ) -> None:
        self.clock = FakeClock()
        self.log: list[Question] = []
        self.workers: list[FakeWorker] = []
        self.contests = [contest_of(m, aim, wall) for m in range(1, contests + 1)]
        self.misbehave = misbehave
        self.latency = latency
        request = Request(suites=("s",), budget=budget)
        self.controller = Controller(self.contests, request, self.start, self.clock, ceilings)

    def start(self) -> FakeWorker:
        self.workers.append(FakeWorker(self, len(self.workers)))
        return self.workers[-1]

    def on_put(self, worker: FakeWorker) -> None:
        """Nothing to see to: there is one worker at a time."""

    def on_reply(self, worker: FakeWorker, question: Question) -> Answer | None:
        self.log.append(question)
        return self.misbehave(question)

    def values(self, worker: FakeWorker, question: Question) -> dict[str, tuple[float, ...]]:
        return dict(ANSWERS.get(type(question), {}))

    def noise(self) -> dict[str, float]:
        return {"canary": 0.0005, "page_faults": 1.0, "suspended": 0.0}

    def seconds(self, worker: FakeWorker, case: Case) -> float:
        return self.latency(case, worker.number)

    def records(self) -> list[Record]:
        return list(self.controller.records(Silent()))
