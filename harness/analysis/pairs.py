"""Which values belong side by side: contestants within a run, and one case in two runs."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from harness.analysis.intervals import Comparison, exact_ratio, paired_ratio, unpaired_ratio
from harness.analysis.results import Result, contests
from harness.model import Case
from harness.model.metrics import METRICS, Metric


@dataclass(frozen=True)
class MetricPair:
    """One metric of one case in two runs, measured in at least one of them."""

    case: Case
    metric: Metric
    baseline: Result | None
    """None where that run has no such case."""
    candidate: Result | None
    comparison: Comparison | None
    """None unless both sides were measured."""


def match(
    baseline: Mapping[str, Result], candidate: Mapping[str, Result], metrics: Collection[str], *, paired: bool = False
) -> list[MetricPair]:
    """Every case and metric of either run, by case name, limited to `metrics`.

    `paired` says that both sides took turns in the same rounds.
    """
    pairs = []
    for name in {**baseline, **candidate}:
        sides = [side for side in (baseline.get(name), candidate.get(name)) if side is not None]
        measured = {metric.name for side in sides for metric in side.metrics}
        for metric in METRICS.values():
            if metric.name in measured and metric.name in metrics:
                comparison = _compare(metric, baseline.get(name), candidate.get(name), paired)
                pairs.append(MetricPair(sides[0].case, metric, baseline.get(name), candidate.get(name), comparison))
    return pairs


def speedups(everything: Iterable[Result], baselines: Collection[str]) -> dict[tuple[str, str], Comparison]:
    """Latency of every result over each baseline of its contest, paired by round, by (case name, baseline).

    A speed-up is one over the ratio.
    """
    latency = METRICS["latency"]
    ratios = {}
    for members in contests(everything).values():
        timed = [result for result in members if latency in result.metrics]
        for base in timed:
            if base.case.implementation in baselines:
                for result in timed:
                    ratio = in_one_run(base, result)
                    ratios[result.name, base.case.implementation] = ratio
    return ratios


def in_one_run(baseline: Result, candidate: Result) -> Comparison:
    """Latency of two results of one contest, paired by round."""
    latency = METRICS["latency"]
    return paired_ratio(latency, baseline.rounds(latency), candidate.rounds(latency), looked_at=candidate.looked_at)


def _compare(metric: Metric, baseline: Result | None, candidate: Result | None, paired: bool) -> Comparison | None:
    if baseline is None or candidate is None or metric not in baseline.metrics or metric not in candidate.metrics:
        return None
    base, head = baseline.rounds(metric), candidate.rounds(metric)
    if metric.assume == "exact":
        return exact_ratio(metric, base, head)
    if paired:
        return paired_ratio(metric, base, head, looked_at=True, apart=True)
    return unpaired_ratio(metric, base, head, looked_at=baseline.looked_at or candidate.looked_at)
