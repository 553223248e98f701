"""Which of several choices no other beats, where one costs bytes or time and answers unit by unit."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from harness.estimators.sample_mean import Difference
from harness.show.plots.tradeoff import Standing, pareto


class Choice(NamedTuple):
    """A cost, of which less is better, with its interval, and the score of each unit."""

    cost: float
    cost_lo: float
    cost_hi: float
    values: tuple[float, ...]


def standings(choices: Sequence[Choice], better: Literal["lower", "higher"]) -> list[Standing]:
    """Of each choice, by the mean over units.

    A choice is dominated where another costs no more and is better, both for certain: intervals of costs do not
    overlap, and that of the difference unit by unit does not hold 0. Where the scores are alike, the cost decides.
    """
    sign = 1.0 if better == "higher" else -1.0
    gains = np.array([sign * float(np.mean(one.values)) for one in choices])
    front = pareto(np.array([one.cost for one in choices]), gains)
    words: list[Standing] = []
    for place, one in enumerate(choices):
        beaten = any(_dominates(other, one, sign) for other in choices if other is not one)
        words.append("front" if place in front else "dominated" if beaten else "undecided")
    return words


def _dominates(one: Choice, other: Choice, sign: float) -> bool:
    if len(one.values) != len(other.values) or one.cost_hi > other.cost_lo:
        return False
    found = Difference.of(other.values, one.values)
    if found.alike == found.units:
        return one.cost_hi < other.cost_lo
    return min(sign * found.lo, sign * found.hi) > 0
