"""Who is fastest in a contest, and who cannot be told apart from that."""

import math
from collections.abc import Sequence

from harness.compare import in_one_run
from harness.metric import METRICS
from harness.results import Result
from harness.wording import full_precision


def fastest(rivals: Sequence[Result]) -> list[Result]:
    """The fastest of the measured members of a contest, then those that are not known to be slower; maybe none.

    The plain linear layers stand outside unless they are alone: they quantise nothing.
    """
    timed = [result for result in rivals if math.isfinite(latency(result))]
    entrants = [result for result in timed if not full_precision(result.case.implementation)] or timed
    if not entrants:
        return []
    best = min(entrants, key=latency)
    return [best, *(one for one in entrants if one is not best and not in_one_run(best, one).lo > 1)]


def latency(result: Result) -> float:
    """Over all rounds; NaN where it was not measured."""
    summary = result.summary(METRICS["latency"])
    return summary.centre if summary else math.nan
