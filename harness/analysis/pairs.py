"""Which values belong side by side: contestants within a run, and one case in two runs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from harness.analysis.results import Result, contests
from harness.estimators.intervals import Comparison
from harness.model import Case
from harness.model.metrics import METRICS, Metric


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
    """None unless both sides were measured, in one unit."""

    @property
    def units(self) -> tuple[str, ...]:
        """The units of both sides where they differ."""
        sides = [side.known[self.metric.name].unit for side in (self.baseline, self.candidate) if side is not None]
        return tuple(sides) if len(set(sides)) > 1 else ()


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
    base, head = (side.rounds("latency") for side in (baseline, candidate))
    return METRICS["latency"].compare(base, head, paired=True, looked_at=candidate.looked_at)


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
    base, head = baseline.rounds(metric.name), candidate.rounds(metric.name)
    looked_at = paired or baseline.looked_at or candidate.looked_at
    return metric.compare(base, head, paired=paired, apart=paired, looked_at=looked_at)
