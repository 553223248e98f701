"""Who leads: the fastest of a contest, and the baseline that all others are held against."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from harness.analysis.pairs import in_one_run
from harness.analysis.results import Result, contests
from harness.analysis.view import View, baselines_of
from harness.analysis.words import is_known
from harness.model.metrics import METRICS


def fastest(rivals: Sequence[Result]) -> list[Result]:
    """The fastest of the measured members of a contest, then those that are not known to be slower; maybe none.

    None where the interval of the fastest is so wide that its latency is not known (`words.is_known`). Baselines
    stand outside unless they are alone.
    """
    timed = [result for result in rivals if math.isfinite(latency(result))]
    entrants = [result for result in timed if not result.is_baseline] or timed
    if not entrants:
        return []
    best = min(entrants, key=latency)
    if not has_known_latency(best):
        return []
    return [best, *(one for one in entrants if one is not best and not in_one_run(best, one).lo > 1)]


def has_known_latency(result: Result) -> bool:
    """Whether it was measured, and its interval leaves something to say."""
    summary = result.summary(METRICS["latency"])
    return summary is not None and math.isfinite(summary.centre) and is_known(summary.centre, summary.hi)


def latency(result: Result) -> float:
    """Over all rounds; NaN where it was not measured."""
    summary = result.summary(METRICS["latency"])
    return summary.centre if summary else math.nan


def leading(timed: Iterable[Mapping[str, float]]) -> str:
    """The baseline that is fastest: a gain over a slower one is none. Empty where none was timed.

    `timed` holds the latencies of a contest's baselines by name. Those in the most contests are compared, by the
    geometric mean over the contests that have them all.
    """
    everywhere = [{name: seconds for name, seconds in one.items() if seconds > 0} for one in timed]
    counts = Counter(name for one in everywhere for name in one)
    candidates = [name for name, count in counts.items() if count == max(counts.values())]
    shared = [one for one in everywhere if one.keys() >= set(candidates)]
    means = {name: statistics.mean([math.log(one[name]) for one in shared] or [0.0]) for name in candidates}
    return min(candidates, key=lambda name: means[name], default="")


def led(views: Sequence[View]) -> list[View]:
    """The views, each with the baseline of all of them together as the first of its baselines.

    Where nothing was timed it is the one that stores least.
    """
    everything = [result for view in views for result in view.results]
    names = baselines_of(everything)
    groups = [group for view in views for group in contests(view.results).values()]
    timed = ({one.case.implementation: latency(one) for one in group if one.is_baseline} for group in groups)
    first = leading(timed) or min(reversed(names), key=partial(_bits, everything), default="")
    shown = dict.fromkeys(name for view in views for name in view.baselines)
    return [replace(view, baselines=sorted(shown, key=lambda name: name != first)) for view in views]


def _bits(everything: Sequence[Result], baseline: str) -> float:
    """The least that it stores for a weight; infinite where that was not measured."""
    own = [result for result in everything if result.case.implementation == baseline]
    bits = (result.summary(METRICS["bits_per_weight"]) for result in own)
    return min((summary.centre for summary in bits if summary), default=math.inf)
