"""Who is fastest in a contest, and who cannot be told apart from that."""

import math
from collections.abc import Sequence

from harness.compare import in_one_run
from harness.metric import METRICS
from harness.quantity import is_known
from harness.results import Result
from harness.wording import full_precision


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
    summary = result.summary(METRICS["latency"])
    return summary is not None and math.isfinite(summary.centre) and is_known(summary.centre, summary.hi)


def latency(result: Result) -> float:
    """Over all rounds; NaN where it was not measured."""
    summary = result.summary(METRICS["latency"])
    return summary.centre if summary else math.nan
