"""Which values belong side by side: contestants within a run, and one case in two runs."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from harness.analysis.results import Result, contests
from harness.estimators.intervals import Comparison, Rounds, log_ratio, paired_ratio, round_logs
from harness.model import SUMMARY, Case, normalise_value
from harness.model.metrics import LATENCY, Metric, Paired
from harness.model.metrics.paired import UNITS, PairedWord
from harness.model.rules import Rules

LogsByRound: TypeAlias = Mapping[int, float]
"""One log a round: of a ratio, or of the one value that stands for the round."""
COMPARED_WITH = "compared_with"
"""The fact that says with which case of the same run a case is compared: in which params that one differs, and perhaps
in its implementation, as in `scheme=w16a16 implementation=reference`."""


@dataclass(frozen=True)
class MetricPair:
    """One metric of one case in two runs, measured in at least one of them."""

    case: Case
    metric: Metric
    """As the candidate declares it, where it knows the metric."""
    baseline: Result | None
    """None where that run has no such case."""
    candidate: Result | None
    comparison: Comparison | None
    """None unless both sides were measured, in one unit and, of a paired metric, of the same units."""

    @property
    def units(self) -> tuple[str, ...]:
        """The units of both sides where they differ."""
        sides = [side.known[self.metric.name].unit for side in (self.baseline, self.candidate) if side is not None]
        return tuple(sides) if len(set(sides)) > 1 else ()

    @property
    def unlike(self) -> str:
        """Why both sides of a paired metric are not of the same units; empty where they are, and of other metrics."""
        if self.baseline is None or self.candidate is None or not isinstance(self.metric, Paired):
            return ""
        return unlike_units(self.baseline, self.candidate, self.metric.name)

    @property
    def summarised(self) -> str:
        """Which sides have no raw values, and what they have instead; empty where both have them."""
        sides = (("base", self.baseline), ("head", self.candidate))
        told = [f"{name} has only a {side.facts[SUMMARY]}" for name, side in sides if side and SUMMARY in side.facts]
        return " and ".join(told)

    @cached_property
    def log_ratios(self) -> LogsByRound:
        """The log ratio of the sides within each round that both have; rounds that say nothing are left out.

        For sides that took turns. Raises ValueError where a side was not measured.
        """
        base, head = self._sides()
        common = sorted(base.keys() & head.keys())
        logs = {number: log_ratio(base[number], head[number], apart=True) for number in common}
        return {number: log for number, log in logs.items() if math.isfinite(log)}

    @cached_property
    def side_logs(self) -> tuple[LogsByRound, LogsByRound]:
        """The logs of either side's rounds, for sides that were measured each by itself. Raises as `log_ratios`."""
        base, head = self._sides()
        return round_logs(base), round_logs(head)

    def _sides(self) -> tuple[Rounds, Rounds]:
        if self.baseline is None or self.candidate is None:
            raise ValueError(f"{self.case.name}, {self.metric.name}: not measured on both sides")
        return self.baseline.rounds(self.metric.name), self.candidate.rounds(self.metric.name)


class Standing(NamedTuple):
    """How a candidate stands to a baseline in one paired metric."""

    word: PairedWord | Literal["incomparable", "not_measured"]
    comparison: Comparison | None = None
    """None where there is nothing to compare."""
    reason: str = ""
    """Why there is nothing to compare."""


def match(
    baseline: Mapping[str, Result], candidate: Mapping[str, Result], metrics: Collection[str], *, paired: bool = False
) -> list[MetricPair]:
    """Every case and metric of either run, by case name, limited to `metrics`.

    `paired` says that both sides took turns in the same rounds.
    """
    pairs = []
    for name in {**baseline, **candidate}:
        sides = [side for side in (baseline.get(name), candidate.get(name)) if side is not None]
        declared = {name: metric for side in sides for name, metric in side.known.items()}  # the candidate's win
        measured = {metric.name for side in sides for metric in side.metrics}
        for metric in declared.values():
            if metric.name in measured and metric.name in metrics:
                comparison = _compare(metric, baseline.get(name), candidate.get(name), paired)
                pairs.append(MetricPair(sides[0].case, metric, baseline.get(name), candidate.get(name), comparison))
    return pairs


def mean_by_round(taken: Iterable[LogsByRound]) -> LogsByRound:
    """The logs of the geometric mean of several cases by round, of the rounds that all have."""
    everyone = list(taken)
    if not everyone:
        return {}
    common = set(everyone[0]).intersection(*everyone[1:])
    return {number: sum(rounds[number] for rounds in everyone) / len(everyone) for number in sorted(common)}


def speedups(everything: Iterable[Result], baselines: Collection[str]) -> dict[tuple[str, str], Comparison]:
    """Latency of every result over each baseline of its contest, paired by round, by (case name, baseline).

    A speed-up is one over the ratio.
    """
    ratios = {}
    for members in contests(everything).values():
        timed = [result for result in members if result.has("latency")]
        for base in timed:
            if base.case.implementation in baselines:
                for result in timed:
                    ratio = in_one_run(base, result)
                    ratios[result.name, base.case.implementation] = ratio
    return ratios


def in_one_run(baseline: Result, candidate: Result) -> Comparison:
    """Latency of two results of one contest, paired by round."""
    known = candidate.ratios
    if baseline.name not in known:
        found = paired_ratio(baseline.sides, candidate.sides, looked_at=candidate.looked_at)
        base, head = (side.summary(LATENCY.name) or LATENCY.summarise([]) for side in (baseline, candidate))
        known[baseline.name] = LATENCY.comparison(base, head, found, paired=True)
    return known[baseline.name]


def stands(baseline: Result, candidate: Result, name: str, rules: Rules | None = None) -> Standing:
    """How `candidate` stands to `baseline`, two results of one run, in the paired metric of that name.

    `worse` and `better` lie beyond the metric's tolerance (that of `rules`, where they name another), `ok` within; see
    `Paired.word`. Raises ValueError for a metric that is not paired.
    """
    metric = candidate.known.get(name)
    if not isinstance(metric, Paired):
        raise ValueError(f"{name} is no paired metric of this run")
    for result in (baseline, candidate):
        if not result.has(name):
            return Standing("not_measured", reason=f"{result.name} did not measure {name}")
    if unlike := unlike_units(baseline, candidate, name):
        return Standing("incomparable", reason=unlike)
    comparison = metric.compare(baseline.rounds(name), candidate.rounds(name))
    if math.isnan(comparison.baseline.centre):
        return Standing("not_measured", comparison, f"{baseline.name}: {name} is not a number")
    return Standing((rules or Rules()).metric(metric).word(comparison), comparison)


def counterparts(results: Iterable[Result]) -> dict[str, Result]:
    """The case that each result is compared with, by the result's name.

    Nothing of a result that is compared with none, with itself, or with a case that is not among `results`.
    """
    everything = {result.case: result for result in results}
    others = ((one, everything.get(_compared_with(one))) for one in everything.values() if COMPARED_WITH in one.facts)
    return {one.name: other for one, other in others if other is not None and other is not one}


def _compared_with(result: Result) -> Case:
    case = result.case
    there = dict(word.split("=", 1) for word in str(result.facts[COMPARED_WITH]).split() if "=" in word)
    implementation = there.pop("implementation", case.implementation)
    return Case(
        case.suite, implementation, case.params | {name: normalise_value(value) for name, value in there.items()}
    )


def unlike_units(baseline: Result, candidate: Result, name: str) -> str:
    """Why the values of two results are not of the same units, in words; empty where they are."""
    one, other = (str(side.facts.get(UNITS, "")) for side in (baseline, candidate))
    if one != other:
        return f"base is of the units {one or 'of no name'} and head of {other or 'of no name'}"
    before, after = (len(next(iter(side.rounds(name).values())).values) for side in (baseline, candidate))
    return f"base has {before} units and head {after}" if before != after else ""


def declared_otherwise(pairs: Iterable[MetricPair]) -> list[str]:
    """A sentence for each metric that the two runs declare differently: which declaration counts."""
    told = {}
    for pair in pairs:
        if pair.baseline and pair.candidate:
            base, head = (side.known[pair.metric.name] for side in (pair.baseline, pair.candidate))
            if differing := head.otherwise(base):
                told[pair.metric.name] = (
                    f"base declares {pair.metric.name} otherwise than head, whose declaration counts: {differing}"
                )
    return list(told.values())


def _compare(metric: Metric, baseline: Result | None, candidate: Result | None, paired: bool) -> Comparison | None:
    if baseline is None or candidate is None or not (baseline.has(metric.name) and candidate.has(metric.name)):
        return None
    if baseline.known[metric.name].unit != candidate.known[metric.name].unit:
        return None
    if isinstance(metric, Paired) and unlike_units(baseline, candidate, metric.name):
        return None
    base, head = baseline.rounds(metric.name), candidate.rounds(metric.name)
    looked_at = paired or baseline.looked_at or candidate.looked_at
    return metric.compare(base, head, paired=paired, apart=paired, looked_at=looked_at)
