"""Records gathered by case: all rounds of one case are its result."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from harness.estimators.intervals import Comparison, RatioSide, Summary, ratio_sides
from harness.estimators.looks import LOOKS
from harness.model import Aim, Case, Measurement, Params, Record, Role, StoredRun, known_metrics
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
    known: Mapping[str, Metric] = field(default_factory=lambda: METRICS, repr=False)
    """The metrics that its run knows, by name."""

    @property
    def name(self) -> str:
        """The case's name."""
        return self.case.name

    @property
    def contest(self) -> str:
        """The contest's name."""
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

    @cached_property
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
        """What was measured, in the order of `known`; not what is a distribution, which nothing here sums up."""
        return tuple(one for name, one in self.known.items() if name in self._taken and not one.distribution)

    @cached_property
    def _taken(self) -> frozenset[str]:
        return frozenset(m.metric for record in self.measured for m in record.measurements if m.values)

    def took(self, name: str) -> bool:
        """Whether there are raw values of that name, of a distribution too."""
        return name in self._taken

    def has(self, name: str) -> bool:
        """Whether the metric of that name was measured."""
        return name in self._names

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(metric.name for metric in self.metrics)

    def rounds(self, name: str) -> dict[int, Measurement]:
        """What was measured by round, without the blocks that were voided; rounds without this metric are left out."""
        return self._rounds.get(name, {})

    @cached_property
    def _rounds(self) -> dict[str, dict[int, Measurement]]:
        """By metric."""
        found: dict[str, dict[int, Measurement]] = {}
        for record in self.measured:
            for taken in record.measurements:
                if (kept := _unspoilt(taken, record.voided)).values:
                    found.setdefault(taken.metric, {})[record.round] = kept
        return found

    def summary(self, name: str) -> Summary | None:
        """The metric of that name over all rounds, as its run declares it; None where it was not measured."""
        if name not in self._summaries:
            values = [taken.values for taken in self.rounds(name).values()] if name in self.known else []
            self._summaries[name] = self.known[name].summarise(values, looked_at=self.looked_at) if values else None
        return self._summaries[name]

    @cached_property
    def _summaries(self) -> dict[str, Summary | None]:
        """By metric, once asked for: tables, answers and figures ask for the same ones again and again."""
        return {}

    @cached_property
    def sides(self) -> dict[int, RatioSide]:
        """By round, of the ratio of its latency to that of another contestant."""
        return ratio_sides(self.rounds("latency"))

    @cached_property
    def ratios(self) -> dict[str, Comparison]:
        """Of its latency to those of others in its contest, by their names, once asked for (`pairs.in_one_run`)."""
        return {}


def valid(record: Record, metric: str) -> Measurement:
    """The measurement of `metric` in `record`, without what was taken in voided blocks; empty if there is none."""
    taken = next((m for m in record.measurements if m.metric == metric), Measurement(metric, ()))
    return _unspoilt(taken, record.voided)


def _unspoilt(taken: Measurement, voided: Collection[int]) -> Measurement:
    """Without what was taken in blocks that were `voided`."""
    if not voided or not taken.blocks:
        return taken
    kept = [(v, block) for v, block in zip(taken.values, taken.blocks, strict=True) if block not in voided]
    return Measurement(taken.metric, tuple(v for v, _ in kept), taken.iterations, tuple(block for _, block in kept))


def of_run(stored: StoredRun) -> dict[str, Result]:
    """The results of a stored run by case name, in the order of their first record."""
    return results(stored.records, stored.run.aims, known_metrics(stored.run))


def results(
    records: Iterable[Record], aims: Mapping[str, Aim] | None = None, known: Mapping[str, Metric] = METRICS
) -> dict[str, Result]:
    """Results by case name, in the order of their first record. `aims` by suite and `known` metrics as in a header."""
    by_case: dict[str, list[Record]] = {}
    for record in records:
        by_case.setdefault(record.case.name, []).append(record)
    aimed = aims or {}
    return {
        name: Result(group[0].case, tuple(group), aimed.get(group[0].case.suite, FIXED), known)
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
    shared = {name: params[0][name] for name in names if _is_shared(str(params[0].get(name)), name, params)}
    return shared, [name for name in names if name not in shared]


def _is_shared(value: str, name: str, params: Iterable[Params]) -> bool:
    return all(str(point.get(name)) == value for point in params)


def _reading_order(name: str) -> tuple[int, str]:
    return (_READING_ORDER.index(name) if name in _READING_ORDER else len(_READING_ORDER), name)
