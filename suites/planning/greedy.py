"""Which layers get how many bits, within a number of bytes: the cheapest everywhere, then upgrades that gain most.

What schemes cost is added up over kinds of layers, each measured alone. In a whole model errors meet, so a plan is
only a proposal until it is measured whole.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Option(NamedTuple):
    """Layers by one scheme, all others in full precision."""

    layers: str
    """As the axis of that name: patterns joined by "+"."""
    scheme: str
    size: int
    """Bytes of these layers, packed."""
    loss: float
    """What is lost, in any unit that adds up, such as the KL divergence."""


def assign(options: Iterable[Option], most: int) -> dict[str, Option]:
    """By layers the option that they get: together at most `most` bytes. Raises ValueError where none fits.

    At each step the upgrade is taken that gains most a byte and still fits. Dantzig's rule for the multiple-choice
    knapsack problem, off the best assignment by at most the last upgrade that did not fit.
    """
    choices: dict[str, list[Option]] = {}
    for option in options:
        choices.setdefault(option.layers, []).append(option)
    taken = {layers: min(some, key=lambda one: (one.size, one.loss)) for layers, some in choices.items()}
    size = total(taken)
    if size > most:
        raise ValueError(f"{most} bytes are too few: the smallest plan of these schemes takes {size}")
    while upgrade := _best_upgrade(choices, taken, most - size):
        size += upgrade.size - taken[upgrade.layers].size
        taken[upgrade.layers] = upgrade
    return taken


def total(taken: Mapping[str, Option]) -> int:
    """Bytes of all layers."""
    return sum(option.size for option in taken.values())


def _best_upgrade(choices: Mapping[str, list[Option]], taken: Mapping[str, Option], room: int) -> Option | None:
    best, best_gain = None, 0.0
    for layers, options in choices.items():
        now = taken[layers]
        for option in options:
            more, gain = option.size - now.size, now.loss - option.loss
            if more <= room and gain > 0 and (more <= 0 or gain / more > best_gain):
                best, best_gain = option, gain / more if more > 0 else float("inf")
    return best
