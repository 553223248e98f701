"""The report: runs in, one self-contained HTML file out. Imports pandas and seaborn, so import it late.

The same records and rules always give the same bytes: nothing in the page depends on when or where it was made.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure as Canvas

from harness import frames, whole_file
from harness.errors import NothingMeasuredError, StoreError
from harness.plots import FRAMES, PLOTS, svg
from harness.plots.forest import forest
from harness.report.gates import GatePart, gates_of
from harness.report.page import Figure, render
from harness.result_table import View
from harness.rules import Rules
from harness.store import StoredRun

_DRAWN_RUNS = 3
"""Runs that get figures: the page is to stay small."""


@dataclass(frozen=True)
class Drawing:
    """One of PLOTS for one run: its canvas, or the reason why it is missing."""

    name: str
    canvas: Canvas | None
    missing: str = ""


def write(runs: Sequence[StoredRun], output: Path, figures: Path | None = None, rules: Rules | None = None) -> None:
    """Write the report of `runs` to `output`, and every figure as SVG and PNG into the directory `figures`.

    Runs that are the two sides of a gate are judged by `rules`.

    Raises StoreError when a file cannot be written, and UsageError when a run is given twice.
    """
    views = frames.views_of(runs)
    summary = frames.summary(*views)
    drawings = {view.stored.run.id: _draw(view, index < _DRAWN_RUNS) for index, view in enumerate(views)}
    inline = {
        name: [_inline(f"run{number}-{drawing.name}", drawing) for drawing in some]
        for number, (name, some) in enumerate(drawings.items(), start=1)
    }
    gates = gates_of(runs, rules or Rules())
    forests = [_forest(gate) for gate in gates]
    drawings |= {gate.name: [drawing] for gate, drawing in zip(gates, forests, strict=True)}
    inline |= {
        gate.name: [_inline(f"gate{number}-{drawing.name}", drawing)]
        for number, (gate, drawing) in enumerate(zip(gates, forests, strict=True), start=1)
    }
    page = render(views, inline, summary, gates)
    with _explained(output):
        whole_file.replace(output, page.encode())
    if figures:
        with _explained(figures):
            _save(figures, drawings)


def _draw(view: View, wanted: bool) -> list[Drawing]:
    made: dict[str, pd.DataFrame] = {}
    drawings = []
    for name, plot in PLOTS.items():
        if not wanted:
            drawings.append(Drawing(name, None, _TOO_MANY))
            continue
        try:
            made |= {frame: FRAMES[frame](view) for frame in plot.frames if frame not in made}
            drawings.append(Drawing(name, plot.draw(*(made[frame] for frame in plot.frames))))
        except NothingMeasuredError as error:
            drawings.append(Drawing(name, None, str(error)))
    return drawings


def _forest(gate: GatePart) -> Drawing:
    if not gate.is_drawn:
        return Drawing("gate", None, "no latency was measured on both sides")
    return Drawing("gate", forest(gate.cases, gate.sentinels, gate.mean))


_TOO_MANY = f"only the first {_DRAWN_RUNS} runs of a page have figures"


def _inline(identity: str, drawing: Drawing) -> Figure:
    canvas = drawing.canvas
    if canvas is None:
        return Figure(drawing.name, drawing.name, "", Markup(), drawing.missing)
    picture = Markup(svg.inline(canvas, identity))
    return Figure(drawing.name, canvas.get_suptitle(), str(canvas.get_label()), picture)


def _save(directory: Path, drawings: dict[str, list[Drawing]]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for run, some in drawings.items():
        for drawing in some:
            if drawing.canvas is not None:
                prefix = f"{run}-" if len(drawings) > 1 else ""
                svg.save(drawing.canvas, directory, f"{prefix}{drawing.name}")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}; name a place in a directory that exists and is yours"
        ) from error
