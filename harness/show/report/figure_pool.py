"""The figures of a report, drawn side by side: most of the time that a report takes is theirs."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from markupsafe import Markup

from harness.errors import NothingMeasuredError
from harness.machine.environment import usable_cores
from harness.show.plots import svg
from harness.show.plots.theme import Drawing
from harness.show.report.drawn import table_of
from harness.show.report.sections import PageFigure

FILES: tuple[svg.Kind, ...] = ("svg", "png")


@dataclass(frozen=True)
class Task:
    """A figure that is to be drawn. `draw` raises NothingMeasuredError where there is nothing to draw."""

    name: str
    owner: str
    """The run, the gate or the change that it is of; empty where it is of all runs."""
    draw: Callable[[], Drawing]
    has_table: bool = True
    """Whether its frame is put below it; else the page has a table of its own."""


@contextmanager
def side_by_side(tasks: Sequence[Task], files: bool = False) -> Iterator[Callable[[], list[PageFigure]]]:
    """Draws every figure meanwhile, by a process a core; what is yielded waits for them, in the order of `tasks`.

    Where processes cannot fork they are drawn when they are asked for.
    """
    if min(usable_cores(), len(tasks)) < 2 or sys.platform != "linux":
        yield lambda: [_figure(index, task, files) for index, task in enumerate(tasks)]
        return
    # The tasks are found by the processes where they are forked: figures are drawn from frames too large to be sent.
    with multiprocessing.get_context("fork").Pool(min(usable_cores(), len(tasks)), _remember, (tasks,)) as pool:
        yield pool.starmap_async(_forked, [(index, files) for index in range(len(tasks))], chunksize=1).get


_tasks: Sequence[Task] = ()
"""Of a process that draws."""


def _remember(tasks: Sequence[Task]) -> None:
    global _tasks
    _tasks = tasks


def _forked(index: int, files: bool) -> PageFigure:
    return _figure(index, _tasks[index], files)


def _figure(index: int, task: Task, files: bool) -> PageFigure:
    try:
        figure, frame = task.draw()
    except NothingMeasuredError as error:
        return PageFigure(task.name, task.name, "", Markup(), str(error), task.owner)
    title, caption = figure.get_suptitle(), str(figure.get_label())
    return PageFigure(
        name=task.name,
        title=title,
        caption=caption,
        # A figure's ids are those of its place on the page.
        svg=Markup(svg.inline(figure, f"f{index + 1}-{task.name}")),
        run=task.owner,
        table=table_of(frame, task.name, title) if task.has_table else None,
        files={kind: svg.render(figure, kind) for kind in FILES} if files else {},
    )
