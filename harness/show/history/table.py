"""The series of a history and their changes as tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.history.series import Change, Series
from harness.analysis.naming import titles
from harness.model import Case
from harness.model.units import amount, figure, signed_amount
from harness.show.table import Block, Cell, Column, Table

_NARROW = 0.0005
"""Share of a change that is shown as 0.0 %."""
_NUMBERS = ("runs before", "change", "runs", "first", "last", "since the first", "changes")


@dataclass(frozen=True)
class _Named:
    case: Case


def contests(series: Sequence[Series]) -> dict[str, str]:
    """What each case is about besides its implementation, in words, by its name."""
    cases = {one.case: Case.parse(one.case) for one in series}
    words = titles(map(_Named, cases.values()))
    return {name: words[case.contest] for name, case in cases.items()}


def changes_table(series: Sequence[Series], *, for_people: bool = True) -> Table:
    """A row a change, the largest first; those for the worse come before those for the better.

    For people without the full names of cases, and without the machine where there is only one kind.
    """
    found = [(one, change) for one in series for change in one.changes]
    found.sort(key=lambda pair: (not pair[1].is_worse, -weight(pair[1])))
    words = contests(series)
    rows: list[dict[str, Cell]] = [
        {
            **_identity(one, words),
            "commits": change.commits,
            "runs before": change.at,
            "change": size(one, change),
            "interval": interval(one, change),
            "verdict": "worse" if change.is_worse else "better",
        }
        for one, change in found
    ]
    return _table("changes", rows, series, for_people)


def series_table(series: Sequence[Series], *, for_people: bool = True) -> Table:
    """A row a series: how many runs, its first and its last level, and how many changes lie between."""
    words = contests(series)
    rows: list[dict[str, Cell]] = [
        {
            **_identity(one, words),
            "runs": len(one.runs),
            "first": level(one, 0),
            "last": level(one, -1),
            "since the first": percent(one.since_begin) if one.changes else "",
            "changes": len(one.changes),
        }
        for one in series
    ]
    return _table("series", rows, series, for_people)


def _identity(one: Series, words: Mapping[str, str]) -> dict[str, Cell]:
    told = {"implementation": one.implementation, "contest": words[one.case], "metric": one.metric}
    return {"case": one.case, **told, "machine": one.machine_kind}


def _table(title: str, rows: Sequence[Mapping[str, Cell]], series: Sequence[Series], for_people: bool) -> Table:
    left_out = {"case"} if for_people else set()
    if for_people and len({one.machine_kind for one in series}) == 1:
        left_out.add("machine")
    names = [name for name in (rows[0] if rows else ()) if name not in left_out]
    columns = tuple(Column(name, "right" if name in _NUMBERS else "left") for name in names)
    return Table(title, columns, [[row[name] for name in names] for row in rows])


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
