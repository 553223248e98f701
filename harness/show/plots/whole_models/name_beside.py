"""Names of points, each where it covers neither a point nor another name."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

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
    """A point in data, its name, and the ends of its interval upwards; equal where there is none."""

    x: float
    y: float
    name: str
    lo: float
    hi: float


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
        return math.hypot(max(self.left - x, 0.0, x - self.right), max(self.low - y, 0.0, y - self.high))

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
    where = [_in_points(axes, point, to_points) for point in points]
    taken = [box for x, y, lo, hi in where for box in (_around(x, y), _Box(x - 1, lo, x + 1, hi))]
    taken += _along_lines(axes, to_points)
    for place, (point, (x, y, _, _)) in enumerate(zip(points, where, strict=True)):
        others = [other[:2] for other in where[:place] + where[place + 1 :]]
        found = _free_place((x, y), others, _WIDTH * _SIZE * len(point.name), room, taken)
        if found is None:
            continue
        box, distance = found
        taken.append(box)
        line = {"arrowstyle": "-", "color": RULE, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
        text = axes.annotate(
            point.name, (point.x, point.y), ((box.left + box.right) / 2 - x, (box.low + box.high) / 2 - y),
            textcoords="offset points", ha="center", va="center", fontsize=_SIZE, color=INK, zorder=5,
            arrowprops=line if distance > _LINE else None,
        )  # fmt: skip
        text.set_in_layout(False)


def _in_points(axes: Axes, point: Named, to_points: float) -> tuple[float, float, float, float]:
    """Its place, and the ends of its interval."""
    places = np.array([(point.x, value) for value in (point.y, point.lo, point.hi)], float)
    (x, y), (_, lo), (_, hi) = (axes.transData.transform(places) * to_points).tolist()
    return x, y, *((min(lo, hi), max(lo, hi)) if math.isfinite(lo + hi) else (y, y))


def _around(x: float, y: float) -> _Box:
    return _Box(x - _MARK, y - _MARK, x + _MARK, y + _MARK)


def _along_lines(axes: Axes, to_points: float) -> list[_Box]:
    """Small boxes along every line of `axes` that joins several places."""
    boxes = []
    for line in axes.lines:
        corners = line.get_transform().transform(np.array(line.get_xydata(), float)) * to_points
        for (x0, y0), (x1, y1) in pairwise(corners.tolist()):
            count = max(2, int(math.hypot(x1 - x0, y1 - y0) / _STEP)) if math.isfinite(x0 + x1 + y0 + y1) else 0
            places = zip(np.linspace(x0, x1, count).tolist(), np.linspace(y0, y1, count).tolist(), strict=True)
            boxes += [_Box(x - 0.5, y - 0.5, x + 0.5, y + 0.5) for x, y in places]
    return boxes


def _free_place(
    own: tuple[float, float], others: Sequence[tuple[float, float]], width: float, room: _Box, taken: Iterable[_Box]
) -> tuple[_Box, float] | None:
    """The nearest box of this width within `room` that shares nothing with what is taken, and how far away it is."""
    half = 0.5 * width, 0.62 * _SIZE
    for radius in _RADII:
        for degrees in _DIRECTIONS:
            across, up = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            x, y = own[0] + (radius + half[0]) * across, own[1] + radius * up
            box = _Box(x - half[0], y - half[1], x + half[0], y + half[1])
            is_clear = radius > _LINE or all(box.away(*own) < box.away(*other) for other in others)
            if is_clear and math.isclose(box.shared(room), box.area) and not any(map(box.shared, taken)):
                return box, radius
    return None
