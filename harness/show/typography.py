"""Numbers, intervals and lists as a page sets them: typographic signs and spaces that do not break."""

import math
from collections.abc import Sequence

from harness.model.units import amount, figure


def typeset(value: float, unit: str) -> str:
    """`harness.model.units.amount` with typographic signs, and a space that does not break: `458 µs`, `−3.01 dB`."""
    return (
        amount(value, unit).replace("us", "µs").replace("-", "−").replace("inf", "∞").replace(" ", "\N{NO-BREAK SPACE}")
    )


def interval(lo: float, hi: float, unit: str) -> str:
    """`[230 µs, 238 µs]`, or nothing where there is no interval."""
    return f"[{typeset(lo, unit)}, {typeset(hi, unit)}]" if math.isfinite(lo) and math.isfinite(hi) else ""


def interval_of_times(lo: float, hi: float) -> str:
    """`[2.45, 2.58]`: the interval of a factor."""
    return f"[{figure(lo, 3)}, {figure(hi, 3)}]"


def listed(names: Sequence[str], most: int = 4) -> str:
    """`a`, `a and b`, `a, b and c`; beyond `most` names the rest are counted. There is one name at least."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} others"]
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last
