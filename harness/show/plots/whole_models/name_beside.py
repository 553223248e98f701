"""Names of points, each where it covers neither a point nor another name."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from harness.show.plots.theme import INK, RULE

_SIZE = 7.5
"""Points of type, and the rest in the same unit."""
_WIDTH = 0.58
"""Of a character, times its size: the mean of DejaVu Sans, a little rounded up."""
_MARK = 4.5
"""Half the side of a mark."""
_RADII = (8.0, 16.0, 26.0, 38.0)
_DIRECTIONS = (0, 180, 90, 270, 45, 315, 135, 225, 20, 160, 200, 340)
"""Degrees, the best first: right, left, above, below, and between."""
_LINE = 10.0
"""A name that is further away gets a line to its point. A nearer one must be nearest to its own."""
_STEP = 3.0
"""Between the places of a line that names keep away from."""


class Named(NamedTuple):
    """A point in data, and its name."""

    x: float
    y: float
    name: str


class _Box(NamedTuple):
    """In points of type, from the left and from below."""

    left: float
    low: float
    right: float
    high: float

    def shared(self, other: "_Box") -> float:
        """The area of what both cover."""
        across = min(self.right, other.right) - max(self.left, other.left)
        return max(0.0, across) * max(0.0, min(self.high, other.high) - max(self.low, other.low))

    def away(self, x: float, y: float) -> float:
        """How far its edge is from a point; 0 within."""
        return math.dist((x, y), self.nearest(x, y))

    def nearest(self, x: float, y: float) -> tuple[float, float]:
        """Its place that is nearest to a point."""
        return min(max(x, self.left), self.right), min(max(y, self.low), self.high)

    @property
    def area(self) -> float:
        return (self.right - self.left) * (self.high - self.low)


def name_beside(axes: Axes, points: Sequence[Named]) -> None:
    """Write the name of every point near it, in their order: of two that want one place the first one gets it.

    Names also keep away from the lines that `axes` has. A name that finds no free place is left out. Limits and scales
    of `axes` must be settled, and its figure laid out.
    """
    to_points = 72 / axes.figure.dpi
    frame = axes.get_window_extent()
    room = _Box(*(to_points * edge for edge in (frame.x0, frame.y0, frame.x1, frame.y1)))
    where = [tuple((axes.transData.transform((one.x, one.y)) * to_points).tolist()) for one in points]
    taken = [_mark(x, y) for x, y in where] + _along_lines(axes, to_points)
    names: list[_Box] = []
    for place, point in enumerate(points):
        own = where[place]
        others = where[:place] + where[place + 1 :]
        box = _free_place(own, others, _WIDTH * _SIZE * len(point.name), room, taken, names)
        if box is None:
            continue
        names.append(box)
        taken.append(box)
        middle = (box.left + box.right) / 2 - own[0], (box.low + box.high) / 2 - own[1]
        text = axes.annotate(point.name, (point.x, point.y), middle, textcoords="offset points", ha="center",
                             va="center", fontsize=_SIZE, color=INK, zorder=5)  # fmt: skip
        text.set_in_layout(False)
        if box.away(*own) > _LINE:
            taken += _boxes(own, box.nearest(*own))
            offset = tuple(there - here for there, here in zip(box.nearest(*own), own, strict=True))
            line = {"arrowstyle": "-", "color": RULE, "linewidth": 0.7, "shrinkA": 2, "shrinkB": 3}
            axes.annotate("", (point.x, point.y), offset, textcoords="offset points", arrowprops=line).set_in_layout(
                False
            )


def _mark(x: float, y: float) -> _Box:
    return _Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK)


def _along_lines(axes: Axes, to_points: float) -> list[_Box]:
    """Small boxes along every line of `axes`: those that join places, and bars."""
    paths = [line.get_transform().transform(np.array(line.get_xydata(), float)) for line in axes.lines]
    for bars in axes.collections:
        if isinstance(bars, LineCollection):
            paths += [axes.transData.transform(np.array(segment, float)) for segment in bars.get_segments()]
    corners = [(path * to_points).tolist() for path in paths]
    return [box for path in corners for one, other in pairwise(path) for box in _boxes(one, other)]


def _boxes(one: Sequence[float], other: Sequence[float]) -> list[_Box]:
    """Small ones from one place to another; none where a place is unknown."""
    length = math.dist(one, other)
    count = max(2, int(length / _STEP)) if math.isfinite(length) else 0
    places = zip(*(np.linspace(*ends, count).tolist() for ends in zip(one, other, strict=True)), strict=True)
    return [_Box(x - 0.5, y - 0.5, x + 0.5, y + 0.5) for x, y in places]


def _free_place(
    own: tuple[float, float],
    others: Sequence[tuple[float, float]],
    width: float,
    room: _Box,
    taken: Sequence[_Box],
    names: Sequence[_Box],
) -> _Box | None:
    """The nearest box of this width within `room` that shares nothing with what is taken.

    A line from its point to it would cross neither another mark nor one of the other `names`.
    """
    half = 0.5 * width, 0.62 * _SIZE
    for radius in _RADII:
        for degrees in _DIRECTIONS:
            across, up = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            x, y = own[0] + (radius + half[0]) * across, own[1] + radius * up
            box = _Box(x - half[0], y - half[1], x + half[0], y + half[1])
            line = _boxes(own, box.nearest(*own)) if box.away(*own) > _LINE else []
            is_clear = bool(line) or all(box.away(*own) < box.away(*other) for other in others)
            crossed = any(step.shared(name) for step in line for name in (*names, *(_mark(*other) for other in others)))
            is_free = not crossed and not any(map(box.shared, taken))
            if is_clear and is_free and math.isclose(box.shared(room), box.area):
                return box
    return None
