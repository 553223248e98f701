"""Which blocks of a contest's round count for nobody, because the machine was disturbed beside or in them."""

import statistics
from collections.abc import Iterable, Sequence

from harness.model import Record

DISTURBED = 2.0
"""A canary that took this many times the median of the round's canaries was disturbed."""
MOST = 0.5
"""More than this share of a round's blocks is never voided: a machine that noisy has no quiet blocks to keep."""


def voided(canary: Sequence[float], suspended: Sequence[float]) -> tuple[int, ...]:
    """The blocks that are voided. `canary` holds seconds before the first block and after each, `suspended` seconds in
    each block.
    """
    if len(canary) < 2:
        return ()
    limit = DISTURBED * statistics.median(canary)
    blocks = range(len(canary) - 1)
    found = tuple(
        block
        for block in blocks
        if max(canary[block], canary[block + 1]) > limit or (block < len(suspended) and suspended[block] > 0)
    )
    return found if len(found) <= MOST * len(blocks) else ()


def told(records: Iterable[Record]) -> str:
    """How many blocks of a run were voided, in words; empty if none was. Contestants share the blocks of a round."""
    rounds = {(record.case.contest, record.round): record for record in records if record.noise.get("canary")}
    lost = sum(len(record.voided) for record in rounds.values())
    blocks = sum(len(record.noise["canary"]) - 1 for record in rounds.values())
    if not lost:
        return ""
    return f"{lost} of {blocks} blocks were voided, as the canary beside them was disturbed; see `bitbench env --check`"
