"""Small multiples of series: points, the level of each stretch, and a line where it changed."""

import math
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from harness.analysis.history.series import Series
from harness.show.history.table import contests
from harness.show.plots.theme import (
    BLUE,
    GREEN,
    INK,
    RED,
    RULE,
    SKY,
    Drawing,
    Picture,
    evenly,
    headed,
    label,
    require,
    strokes,
    themed,
)

PANELS = 48
"""Series of one figure: those that changed most."""
_COLUMNS = 4
_WIDTH, _HEIGHT = 11.0, 1.55
"""Inches of the figure and of one row."""
_TITLE = 34
"""Characters of a title that fit a panel."""
_LEAST = 0.05
"""Share of a level that the height of a panel stands for at least: noise is not blown up to a mountain."""
_FEW = 60
"""Runs up to which each has its interval drawn; more would be one grey band."""
_TICKS = 3

_CAPTION = (
    "A panel a series with a scale of its own, over its runs in the order of their commits. Points are runs with their "
    "interval; of many runs a thin line joins them. Thick lines are levels, the mean of each stretch without a change. "
    "A dashed line is a change, red for the worse and green for the better. A grey title is of a series without one."
)


@themed
def small_multiples(series: Sequence[Series]) -> Drawing:
    """The series that changed most, a panel each. Raises NothingMeasuredError where none has three runs.

    The frame has a row a run and series, in the metric's unit.
    """
    drawn = sorted((one for one in series if len(one.runs) > 2), key=_movement, reverse=True)[:PANELS]
    frame = require(pd.concat([_frame(one) for one in drawn]) if drawn else pd.DataFrame(), "one series of 3 runs")
    words, several = contests(drawn), len({one.machine_kind for one in drawn}) > 1
    rows = math.ceil(len(drawn) / _COLUMNS)
    # Axes are put where they belong by hand: to have fifty of them laid out takes longer than to draw them.
    height = _HEIGHT * rows
    figure = Picture(figsize=(_WIDTH, height))
    for index, one in enumerate(drawn):
        row, column = divmod(index, _COLUMNS)
        left = 0.05 + column / _COLUMNS
        bottom = (height - (row + 1) * _HEIGHT + 0.25) / height
        axes = figure.add_axes((left, bottom, 0.18, (_HEIGHT - 0.72) / height))
        machine = f" on {one.machine_kind}" if several else ""
        contest = textwrap.shorten(words[one.case], _TITLE, placeholder=" …")
        _panel(axes, one, f"{one.implementation}: {one.metric}{machine}\n{contest}")
    left_out = (
        f" Shown: the {len(drawn)} of {len(series)} series that changed most." if len(drawn) < len(series) else ""
    )
    return Drawing(label(figure, "Every series", _CAPTION + left_out), headed(frame, _HEADINGS))


_HEADINGS = {name: name for name in ("case", "metric", "machine", "commit", "centre", "from", "to")}


def _frame(one: Series) -> pd.DataFrame:
    numbers = {"centre": one.centre, "from": one.lo, "to": one.hi}
    return pd.DataFrame(
        {"case": one.case, "metric": one.metric, "machine": one.machine_kind, "commit": one.names, **numbers}
    )


def _movement(one: Series) -> tuple[int, float]:
    since = one.since_begin
    return len(one.changes) > 0, abs(math.log(since)) if since > 0 else 0.0


def _panel(axes: Axes, one: Series, title: str) -> None:
    place = np.arange(len(one.centre), dtype=float)
    usable = np.isfinite(one.centre)
    if len(place) <= _FEW:
        strokes(axes, (place, place), (one.lo, one.hi), color=BLUE, linewidth=1.2, alpha=0.5)
        axes.plot(place[usable], one.centre[usable], "o", color=BLUE, markersize=3, markeredgewidth=0)
    else:  # one path: a mark for each of fifty thousand points would make megabytes
        axes.plot(place[usable], one.centre[usable], color=SKY, linewidth=0.5)
    firsts, lasts, means = (np.array(column, float) for column in zip(*one.levels, strict=True))
    strokes(axes, (firsts - 0.4, lasts + 0.4), (means, means), color=BLUE, linewidth=1.8)
    for change in one.changes:
        axes.axvline(change.at - 0.5, color=RED if change.is_worse else GREEN, linewidth=1.1, linestyle="--")
    _scale(axes, one.centre[usable], one.unit if one.unit in ("s", "B") else "")
    axes.set_xlim(-0.6, len(place) - 0.4)
    chosen = evenly(len(place), _TICKS)
    axes.set_xticks(chosen, [one.names[index] for index in chosen], fontsize=6.5)
    axes.tick_params(axis="y", labelsize=7)
    axes.grid(visible=False, axis="x")
    axes.set_title(title, fontsize=7.5, color=INK if one.changes else RULE)


def _scale(axes: Axes, centres: np.ndarray, unit: str) -> None:
    low, high = (float(centres.min()), float(centres.max())) if len(centres) else (0.0, 1.0)
    middle, half = (low + high) / 2, max((high - low) / 2 * 1.15, _LEAST / 2 * abs(low + high) / 2) or 1.0
    axes.set_ylim(middle - half, middle + half)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(EngFormatter(unit))
