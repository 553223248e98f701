"""The series of a history and their changes as tables."""

import math
from collections.abc import Sequence

from harness.analysis.history.series import Change, Series
from harness.model.units import amount, figure, signed_amount
from harness.show.table import Block, Cell, Column, Table

CHANGES = ("case", "metric", "machine", "commits", "runs before", "change", "interval", "")
_NARROW = 0.0005
"""Share of a change that is shown as 0.0 %."""


def changes_table(series: Sequence[Series]) -> Table:
    """A row a change, the largest first; those for the worse come before those for the better."""
    found = [(one, change) for one in series for change in one.changes]
    found.sort(key=lambda pair: (not pair[1].is_worse, -weight(pair[1])))
    rows: list[list[Cell]] = [
        [
            one.case,
            one.metric,
            one.machine_kind,
            change.commits,
            change.at,
            size(one, change),
            interval(one, change),
            "worse" if change.is_worse else "better",
        ]
        for one, change in found
    ]
    numbers = ("runs before", "change")
    return Table("changes", tuple(Column(name, "right" if name in numbers else "left") for name in CHANGES), rows)


def series_table(series: Sequence[Series]) -> Table:
    """A row a series: how many runs, its first and its last level, and how many changes lie between."""
    names = ("case", "metric", "machine", "runs", "first", "last", "since the first", "changes")
    rows: list[list[Cell]] = [
        [
            one.case,
            one.metric,
            one.machine_kind,
            len(one.runs),
            level(one, 0),
            level(one, -1),
            percent(one.since_begin) if one.changes else "",
            len(one.changes),
        ]
        for one in series
    ]
    return Table("series", tuple(Column(name, "left" if name in names[:3] else "right") for name in names), rows)


def machines_line(series: Sequence[Series]) -> str:
    """Each machine kind in words, a line each."""
    kinds = {one.machine_kind: one.machine for one in series}
    return "\n".join(f"machine {kind}: {words}" for kind, words in sorted(kinds.items()))


def page(series: Sequence[Series]) -> list[Block]:
    """Machines, changes and series, for a terminal or as Markdown."""
    changes = changes_table(series)
    said = f"{len(changes.rows)} changes in {len(series)} series of at most {max(len(one.runs) for one in series)} runs"
    blocks: list[Block] = [machines_line(series), said]
    return [*blocks, *([changes] if changes.rows else []), series_table(series)]


def level(one: Series, index: int) -> str:
    """The mean of the first (0) or last (-1) stretch."""
    return amount(one.levels[index][2], one.unit)


def size(one: Series, change: Change) -> str:
    """`+5.2 %`, or of what has no ratio `+0.8 dB`."""
    return percent(change.size) if change.is_ratio else signed_amount(change.size, change.size, change.size, one.unit)


def interval(one: Series, change: Change) -> str:
    """`[+4.1, +6.3] %`; empty of an exact metric, which has none."""
    if change.lo == change.hi:
        return ""
    if not change.is_ratio:
        return signed_amount(change.size, change.lo, change.hi, one.unit).partition(" ")[2]
    lo, hi = (100 * (bound - 1) for bound in (change.lo, change.hi))
    return f"[{lo:+.1f}, {hi:+.1f}] %"


def percent(ratio: float) -> str:
    """`+5.2 %`; a great ratio as a factor."""
    if not math.isfinite(ratio):
        return ""
    if ratio >= 10:
        return f"{figure(ratio, 3)}x"
    return "0.0 %" if abs(ratio - 1) < _NARROW else f"{100 * (ratio - 1):+.1f} %"


def weight(change: Change) -> float:
    """How large a change is, on a scale that is the same up and down."""
    return abs(math.log(change.size)) if change.is_ratio and change.size > 0 else abs(change.size)
