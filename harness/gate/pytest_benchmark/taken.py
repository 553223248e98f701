"""What the visits of one round to a test have given, and the record that it makes."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from harness.gate.pytest_benchmark.wire import Visited
from harness.model import Case, Measurement, Outcome, Params, Record
from harness.model.metrics import Exact
from harness.runner.record_builder import RoundNoise

FAILURES = Exact(name="failures", title="tests that failed", better="lower", informative=True)
"""Stands in the record of a test that failed: the evidence that its answer is wrong, and not only missing."""
ID = "pytest_id"
"""The param that holds what pytest has between the brackets of a node id."""


def case_of(test: str) -> Case:
    """The case of a node id: the file is its suite, the test without brackets its implementation."""
    path, _, rest = test.partition("::")
    name, bracket, identifier = rest.partition("[")
    params: Params = {ID: identifier.removesuffix("]")} if bracket else {}
    return Case(path, name, params)


def node_id(case: Case) -> str:
    """The inverse of `case_of`."""
    brackets = f"[{case.params[ID]}]" if ID in case.params else ""
    return f"{case.suite}::{case.implementation}{brackets}"


@dataclass
class Taken:
    """Of one side."""

    sample: float
    """Seconds that one value is to stand for, as elsewhere in a gate: shorter ones are pooled."""
    values: list[float] = field(default_factory=list)
    blocks: list[int] = field(default_factory=list)
    iterations: int = 0
    timed: float = 0.0
    warnings: dict[str, None] = field(default_factory=dict)
    outcome: Outcome = "measured"
    reason: str = ""

    def take_in(self, visited: Visited, block: int) -> None:
        """Keep what a visit gave; the first one that ends otherwise than measured ends the case."""
        self.warnings.update(dict.fromkeys(visited.warnings))
        if visited.outcome != "measured":
            self.end(visited.outcome, visited.reason)
            return
        pooled, loops = pool(visited.values, visited.iterations, self.sample)
        self.values += pooled
        self.blocks += [block] * len(pooled)
        self.iterations = min(self.iterations or loops, loops)
        self.timed += sum(visited.values) * visited.iterations

    def end(self, outcome: Outcome, reason: str) -> None:
        """It came to that."""
        self.outcome, self.reason = outcome, reason or "no reason is told"

    @property
    def is_measured(self) -> bool:
        """Whether nothing has ended it."""
        return self.outcome == "measured"

    def record(self, case: Case, number: int, noise: RoundNoise, seconds: float, *, is_regression: bool) -> Record:
        """Of round `number`, which took `seconds`. A failed test has no latency; it is wrong if `is_regression`."""
        if self.is_measured:
            taken: tuple[Measurement, ...] = (
                Measurement("latency", tuple(self.values), self.iterations, tuple(self.blocks)),
            )
        else:
            taken = (Measurement(FAILURES.name, (1.0,)),) if is_regression and self.outcome == "failed" else ()
        told, voided = (noise.told(), noise.voided) if self.is_measured else ({}, ())
        doubts = tuple(self.warnings)
        return Record(case, number, self.outcome, self.reason, taken, {}, told, voided, seconds, self.timed, doubts)


def pool(values: Sequence[float], iterations: int, sample: float) -> tuple[list[float], int]:
    """Means of so many consecutive values that each stands for about `sample` seconds, and the calls of each.

    A short test gives tens of thousands of values in a second, each mostly of the clock's noise.
    """
    each = statistics.median(values) * iterations
    together = min(len(values), max(1, round(sample / each))) if each > 0 else len(values)
    count = len(values) // together
    ends = [len(values) * number // count for number in range(count + 1)]
    pooled = [statistics.fmean(values[start:end]) for start, end in pairwise(ends)]
    return pooled, iterations * together
