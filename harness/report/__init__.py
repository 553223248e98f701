"""The report: runs in, one self-contained HTML file out. Imports pandas and seaborn, so import it late.

The same records and rules always give the same bytes: nothing in the page depends on when or where it was made.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure as Canvas

from harness import frames, whole_file
from harness.errors import NothingMeasuredError, StoreError
from harness.plots import FRAMES, PLOTS, Plot, svg
from harness.plots.forest import forest
from harness.report.drawn import numbers_of
from harness.report.gates import GatePart, gates_of
from harness.report.page import render
from harness.report.sections import Figure
from harness.result_table import View
from harness.rules import Rules
from harness.store import StoredRun

_DRAWN_RUNS = 3
"""Runs that get figures of their own: the page is to stay small."""
_TOO_MANY = f"only the first {_DRAWN_RUNS} runs of a page have figures of their own"
_SVG_BYTES = 900_000
"""Of all figures together."""
_TOO_LARGE = "is left out to keep the page small; `bitbench report --figures DIR` saves it"
_ALL_RUNS = ""
"""The name of what is about all runs together."""


@dataclass(frozen=True)
class Drawing:
    """A figure of one run, of a gate or of all: its canvas, or the reason why it is missing."""

    name: str
    canvas: Canvas | None
    missing: str = ""


def write(runs: Sequence[StoredRun], output: Path, figures: Path | None = None, rules: Rules | None = None) -> None:
    """Write the report of `runs` to `output`, and every figure as SVG and PNG into the directory `figures`.

    Runs that are the two sides of a gate are judged by `rules`.

    Raises StoreError when a file cannot be written, and UsageError when a run is given twice.
    """
    views = frames.views_of(runs)
    gates = gates_of(runs, rules or Rules())
    summary = frames.summary(*views)
    drawings = _drawings(views, summary, gates)
    page = render(views, _inlined(drawings), summary, gates)
    with _explained(output):
        whole_file.replace(output, page.encode())
    if figures:
        with _explained(figures):
            _save(figures, drawings)


def _drawings(views: Sequence[View], summary: pd.DataFrame, gates: Sequence[GatePart]) -> dict[str, list[Drawing]]:
    """All figures by the name of their run or gate; those of all runs by no name."""
    single = {name: plot for name, plot in PLOTS.items() if not plot.of_many_runs}
    drawings = {}
    for index, view in enumerate(views):
        alone = view.stored.run.id
        made = {"summary": summary} if len(views) == 1 else {}
        drawings[alone] = (
            _draw(single, [view], made) if index < _DRAWN_RUNS else [Drawing(name, None, _TOO_MANY) for name in single]
        )
    several = {name: plot for name, plot in PLOTS.items() if plot.of_many_runs}
    drawings[_ALL_RUNS] = _draw(several, views, {"summary": summary})
    return drawings | {gate.name: [_forest(gate)] for gate in gates}


def _draw(plots: dict[str, Plot], views: Sequence[View], made: dict[str, pd.DataFrame]) -> list[Drawing]:
    """Each of `plots`; the frames that are `made` are not made again."""
    drawings = []
    for name, plot in plots.items():
        try:
            made |= {frame: FRAMES[frame](*views) for frame in plot.frames if frame not in made}
            drawings.append(Drawing(name, plot.draw(*(made[frame] for frame in plot.frames))))
        except NothingMeasuredError as error:
            drawings.append(Drawing(name, None, str(error)))
    return drawings


def _forest(gate: GatePart) -> Drawing:
    if not gate.is_drawn:
        return Drawing("gate", None, "no latency was measured on both sides")
    return Drawing("gate", forest(gate.cases, gate.sentinels, gate.mean))


def _inlined(drawings: Mapping[str, Sequence[Drawing]]) -> dict[str, list[Figure]]:
    """All figures as the page shows them, as far as they fit into it."""
    inline: dict[str, list[Figure]] = {}
    size = 0
    for number, (name, some) in enumerate(drawings.items(), start=1):
        inline[name] = [_inline(f"f{number}-{drawing.name}", drawing, name) for drawing in some]
        for index, figure in enumerate(inline[name]):
            size += len(figure.svg)
            if size > _SVG_BYTES:
                inline[name][index] = replace(figure, svg=Markup(), numbers=None, missing=_TOO_LARGE)
    return inline


def _inline(identity: str, drawing: Drawing, run: str) -> Figure:
    canvas = drawing.canvas
    if canvas is None:
        return Figure(drawing.name, drawing.name, "", Markup(), drawing.missing, run)
    picture = Markup(svg.inline(canvas, identity))
    numbers = numbers_of(canvas) if drawing.name in PLOTS else None  # a gate has its table of verdicts
    return Figure(drawing.name, canvas.get_suptitle(), str(canvas.get_label()), picture, run=run, numbers=numbers)


def _save(directory: Path, drawings: dict[str, list[Drawing]]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    several = len([name for name in drawings if name]) > 1
    for run, some in drawings.items():
        for drawing in some:
            if drawing.canvas is not None:
                prefix = f"{run}-" if several and run else ""
                svg.save(drawing.canvas, directory, f"{prefix}{drawing.name}")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}; name a place in a directory that exists and is yours"
        ) from error
