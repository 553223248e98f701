"""Who leads: the fastest of a contest, and the baseline that all others are held against."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from harness.analysis.pairs import in_one_run
from harness.analysis.results import Result, contests
from harness.analysis.view import BASELINES, View
from harness.model.units import is_known


def fastest(rivals: Sequence[Result]) -> list[Result]:
    """The fastest of the measured members of a contest, then those that are not known to be slower; maybe none.

    None where the interval of the fastest is so wide that its latency is not known (`quantity.is_known`). The plain
    linear layers stand outside unless they are alone: they quantise nothing.
    """
    timed = [result for result in rivals if math.isfinite(latency(result))]
    entrants = [result for result in timed if not full_precision(result.case.implementation)] or timed
    if not entrants:
        return []
    best = min(entrants, key=latency)
    if not has_known_latency(best):
        return []
    return [best, *(one for one in entrants if one is not best and not in_one_run(best, one).lo > 1)]


def has_known_latency(result: Result) -> bool:
    """Whether it was measured, and its interval leaves something to say."""
    summary = result.summary("latency")
    return summary is not None and math.isfinite(summary.centre) and is_known(summary.centre, summary.hi)


def latency(result: Result) -> float:
    """Over all rounds; NaN where it was not measured."""
    summary = result.summary("latency")
    return summary.centre if summary else math.nan


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
    timed = ({one.case.implementation: latency(one) for one in group} for group in groups)
    first = leading(timed) or "".join(stored[:1])
    return [replace(view, baselines=sorted(view.baselines, key=lambda name: name != first)) for view in views]


def full_precision(implementation: str) -> bool:
    """Whether the name is one of the plain linear layers: they run beside the BitLinears and quantise nothing."""
    return implementation.startswith("linear-")
