"""A live gate on a stage: two sides of fake workers and a fake clock."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from harness.gate.live import LiveGate, plan_case_pairs
from harness.gate.pair_controller import PairedController
from harness.judge.judge import Judgement
from harness.model import Budget, Case, Record, Request, Side
from harness.model.messages import Accuracy, Answer, Description, Memory, ObserveMachine, Prepare, Question, Time
from harness.model.metrics import METRICS
from harness.model.rules import Rules
from harness.model.suite import Axis, Registry, Suite
from tests.harness.fakes.fake_worker import FakeClock, FakeWorker

JUDGED = frozenset(name for name, metric in METRICS.items() if not metric.informative)
SUITE = Suite(
    name="s",
    summary="",
    axes=(Axis("m", (1, 2), int),),
    metrics=("latency", "weight_bytes", "error_sqnr", "peak_forward_bytes"),
    budget=Budget(rounds=4, seconds=0.3),
    workload="",
    resolve=dict,
    facts=lambda _: {},
)
WATCHED = replace(SUITE, name="watch", axes=(), metrics=("latency",), implementations=("stock",))
REGISTRY = Registry("fake", {"s": SUITE, "watch": WATCHED}, "", sentinels=("watch",))
EXACT = {"weight_bytes": 640.0, "error_sqnr": 8.0, "peak_forward_bytes": 50.0}
MEASURED_BY: Mapping[type[Question], str] = {
    Prepare: "weight_bytes",
    Accuracy: "error_sqnr",
    Memory: "peak_forward_bytes",
}

Latency = Callable[[Side, Case, int], float]
"""(side, case, round) -> seconds a call"""
Misbehaviour = Callable[[Side, Question, int], Answer | None]


def quiet(side: Side, case: Case, number: int) -> float:
    return 0.001 * random.Random(f"{side}/{case.name}/{number}").lognormvariate(0, 0.002)


def changed(**factors: float | Sequence[float]) -> Latency:
    """By implementation: how much slower head is; a sequence says it by round, the last one for all after it."""

    def latency(side: Side, case: Case, number: int) -> float:
        factor = factors.get(case.implementation, 1.0)
        by_round = factor if isinstance(factor, Sequence) else [factor]
        return quiet(side, case, number) * (by_round[min(number, len(by_round) - 1)] if side == "head" else 1.0)

    return latency


def description(*implementations: str) -> Description:
    return Description({}, dict.fromkeys(implementations, ""), {}, {"cpu": ""})


class GateScene:
    """A gate of implementations `base` and `head`, with two cases each, and of one sentinel."""

    def __init__(
        self,
        latency: Latency = quiet,
        misbehave: Misbehaviour = lambda side, question, number: None,
        *,
        base: str = "ab",
        head: str = "ab",
        values: Mapping[str, Mapping[str, float | None]] | None = None,
        rules: Rules | None = None,
        budget: float = 0.0,
        metrics: frozenset[str] = JUDGED,
        request: Request | None = None,
        earlier: Mapping[Side, Sequence[Record]] | None = None,
    ) -> None:
        self.clock, self.round = FakeClock(), -1
        self.log: list[tuple[Side, Question]] = []
        self.at_once: list[set[Side]] = []
        self.sides: dict[FakeWorker, Side] = {}
        """Of every worker, in the order in which they were started."""
        self.latency, self.misbehave, self.changed_values = latency, misbehave, values or {}
        self.rules = rules or Rules()
        self.kept: list[Mapping[Side, Record]] = []
        self.looks: list[tuple[int, int]] = []
        asked = request or Request(suites=("s",), metrics=tuple(metrics))
        self.case_pairs = plan_case_pairs(REGISTRY, asked, {"base": description(*base), "head": description(*head)})
        self.controller = PairedController(self.start, Budget(rounds=0, seconds=0.3), 1.0, 0, self.clock)
        deadline = budget or math.inf
        self.gate = LiveGate(self.case_pairs, self.controller, self.rules, metrics, deadline, self.clock, earlier or {})

    @property
    def workers(self) -> list[FakeWorker]:
        return list(self.sides)

    def start(self, side: Side) -> FakeWorker:
        self.round += all(worker.closed for worker in self.sides)
        worker = FakeWorker(self, self.round)
        self.sides[worker] = side
        return worker

    def on_put(self, worker: FakeWorker) -> None:
        self.at_once.append({side for one, side in self.sides.items() if one.waiting})

    def on_reply(self, worker: FakeWorker, question: Question) -> Answer | None:
        if isinstance(question, Accuracy | Time | ObserveMachine):
            others = [one for one in self.sides if one is not worker and not one.closed]
            assert all(one.resting and not one.waiting for one in others), "somebody else may compute"
        self.log.append((self.sides[worker], question))
        return self.misbehave(self.sides[worker], question, worker.number)

    def values(self, worker: FakeWorker, question: Question) -> dict[str, tuple[float, ...]]:
        """Head may have changed those of an implementation; what is None is not answered."""
        if not isinstance(question, Prepare | Accuracy | Memory):
            return {}
        own = self.changed_values.get(question.case.implementation, {}) if self.sides[worker] == "head" else {}
        metric = MEASURED_BY[type(question)]
        value = {**EXACT, **own}[metric]
        return {} if value is None else {metric: (value,)}

    def noise(self) -> dict[str, float]:
        return {"canary": 0.0005}

    def seconds(self, worker: FakeWorker, case: Case) -> float:
        return self.latency(self.sides[worker], case, worker.number)

    def measured(self, number: int, done: int, of: int, records: Mapping[Side, Record]) -> None:
        """Nothing."""

    def looked(self, rounds: int, judgement: Judgement, going_on: int) -> None:
        self.looks.append((rounds, going_on))

    def run(self) -> Judgement:
        return self.gate.run(self, self.kept.append)
