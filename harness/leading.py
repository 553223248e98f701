"""The baseline: the one plain linear layer that answers, tables and figures hold everything else against."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.metric import METRICS
from harness.result_table import BASELINES, View
from harness.results import Result, contests


def leading(timed: Iterable[Mapping[str, float]]) -> str:
    """Of BASELINES the one that is fastest: a gain over a slower one is none. Empty where none of them was timed.

    `timed` holds a contest's latencies by implementation. Those in the most contests are compared, by the geometric
    mean over the contests that have them all.
    """
    everywhere = [{name: one[name] for name in BASELINES if one.get(name, math.nan) > 0} for one in timed]
    counts = {name: sum(name in one for one in everywhere) for name in BASELINES}
    candidates = [name for name in BASELINES if counts[name] and counts[name] == max(counts.values())]
    shared = [one for one in everywhere if one.keys() >= set(candidates)]
    means = {name: statistics.mean([math.log(one[name]) for one in shared] or [0.0]) for name in candidates}
    return min(candidates, key=lambda name: means[name], default="")


def led(views: Sequence[View]) -> list[View]:
    """The views, each with the baseline of all of them together as the first of its baselines.

    Where nothing was timed it is the last of BASELINES that is in them: the one that stores less.
    """
    groups = [group for view in views for group in contests(view.results).values()]
    names = {result.case.implementation for group in groups for result in group}
    stored = [name for name in reversed(BASELINES) if name in names]
    timed = ({one.case.implementation: _latency(one) for one in group} for group in groups)
    first = leading(timed) or "".join(stored[:1])
    return [replace(view, baselines=sorted(view.baselines, key=lambda name: name != first)) for view in views]


def _latency(result: Result) -> float:
    summary = result.summary(METRICS["latency"])
    return summary.centre if summary else math.nan
