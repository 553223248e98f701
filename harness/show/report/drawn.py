"""The numbers of a figure, read back from what is drawn on it, for the table that is folded below."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryFormatter
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FixedFormatter, FixedLocator, FuncFormatter

from harness.model.units import figure as digits
from harness.show.report.tables import Heading, Sheet, SheetRow

ROWS = 60
"""Most rows of a table: a line of many points is thinned to an even share of them."""

Colour: TypeAlias = tuple[float, ...]


class Point(NamedTuple):
    """A mark in the units of its axes, or a cell of a heat map, whose number is `z`."""

    series: str
    x: float
    y: float
    lo: float = math.nan
    hi: float = math.nan
    z: float = math.nan


class _Unreadable(Exception):  # noqa: N818  (no error: the figure has no table)
    """A number lies between the words of an axis."""


def numbers_of(canvas: Figure) -> Sheet | None:
    """What is drawn, panel by panel, in the words of the axes; None where the axes do not tell, or nothing is drawn."""
    series = [(ax, points) for ax in canvas.axes for points in _series(ax, _legend(canvas))]
    total = sum(len(points) for _, points in series)
    if not total:
        return None
    try:
        rows = [_row(ax, point) for ax, points in series for point in _thinned(points, total)]
    except _Unreadable:
        return None
    rows = rows[:ROWS]
    note = (
        f"{len(rows)} of {total} points; the data below have what all of them come from." if len(rows) < total else ""
    )
    axes = [ax for ax, _ in series]
    headings = (
        Heading("panel", words=True),
        Heading("series", words=True),
        Heading(_shared([ax.get_xlabel() for ax in axes], axes[0].xaxis), words=True),
        Heading(_shared([ax.get_ylabel() for ax in axes], axes[0].yaxis), words=True),
        Heading("from"),
        Heading("to"),
        Heading("colour"),
    )
    used = [n for n in range(len(headings)) if any(row[n] for row in rows)]
    body = [SheetRow([row[n] for n in used]) for row in rows]
    return Sheet("data", f"Data of {canvas.get_suptitle()}", note, tuple(headings[n] for n in used), [body])


def _series(ax: Axes, names: "_Names") -> Iterator[list[Point]]:
    """Bars, lines, scattered points and heat maps, each with the intervals that are drawn through them."""
    bounds = list(_bounds(ax))
    own = {id(line) for one in ax.containers if isinstance(one, ErrorbarContainer) for line in one.lines[1]}
    found: list[list[Point]] = []
    for container in ax.containers:
        if isinstance(container, BarContainer):
            across = container.orientation == "horizontal"
            found.append([_bar(patch, names, across=across) for patch in container.patches])
    for line in ax.lines:
        if id(line) not in own and line.get_transform() == ax.transData:
            x, y = (np.atleast_1d(np.asarray(values, float)) for values in line.get_data())
            name = names.of(line, line.get_color(), line.get_marker())
            found.append([Point(name, *pair) for pair in zip(x, y, strict=True)])
    for collection in ax.collections:
        if isinstance(collection, PathCollection):
            found.append(list(_scattered(collection, names)))
        elif isinstance(collection, QuadMesh):
            found.append(list(_cells(collection)))
    for points in found:
        yield [_with_bounds(point, bounds) for point in points if math.isfinite(point.x) and math.isfinite(point.y)]


def _bar(patch: Any, names: "_Names", *, across: bool) -> Point:
    name = names.of(patch, patch.get_facecolor(), "")
    x, y, width, height = patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()
    return Point(name, width, y + height / 2) if across else Point(name, x + width / 2, height)


def _scattered(collection: PathCollection, names: "_Names") -> Iterator[Point]:
    offsets, colours = np.ma.filled(collection.get_offsets(), math.nan), np.atleast_2d(collection.get_facecolor())
    for index, (x, y) in enumerate(offsets):
        colour = colours[index % len(colours)] if colours.size else "none"
        yield Point(names.of(collection, colour, ""), float(x), float(y))


def _cells(mesh: QuadMesh) -> Iterator[Point]:
    array = mesh.get_array()
    values = np.ma.filled(np.ma.asarray(array, float), math.nan) if array is not None else np.empty((0, 0))
    for y, row in enumerate(np.atleast_2d(values)):
        for x, value in enumerate(row):
            if math.isfinite(value):
                yield Point("", x + 0.5, y + 0.5, z=float(value))


def _bounds(ax: Axes) -> Iterator[tuple[bool, float, float, float]]:
    """Intervals: whether across, the position on the other axis, and both ends."""
    for container in ax.containers:
        if isinstance(container, ErrorbarContainer):
            for index, bars in enumerate(container.lines[2]):
                across = bool(container.has_xerr) and index == 0
                for segment in bars.get_segments():
                    if len(segment) == 2:
                        (x0, y0), (x1, y1) = segment
                        yield (True, y0, *sorted((x0, x1))) if across else (False, x0, *sorted((y0, y1)))


def _with_bounds(point: Point, bounds: Sequence[tuple[bool, float, float, float]]) -> Point:
    for across, at, lo, hi in bounds:
        place, value = (point.y, point.x) if across else (point.x, point.y)
        if math.isclose(place, at, abs_tol=1e-9) and lo <= value <= hi and lo < hi:
            return point._replace(lo=lo, hi=hi)
    return point


class _Names:
    """What a mark stands for: its own label, else that of the legend's mark of its colour."""

    def __init__(self, handles: Sequence[tuple[Any, str]]) -> None:
        self._known: dict[tuple[Colour, str], str] = {}
        self._by_colour: dict[Colour, set[str]] = {}
        for handle, text in handles:
            colour, marker = _look(handle)
            self._known[colour, marker] = text
            self._by_colour.setdefault(colour, set()).add(text)

    def of(self, artist: Any, colour: Any, marker: object) -> str:
        """Nothing where the legend does not tell."""
        label = str(artist.get_label())
        if label and not label.startswith("_"):
            return label
        rgb = to_rgba(colour)[:3]
        several = self._by_colour.get(rgb, set())
        return self._known.get((rgb, str(marker)), next(iter(several)) if len(several) == 1 else "")


def _legend(canvas: Figure) -> _Names:
    legends = [*canvas.legends, *(legend for ax in canvas.axes if (legend := ax.get_legend()))]
    return _Names([pair for one in legends for pair in zip(one.legend_handles, _texts(one), strict=True)])


def _texts(legend: Any) -> list[str]:
    return [text.get_text() for text in legend.get_texts()]


def _look(handle: Any) -> tuple[Colour, str]:
    if hasattr(handle, "get_marker"):
        marker = str(handle.get_marker())
        filled = marker not in ("None", "") and str(handle.get_linestyle()) == "None"
        return to_rgba(handle.get_markerfacecolor() if filled else handle.get_color())[:3], marker
    faces = np.atleast_2d(handle.get_facecolor()) if hasattr(handle, "get_facecolor") else np.empty((0, 4))
    return (tuple(map(float, faces[0][:3])) if len(faces) else ()), ""


def _thinned(points: Sequence[Point], total: int) -> Sequence[Point]:
    """Evenly spread over their order, as many as is their share of ROWS, or five: both ends and the quarters."""
    most = max(5, math.floor(ROWS * len(points) / total))
    if total <= ROWS or len(points) <= most:
        return points
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]


def _row(ax: Axes, point: Point) -> list[str]:
    title = ax.get_title(loc="left") or ax.get_title()
    across = _of_words(ax.yaxis)
    spread = [_words(ax.xaxis if across else ax.yaxis, end) if point.lo == point.lo else "" for end in point[3:5]]
    z = digits(point.z, 4) if point.z == point.z else ""
    return [title.replace("\n", " "), point.series, _words(ax.xaxis, point.x), _words(ax.yaxis, point.y), *spread, z]


def _of_words(axis: Axis) -> bool:
    """Whether the axis has names instead of numbers: then it has none for what lies between them."""
    formatter = axis.get_major_formatter()
    if isinstance(formatter, FuncFormatter):
        return not formatter(math.pi / 10, 0)
    return isinstance(formatter, FixedFormatter | StrCategoryFormatter)


def _words(axis: Axis, value: float) -> str:
    """A number as the axis writes it; on an axis of words, the word at this place."""
    formatter = axis.get_major_formatter()
    if _of_words(axis):
        return _word(axis, value)
    if _off_scale(axis, value):
        return "off the scale"
    if isinstance(formatter, FuncFormatter):
        return str(formatter(value, 0)).replace("\n", " ")
    if isinstance(formatter, EngFormatter):
        places, formatter.places = formatter.places, 2
        text = formatter.format_data(value)
        formatter.places = places
        return str(text)
    return digits(value, 4).replace("-", "−")


def _off_scale(axis: Axis, value: float) -> bool:
    """Whether `value` lies beyond ticks that end on purpose, as in a band for what has no number."""
    ticks = list(axis.get_ticklocs()) if isinstance(axis.get_major_locator(), FixedLocator) else []
    return len(ticks) > 1 and value > ticks[-1] + (ticks[-1] - ticks[-2])


def _word(axis: Axis, value: float) -> str:
    """The tick's label nearest to `value`. Raises _Unreadable where it lies between two of them."""
    ticks = list(zip(axis.get_ticklocs(), (text.get_text() for text in axis.get_ticklabels()), strict=False))
    distance, text = min(((abs(at - value), text) for at, text in ticks), default=(math.inf, ""))
    steps = [after - before for (before, _), (after, _) in pairwise(ticks)]
    if distance > 1e-6 and (distance > 0.5 or min(steps, default=1) < 1):
        raise _Unreadable
    return text.replace("\n", " ")


def _shared(labels: Sequence[str], axis: Axis) -> str:
    """The label that all axes with one have; else what the axis is for."""
    named = {label for label in labels if label}
    return named.pop().replace("\n", " ") if len(named) == 1 else "name" if _of_words(axis) else "value"
