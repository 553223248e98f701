"""The report: runs in, one self-contained HTML file out. Imports pandas and matplotlib, so import it late.

The same records and rules always give the same bytes: nothing in the page depends on when or where it was made.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from harness import frames
from harness.analysis.arguments import Source
from harness.analysis.ranking import led
from harness.analysis.view import View
from harness.errors import NothingMeasuredError, StoreError
from harness.model.rules import Rules
from harness.show.plots import FRAMES, PLOTS, Plot
from harness.show.plots.forest import Change, forest
from harness.show.plots.theme import Drawing
from harness.show.report.answers.sentences import Usage
from harness.show.report.changes import ChangePart, changes_of
from harness.show.report.figure_pool import Task, side_by_side
from harness.show.report.gates import GatePart, gates_of
from harness.show.report.page import render
from harness.show.report.sections import PageFigure
from harness.store import files

_DRAWN_RUNS = 3
"""Runs that get figures of their own: the page is to stay small."""
_SVG_BYTES = 900_000
"""Of all figures together."""
_TOO_LARGE = "left out to keep the page small; `bitbench report --figures DIR` saves it"


def write(
    runs: Source | Sequence[Source],
    output: Path | str,
    figures: Path | str | None = None,
    rules: Rules | None = None,
    usage: Usage = lambda *_: "",
) -> None:
    """Write the report of `runs` to `output`, and every figure as SVG and PNG into the directory `figures`.

    Runs that are the two sides of a gate are judged by `rules`. `usage` is the line of code that uses an implementation
    at a case's params, empty where there is none.

    Raises ValueError for what is no run, StoreError when a file cannot be written, and UsageError when a run is given
    twice.
    """
    output, figures = Path(output), Path(figures) if figures else None
    views = led(frames.views_of(runs))
    stored = [view.stored for view in views]
    gates, changes = gates_of(stored, rules or Rules()), changes_of(stored, rules)
    summary = frames.summary(*views)
    tasks = [*_of_runs(views, summary), *_of_changes(gates, changes)]
    with side_by_side(tasks, files=figures is not None) as drawn:
        text = render(views, lambda: _by_owner(drawn()), summary, gates, changes, usage)
        with _explained(output):
            files.replace(output, text.encode())
        if figures:
            with _explained(figures):
                _save(figures, drawn())


def _of_runs(views: Sequence[View], summary: pd.DataFrame) -> Iterator[Task]:
    """The figures of PLOTS: of the first runs one each, and those of all runs together."""
    for index, view in enumerate(views):
        made = {"summary": summary[summary["run"] == view.stored.run.id]}
        for name, plot in PLOTS.items():
            if not plot.of_many_runs:
                draw = _drawer(plot, [view], made) if index < _DRAWN_RUNS else _too_many
                yield Task(name, view.stored.run.id, draw)
    for name, plot in PLOTS.items():
        if plot.of_many_runs:
            yield Task(name, "", _drawer(plot, views, {"summary": summary}))


def _drawer(plot: Plot, views: Sequence[View], made: dict[str, pd.DataFrame]) -> Callable[[], Drawing]:
    """Draws the plot; its frames are made here, unless they are among those that are `made`."""
    made |= {frame: FRAMES[frame](*views) for frame in plot.frames if frame not in made}
    named = {"baseline": next(iter(views[0].baselines), None)} if plot.over_baseline else {}
    return partial(plot.draw, *(made[frame] for frame in plot.frames), **named)


def _too_many() -> Drawing:
    raise NothingMeasuredError(f"only the first {_DRAWN_RUNS} runs of a page have figures of their own")


def _of_changes(gates: Sequence[GatePart], changes: Sequence[ChangePart]) -> Iterator[Task]:
    for gate in gates:
        yield Task("changes", gate.name, partial(_forest, gate, ("base", "head"), gate.mean), has_table=False)
    for change in changes:
        yield Task("changes", change.name, partial(_forest, change, change.sides), has_table=False)


def _forest(part: GatePart | ChangePart, sides: tuple[str, str], mean: Change | None = None) -> Drawing:
    if not part.is_drawn:
        raise NothingMeasuredError("no latency was measured on both sides")
    return forest(part.cases, part.sentinels, mean, sides)


def _by_owner(figures: Iterable[PageFigure]) -> dict[str, list[PageFigure]]:
    """The figures of each run, gate and change, as far as they fit into the page."""
    inline: dict[str, list[PageFigure]] = {}
    size = 0
    for figure in figures:
        size += len(figure.svg)
        if size > _SVG_BYTES:
            inline.setdefault(figure.run, []).append(replace(figure, svg=Markup(), table=None, missing=_TOO_LARGE))
        else:
            inline.setdefault(figure.run, []).append(figure)
    return inline


def _save(directory: Path, figures: Sequence[PageFigure]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    several = len({figure.run for figure in figures if figure.run}) > 1
    for figure in figures:
        prefix = f"{figure.run}-" if several and figure.run else ""
        for kind, content in figure.files.items():
            (directory / f"{prefix}{figure.name}.{kind}").write_bytes(content)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write {path}: {error.strerror or error}; name a place in a directory that exists and is yours"
        ) from error
