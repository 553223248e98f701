"""What rounds of some noise can tell apart: the least margin that works, and the least slowdown that is found."""

import math

from harness.rules import Rules
from harness.stats import student

POWER = 0.9
"""How often it is to work."""


def resolvable(noise: float, level: float, rounds: int) -> float:
    """The least margin with which unchanged code is found to be ok in nine of ten gates of so many rounds."""
    quantiles = student(rounds - 1, 1 - 2 * level) + student(rounds - 1, 2 * POWER - 1)
    return math.expm1(quantiles * noise / math.sqrt(rounds))


def detectable(noise: float, rules: Rules, cases: int, rounds: int) -> float:
    """The least slowdown that is accused in nine of ten gates of so many cases, at the look after `rounds`."""
    quantiles = student(rounds - 1, 1 - 2 * rules.red_level / cases) + student(rounds - 1, 2 * POWER - 1)
    return math.expm1(math.log1p(rules.margin) + quantiles * noise / math.sqrt(rounds))
