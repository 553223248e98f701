"""Where a contestant raised, as `Record.trace` says it: lines such as `mine.py:12 in forward: return table[key]`."""

from collections.abc import Sequence
from itertools import takewhile

BEHIND = ("because of ", "while handling ")
"""How the line begins that names the error behind the first."""


def innermost(trace: Sequence[str]) -> str:
    """File, line and function where the error was raised, as in `mine.py:12 in forward`."""
    first = list(takewhile(lambda line: not line.startswith(BEHIND), trace)) or trace
    return first[-1].partition(": ")[0] if first else ""
