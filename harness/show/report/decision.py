"""The decision table: a row a contest, a column an implementation, and in each cell how much faster it is."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.analysis.results import Result, contests
from harness.analysis.view import View
from harness.analysis.whole_model.step import layers_of
from harness.estimators.intervals import Comparison
from harness.model.units import NOT_KNOWN, figure, is_known
from harness.show.report.answers.contest import LATENCY
from harness.show.report.answers.questions import ContestAnswer
from harness.show.report.data import attribute
from harness.show.typography import typeset

CELLS = 1000
"""Most cells that are shown: beyond them the page grows and is no longer read."""
_CHOICES = 40
"""Most values of a filter."""
_LABELS = {"m": "M", "suite": "suite", "run": "run"}


class Gain(NamedTuple):
    """A speed-up over one baseline with its interval, as text; both empty where there is none."""

    factor: str = ""
    bounds: str = ""


class GainCell(NamedTuple):
    """One implementation in one contest: a gain for each baseline, its latency, and a word that says how it ended."""

    gains: Sequence[Gain] = ()
    latency: str = ""
    word: str = ""
    kind: str = ""
    """`fastest`, `undecided`, `absent` or nothing."""


class ContestRow(NamedTuple):
    """A row: the contest in words, its run where there are several, the values of the filters, and the cells."""

    title: str
    run: str
    fields: str
    cells: Sequence[GainCell]


@dataclass(frozen=True)
class DecisionTable:
    """All contests that were timed. `left_out` of them are not shown."""

    baselines: Sequence[str]
    columns: Sequence[str]
    filters: str
    """Names of the filters, as the page's script reads them; the fields of a contest are in the same order."""
    contests: Sequence[ContestRow]
    shared: str
    absent: Sequence[str]
    """Implementations that were timed nowhere and so have no column."""
    left_out: int = 0


class _Entry(NamedTuple):
    """A contest of one view, before it is put into words."""

    view: View
    title: str
    members: Mapping[str, Result]
    point: Mapping[str, str]
    fastest: ContestAnswer | None


def decision_table(views: Sequence[View], fastest: Mapping[tuple[str, str], ContestAnswer]) -> DecisionTable | None:
    """The table of all runs; None where nothing was timed.

    `fastest` answers by run and contest which implementation is the fastest there.
    """
    entries = [entry for view in views for entry in _entries(view, fastest)]
    if not entries:
        return None
    baselines = [base for base in views[0].baselines if any(base in entry.members for entry in entries)]
    baselines = [base for base in baselines if any(_ratio(e, n, base) for e in entries for n in e.members if n != base)]
    columns, absent = _columns(entries, baselines)
    names, shared = _filters(entries)
    rows = max(1, CELLS // max(1, len(columns)))
    shown = [
        ContestRow(
            _unbroken(entry.title),
            entry.view.stored.run.id if len(views) > 1 else "",
            attribute(entry.point.get(name, "") for name in names),
            [_cell(entry, name, baselines) for name in columns],
        )
        for entry in entries[:rows]
    ]
    filters = attribute(_LABELS.get(name, name) for name in names)
    return DecisionTable(baselines, columns, filters, shown, shared, absent, len(entries) - len(shown))


def _entries(view: View, fastest: Mapping[tuple[str, str], ContestAnswer]) -> list[_Entry]:
    words, run = view.titles, view.stored.run.id
    found = []
    for contest, group in contests(layers_of(view.results)).items():
        if any(result.has(LATENCY.name) for result in group):
            members = {result.case.implementation: result for result in group}
            point = {"run": run} | _point(group[0])
            found.append(_Entry(view, words[contest], members, point, fastest.get((run, contest))))
    return found


def _point(result: Result) -> dict[str, str]:
    """What a contest may be filtered by: the shape as one, then every other param."""
    params = result.case.params
    shape = {"shape": f"{params['n']} × {params['k']}"} if {"n", "k"} <= params.keys() else {}
    others = {name: str(value) for name, value in params.items() if not shape or name not in ("n", "k")}
    return {"suite": result.case.suite} | shape | others


def _filters(entries: Sequence[_Entry]) -> tuple[list[str], str]:
    """The names of what varies, and a sentence about what does not."""
    values: dict[str, dict[str, None]] = {}
    for entry in entries:
        for name in entry.point:
            values.setdefault(name, {})
    for name, seen in values.items():
        seen.update(dict.fromkeys(entry.point.get(name, "") for entry in entries))
    alike = {name: next(iter(seen)) for name, seen in values.items() if len(seen) == 1 and name not in ("run", "suite")}
    shared = [f"{_LABELS.get(name, name)} {value}" for name, value in alike.items()]
    varying = [name for name, seen in values.items() if 1 < len(seen) <= _CHOICES]
    return varying, f"All with {', '.join(shared)}." if shared else ""


def _columns(entries: Sequence[_Entry], baselines: Sequence[str]) -> tuple[list[str], list[str]]:
    """The implementations that were timed, the fastest first; and those that were not."""
    names = dict.fromkeys(name for entry in entries for name in entry.members)
    timed = [name for name in names if any(_latency(entry.members.get(name)) for entry in entries)]
    gains = {name: _typical(_ratio(entry, name, base) for entry in entries for base in baselines) for name in timed}
    return sorted(timed, key=lambda name: -gains[name]), [name for name in names if name not in gains]


def _unbroken(title: str) -> str:
    """With spaces that do not break within a shape."""
    return title.replace(" × ", "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}").replace(
        " = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"
    )


def _typical(ratios: Iterable[Comparison | None]) -> float:
    return statistics.median([1 / one.ratio for one in ratios if one and one.ratio > 0] or [0.0])


def _ratio(entry: _Entry, name: str, base: str) -> Comparison | None:
    result = entry.members.get(name)
    return entry.view.ratios.get((result.name, base)) if result else None


def _latency(result: Result | None) -> str:
    summary = result.summary(LATENCY.name) if result and result.has(LATENCY.name) else None
    return typeset(summary.centre, "s") if summary else ""


def _cell(entry: _Entry, name: str, baselines: Sequence[str]) -> GainCell:
    result = entry.members.get(name)
    latency = _latency(result)
    if result is None or not latency:
        return GainCell(word=_absence(result), kind="absent")
    gains = [_gain(_ratio(entry, name, base), own=name == base) for base in baselines]
    word = ""
    if entry.fastest and name in entry.fastest.winners:
        word = "undecided" if entry.fastest.undecided else "fastest"
    return GainCell(gains, latency, word, word)


def _absence(result: Result | None) -> str:
    """Why there is no latency, in a word or two."""
    if result is None:
        return "not asked for"
    if result.wrong:
        return "wrong answer"
    return result.end.outcome.replace("_", " ") if result.end else "not timed"


def _gain(ratio: Comparison | None, *, own: bool) -> Gain:
    if own:
        return Gain("1×")
    if ratio is None or not ratio.ratio > 0:
        return Gain()
    if not is_known(ratio.ratio, ratio.hi):
        return Gain(NOT_KNOWN)
    factor, lo, hi = ratio.inverse
    bounds = f"[{figure(lo, 3)}, {figure(hi, 3)}]" if lo == lo and hi == hi else "no interval"
    return Gain(f"{figure(factor, 3)}×", bounds)
