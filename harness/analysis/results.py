"""Records gathered by case: all rounds of one case are its result."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from harness.analysis.intervals import Summary, summarise
from harness.analysis.looks import LOOKS
from harness.model import Aim, Case, Measurement, Params, Record, Role
from harness.model.metrics import METRICS, Metric

_READING_ORDER = ("n", "k", "m", "scheme", "distribution", "dtype", "device", "threads")
"""Shape first, then what is computed, then where; other params follow by name."""

FIXED = Aim()
"""No precision was to be reached: the rounds were fixed beforehand."""


class HasCase(Protocol):
    """Something about one case: a result, a verdict."""

    @property
    def case(self) -> Case:
        """The case that it is about."""


@dataclass(frozen=True)
class Result:
    """One case over its rounds. `records` is never empty."""

    case: Case
    records: tuple[Record, ...]
    aim: Aim = FIXED
    """What its suite was to reach."""

    @cached_property
    def name(self) -> str:
        """The case's name, spelled once."""
        return self.case.name

    @cached_property
    def contest(self) -> str:
        """The contest's name, spelled once."""
        return self.case.contest

    @property
    def facts(self) -> Params:
        """What the suite says of the case."""
        return self.records[0].facts

    @property
    def role(self) -> Role:
        """What it is measured for."""
        return self.records[0].role

    @property
    def is_baseline(self) -> bool:
        """Whether others are compared with it, and it competes with nobody."""
        return self.role == "baseline"

    @property
    def looked_at(self) -> bool:
        """Whether its number of rounds was decided by looking at them; a single look at the end decides nothing."""
        return (self.aim.precision > 0 or self.aim.extended) and self.aim.rounds > LOOKS[0]

    @cached_property
    def measured(self) -> tuple[Record, ...]:
        """The rounds that came to their end."""
        return tuple(record for record in self.records if record.outcome == "measured")

    @property
    def end(self) -> Record | None:
        """The first record that was not measured: why this case has fewer rounds than others, or none."""
        return next((record for record in self.records if record.outcome != "measured"), None)

    @property
    def wrong(self) -> bool:
        """Whether a round ended because the answer did not agree with the contract."""
        return any(record.outcome == "failed" and record.measurements for record in self.records)

    @cached_property
    def metrics(self) -> tuple[Metric, ...]:
        """What was measured, in the order of METRICS; not what is a distribution, which nothing here sums up."""
        names = {m.metric for record in self.measured for m in record.measurements if m.values}
        return tuple(metric for name, metric in METRICS.items() if name in names and not metric.distribution)

    def rounds(self, metric: Metric) -> dict[int, Measurement]:
        """What was measured by round, without the blocks that were voided; rounds without this metric are left out."""
        return {record.round: taken for record in self.measured if (taken := valid(record, metric.name)).values}

    def summary(self, metric: Metric) -> Summary | None:
        """The metric over all rounds, or None where it was not measured."""
        if metric.name not in self._summaries:
            values = [taken.values for taken in self.rounds(metric).values()]
            self._summaries[metric.name] = summarise(metric, values, looked_at=self.looked_at) if values else None
        return self._summaries[metric.name]

    @cached_property
    def _summaries(self) -> dict[str, Summary | None]:
        """By metric, once asked for: tables, answers and figures ask for the same ones again and again."""
        return {}


def valid(record: Record, metric: str) -> Measurement:
    """The measurement of `metric` in `record`, without what was taken in voided blocks; empty if there is none."""
    taken = next((m for m in record.measurements if m.metric == metric), Measurement(metric, ()))
    if not record.voided or not taken.blocks:
        return taken
    kept = [(v, block) for v, block in zip(taken.values, taken.blocks, strict=True) if block not in record.voided]
    return Measurement(metric, tuple(v for v, _ in kept), taken.iterations, tuple(block for _, block in kept))


def results(records: Iterable[Record], aims: Mapping[str, Aim] | None = None) -> dict[str, Result]:
    """Results by case name, in the order of their first record. `aims` by suite, as in the run's header."""
    by_case: dict[str, list[Record]] = {}
    for record in records:
        by_case.setdefault(record.case.name, []).append(record)
    known = aims or {}
    return {
        name: Result(group[0].case, tuple(group), known.get(group[0].case.suite, FIXED))
        for name, group in by_case.items()
    }


def contests(everything: Iterable[Result]) -> dict[str, list[Result]]:
    """Results by contest: those that were timed against each other."""
    by_contest: dict[str, list[Result]] = {}
    for result in everything:
        by_contest.setdefault(result.contest, []).append(result)
    return by_contest


def varying(everything: Iterable[HasCase]) -> tuple[Params, list[str]]:
    """Params that all the cases share, and the names of those that differ or are missing somewhere."""
    params = [result.case.params for result in everything]
    names = sorted({name for point in params for name in point}, key=_reading_order)
    shared = {name: params[0][name] for name in names if len({str(point.get(name)) for point in params}) == 1}
    return shared, [name for name in names if name not in shared]


def _reading_order(name: str) -> tuple[int, str]:
    return (_READING_ORDER.index(name) if name in _READING_ORDER else len(_READING_ORDER), name)
