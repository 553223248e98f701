"""The sections on time: latencies in each regime with the goals, and the ceilings that they are held against."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.columns import standing_columns
from harness.analysis.results import Result, contests
from harness.analysis.view import View
from harness.analysis.words import in_size, speedup
from harness.estimators.intervals import Comparison
from harness.model import Ceilings, Params
from harness.model.units import amount, figure, spread
from harness.show.table import Cell, Column, Table
from suites.device_check.section import FAILED, Section, run_in, told
from suites.special.device import REGIMES

BASELINE, CONTESTANT, REGIME = "linear-bf16", "triton", "graph"
"""Of the goals: who is to be how many times as fast as whom, and where."""
MICROSECOND = 1e-6
LEGEND = (
    "Intervals are of 95 % over rounds. graph: calls captured as one CUDA graph, weights in memory; cold: one call at a"
    " time, L2 flushed, launch not seen; eager: calls in a row that Python launches, weights as the call before left"
    f" them. Speed-ups are over `{BASELINE}`; a share is that of the nearer ceiling."
)
PLACE = ("cache", "graph", "m", "n", "k")


@dataclass(frozen=True)
class Goal:
    """So many times as fast as the baseline for so many tokens."""

    tokens: int
    speedup: float


GOALS = (Goal(1, 3.0), Goal(2048, 1.0))


def latencies(out: Path, names: Sequence[str]) -> Section:
    """Of the runs with these names, as far as they came."""
    views = [View.of(run) for name in names if (run := run_in(out, name))]
    tables = [table for regime in REGIMES for table in _tables(regime, views)]
    held, wrong, missing = _goals(views[:1])
    for view in views:
        ends = [result.end for result in view.results if result.end]
        wrong += [told(end, *PLACE) for end in ends if end.outcome in FAILED]
        missing += [told(end, *PLACE) for end in ends if end.outcome == "skipped"]
    measured = any(result.measured for view in views for result in view.results)
    return Section("Latency", [held, *tables, LEGEND] if tables else [held], wrong, missing, measured)


def ceilings(out: Path, names: Sequence[str]) -> Section:
    """What the device can do at most, as the first run found it."""
    runs = [run for name in names if (run := run_in(out, name))]
    known = [one for run in runs[:1] for one in run.run.ceilings]
    columns = (Column("ceiling"), Column("measured", "right"))
    tables = [Table("", columns, list(_ceiling_rows(one))) for one in known]
    return Section("Ceilings", tables, missing=[] if known else ["no ceiling was measured"])


def _ceiling_rows(found: Ceilings) -> Iterator[tuple[str, str]]:
    yield "memory", f"{found.memory_bandwidth / 1e9:.0f} GB/s"
    yield f"L2 cache of {amount(found.cache_bytes, 'B')}", f"{found.cache_bandwidth / 1e9:.0f} GB/s"
    for dtype in ("bfloat16", "float16", "float32", "int8"):
        yield f"product of {dtype}", f"{getattr(found, dtype) / 1e12:.3g} T/s"


def _tables(regime: str, views: Sequence[View]) -> Iterator[Table]:
    """One for every run that was timed in this regime: a row for each shape and number of tokens."""
    for view in views:
        there = [one for one in view.results if _is_in(regime, one.case.params) and one.measured]
        names = list(dict.fromkeys(one.case.implementation for one in there))
        columns = (Column("N x K"), Column("M", "right"), *(Column(name, "right") for name in names))
        rows: list[list[Cell]] = []
        for members in contests(there).values():
            by_name = {one.case.implementation: one for one in members}
            params = members[0].case.params
            cells = [_cell(view, by_name[name]) if name in by_name else "" for name in names]
            rows.append([f"{params['n']} x {params['k']}", params["m"], *cells])
        if rows:
            yield Table(regime, columns, sorted(rows, key=lambda row: (_area(str(row[0])), int(str(row[1])))))


def _cell(view: View, result: Result) -> str:
    """`9.63 us ±0.5%, 3.1x ±0.7%, 61% memory`"""
    latency, ratio = result.summary("latency"), view.ratios.get((result.name, BASELINE))
    if latency is None:
        return ""
    centre, width = in_size(latency, MICROSECOND)
    faster = speedup(ratio) if ratio and result.case.implementation != BASELINE else ""
    share = next(column for column in standing_columns(view) if column.key == "ceiling_share").read(result)
    return ", ".join(filter(None, (f"{centre} us {width}".strip(), faster, share.text if share else "")))


def _is_in(regime: str, params: Params) -> bool:
    return all(params.get(name, 0) == value for name, value in REGIMES[regime].items())


def _area(shape: str) -> int:
    n, _, k = shape.partition(" x ")
    return int(n) * int(k)


def _goals(views: Sequence[View]) -> tuple[Table, list[str], list[str]]:
    """A row for each goal and shape, and which of them are missed and which could not be told."""
    rows, missed, untold = [], [], []
    for goal in GOALS:
        words = f"W2A8 at M={goal.tokens} at least {goal.speedup:g}x {BASELINE}"
        found = [(one, ratio) for view in views for one, ratio in _ratios(view, goal)]
        for result, ratio in found:
            word, figures = _verdict(ratio, goal), _in_figures(ratio)
            shape = f"{result.case.params['n']} x {result.case.params['k']}"
            rows.append((words, shape, figures, word))
            line = f"{words}: {figures} for {shape}"
            missed += [f"{line}, missed"] if word == "missed" else []
            untold += [f"{line}, not told apart from it"] if word == "open" else []
        if not found:
            rows.append((words, "", "", "not measured"))
            untold.append(f"{words}: not measured")
    columns = (Column("goal"), Column("N x K"), Column("measured", "right"), Column("it is"))
    return Table(f"goals, in regime {REGIME}", columns, rows), missed, untold


def _ratios(view: View, goal: Goal) -> Iterator[tuple[Result, Comparison]]:
    for result in view.results:
        params, ratio = result.case.params, view.ratios.get((result.name, BASELINE))
        is_asked = result.case.implementation == CONTESTANT and params["m"] == goal.tokens
        if ratio is not None and is_asked and _is_in(REGIME, params):
            yield result, ratio


def _verdict(ratio: Comparison, goal: Goal) -> str:
    """`held` and `missed` are said only where the whole interval says so."""
    _, lo, hi = ratio.inverse
    if lo >= goal.speedup:
        return "held"
    return "missed" if hi < goal.speedup else "open"


def _in_figures(ratio: Comparison) -> str:
    centre, _, hi = ratio.inverse
    return f"{figure(centre, 3)}x {spread(centre, hi)}"
