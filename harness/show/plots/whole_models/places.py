"""Patterns of layers' names as a kind of layer and the number of a block."""

import re
from typing import NamedTuple

EVERY = "all"
"""Blocks, where a pattern names none."""


class Place(NamedTuple):
    """`attention.self.query` of block `3`."""

    kind: str
    block: str
    """Digits, or EVERY."""


def place_of(pattern: str) -> Place:
    """Of `*.layers.3.self_attn.q_proj` that is `self_attn.q_proj` in `3`, of `*.q_proj` it is `q_proj` in all blocks.

    Several patterns are joined by "+": they have one block only where all name it.
    """
    each = [_place(one) for one in pattern.split("+")]
    blocks = {one.block for one in each}
    return Place(" + ".join(dict.fromkeys(one.kind for one in each)), blocks.pop() if len(blocks) == 1 else EVERY)


def in_order(blocks: set[str]) -> list[str]:
    """Numbers by size, then EVERY."""
    return sorted(blocks, key=lambda block: (block == EVERY, int(block) if block != EVERY else 0))


def _place(pattern: str) -> Place:
    found = re.search(r"(?:^|\.)(\d+)(?:\.|$)", pattern)
    if found is None:
        return Place(pattern.removeprefix("*.") or pattern, EVERY)
    kind = pattern[found.end() :]
    return Place("every layer" if kind in ("", "*") else kind, found[1])
