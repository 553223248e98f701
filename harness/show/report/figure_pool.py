"""The figures of a report, drawn side by side: most of the time that a report takes is theirs."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from markupsafe import Markup
from matplotlib.figure import Figure as Canvas

from harness.errors import NothingMeasuredError
from harness.machine.environment import usable_cores
from harness.show.plots import svg
from harness.show.report.drawn import numbers_of
from harness.show.report.sections import Figure

FILES: tuple[svg.Kind, ...] = ("svg", "png")


@dataclass(frozen=True)
class Task:
    """A figure that is to be drawn. `draw` raises NothingMeasuredError where there is nothing to draw."""

    name: str
    owner: str
    """The run, the gate or the change that it is of; empty where it is of all runs."""
    draw: Callable[[], Canvas]
    is_told: bool = True
    """Whether its numbers are put below it; else they have a table of their own."""


@dataclass(frozen=True)
class Drawing:
    """A figure as the page shows it, and as the files that were asked for, by their suffix."""

    figure: Figure
    files: Mapping[str, bytes] = field(default_factory=dict)


@contextmanager
def drawn(tasks: Sequence[Task], files: bool = False) -> Iterator[Callable[[], list[Drawing]]]:
    """Draws every figure meanwhile, by a process a core; what is yielded waits for them, in the order of `tasks`.

    Where processes cannot fork they are drawn when they are asked for.
    """
    if min(usable_cores(), len(tasks)) < 2 or sys.platform != "linux":
        yield lambda: [_drawing(index, task, files) for index, task in enumerate(tasks)]
        return
    # The tasks are found by the processes where they are forked: figures are drawn from frames too large to be sent.
    with multiprocessing.get_context("fork").Pool(min(usable_cores(), len(tasks)), _remember, (tasks,)) as pool:
        yield pool.starmap_async(_forked, [(index, files) for index in range(len(tasks))], chunksize=1).get


_tasks: Sequence[Task] = ()
"""Of a process that draws."""


def _remember(tasks: Sequence[Task]) -> None:
    global _tasks
    _tasks = tasks


def _forked(index: int, files: bool) -> Drawing:
    return _drawing(index, _tasks[index], files)


def _drawing(index: int, task: Task, files: bool) -> Drawing:
    try:
        canvas = task.draw()
    except NothingMeasuredError as error:
        return Drawing(Figure(task.name, task.name, "", Markup(), str(error), task.owner))
    numbers = numbers_of(canvas) if task.is_told else None
    title, caption = canvas.get_suptitle(), str(canvas.get_label())
    # A figure's ids are those of its place on the page.
    picture = Markup(svg.inline(canvas, f"f{index + 1}-{task.name}"))
    figure = Figure(task.name, title, caption, picture, run=task.owner, numbers=numbers)
    return Drawing(figure, {kind: svg.render(canvas, kind) for kind in FILES} if files else {})
