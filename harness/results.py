"""Records gathered by case: all rounds of one case are its result."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from harness.metric import METRICS, Metric
from harness.model import Case, Params, Record, Summary
from harness.stats import summarise

_READING_ORDER = ("n", "k", "m", "scheme", "distribution", "dtype", "device", "threads")
"""Shape first, then what is computed, then where; other params follow by name."""


@dataclass(frozen=True)
class Result:
    """One case over its rounds. `records` is never empty."""

    case: Case
    records: tuple[Record, ...]

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
        """What was measured, in the order of METRICS."""
        names = {m.metric for record in self.measured for m in record.measurements if m.values}
        return tuple(metric for name, metric in METRICS.items() if name in names)

    def rounds(self, metric: Metric) -> dict[int, tuple[float, ...]]:
        """Raw values by measured round; rounds without this metric are left out."""
        values = {record.round: record.values(metric.name) for record in self.measured}
        return {number: taken for number, taken in values.items() if taken}

    def summary(self, metric: Metric) -> Summary | None:
        """The metric over all rounds, or None where it was not measured."""
        if metric.name not in self._summaries:
            rounds = self.rounds(metric)
            self._summaries[metric.name] = summarise(metric, list(rounds.values())) if rounds else None
        return self._summaries[metric.name]

    @cached_property
    def _summaries(self) -> dict[str, Summary | None]:
        """By metric, once asked for: tables, answers and figures ask for the same ones again and again."""
        return {}


def results(records: Iterable[Record]) -> dict[str, Result]:
    """Results by case name, in the order of their first record."""
    by_case: dict[str, list[Record]] = {}
    for record in records:
        by_case.setdefault(record.case.name, []).append(record)
    return {name: Result(group[0].case, tuple(group)) for name, group in by_case.items()}


def contests(everything: Iterable[Result]) -> dict[str, list[Result]]:
    """Results by contest: those that were timed against each other."""
    by_contest: dict[str, list[Result]] = {}
    for result in everything:
        by_contest.setdefault(result.contest, []).append(result)
    return by_contest


def varying(everything: Iterable[Result]) -> tuple[Params, list[str]]:
    """Params that all the cases share, and the names of those that differ or are missing somewhere."""
    params = [result.case.params for result in everything]
    names = sorted({name for point in params for name in point}, key=_reading_order)
    shared = {name: params[0][name] for name in names if len({str(point.get(name)) for point in params}) == 1}
    return shared, [name for name in names if name not in shared]


def _reading_order(name: str) -> tuple[int, str]:
    return (_READING_ORDER.index(name) if name in _READING_ORDER else len(_READING_ORDER), name)
