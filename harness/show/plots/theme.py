"""One look for every figure: type sizes, ink, a colour for each implementation's name, rows, strokes and headings."""

import hashlib
import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from inspect import signature
from typing import Any, NamedTuple, ParamSpec, TypeVar

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullFormatter
from matplotlib.typing import ColorType
from numpy.typing import ArrayLike

from harness.analysis.arguments import require_frame
from harness.errors import NothingMeasuredError
from harness.frames import numbered

INK = "#1b1d21"
"""Text and axes. Inline figures replace it by the page's own text colour, so no data may be drawn in it."""
RULE = "#868c96"
"""Grid, reference lines and error bars' caps: readable on a light and on a dark page."""

BLUE, AMBER, GREEN, RED, PINK, BROWN, GREY, OLIVE, SKY, VIOLET = COLOURS = (
    "#0173b2",
    "#c98100",
    "#029e73",
    "#b84a00",
    "#cc6fb8",
    "#9a6b37",
    "#8a8a8a",
    "#958900",
    "#2f93cf",
    "#7d55c7",
)
"""After seaborn's `colorblind` palette, as dark or as light as stands out 3:1 on a light and on a dark page alike.

Every mark has one of these, RULE or INK.
"""
_MARKERS = "osD^vPX<>*"

RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "text.parse_math": False,  # a name is no formula: a dollar sign in one stays a dollar sign
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "patch.linewidth": 0.0,
    "lines.linewidth": 1.6,
}

_FRAMES = {"summary": "summary", "samples": "samples", "histograms": "samples", "ceilings": "ceilings"}
"""Which function of `harness.frames` makes the frame that a parameter is for."""

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Figure)


def themed(draw: Callable[P, R]) -> Callable[P, R]:
    """Run `draw` under this theme, leaving the caller's matplotlib settings as they were.

    Raises ValueError for what is not the frame that a parameter is named after.
    """
    parameters = signature(draw)

    @wraps(draw)
    def under_theme(*args: P.args, **kwargs: P.kwargs) -> R:
        for name, value in parameters.bind(*args, **kwargs).arguments.items():
            if name in _FRAMES and value is not None:
                require_frame(value, _FRAMES[name])
        with matplotlib.rc_context(RC):  # type: ignore[arg-type]  # the stubs want literal keys
            return draw(*args, **kwargs)

    return under_theme


def slots(names: Iterable[str]) -> dict[str, int]:
    """A number for every name, from a hash of the name alone; where two meet, the later in the alphabet moves on.

    Ten names share out the first ten numbers, the next ten the following ten, and so on.
    """
    taken: dict[int, str] = {}
    size = len(COLOURS)
    for index, name in enumerate(sorted(set(names))):
        layer, slot = index // size * size, int(hashlib.sha256(name.encode()).hexdigest(), 16) % size
        while layer + slot in taken:
            slot = (slot + 1) % size
        taken[layer + slot] = name
    return {name: slot for slot, name in taken.items()}


def colours(names: Iterable[str]) -> dict[str, str]:
    """Name -> colour. More names than colours share colours; `markers` then tells them apart."""
    return {name: COLOURS[slot % len(COLOURS)] for name, slot in slots(names).items()}


def markers(names: Iterable[str]) -> dict[str, str]:
    """Name -> marker, so that no figure depends on colour alone."""
    return {name: _MARKERS[(slot + slot // len(_MARKERS)) % len(_MARKERS)] for name, slot in slots(names).items()}


_TITLE = 43
"""Characters of a title that fit half the width."""
_LOWEST = 2.0
"""Inches that a title, a heading, an axis with its name and a bar need."""


class Picture(Figure):
    """A figure that a notebook shows as a picture, whether or not `%matplotlib inline` was said before."""

    def _repr_png_(self) -> bytes:
        from harness.show.plots import svg  # late: it takes the look of figures from here

        return svg.render(self, "png")


class Drawing(NamedTuple):
    """A figure and the frame that it shows: a row a mark, in the order in which the figure is read.

    A heading ends in its unit, as `latency (s)`; what has none is a count, a ratio or words. Seconds and bytes are
    whole ones, and what else is drawn has the unit of its axis. `from` and `to` are the ends of an interval, NaN where
    there is none. Where there are several runs, a column `run` tells them apart.
    """

    figure: Picture
    frame: pd.DataFrame

    def _repr_png_(self) -> bytes:
        return self.figure._repr_png_()


def headed(marks: pd.DataFrame, headings: Mapping[str, str]) -> pd.DataFrame:
    """The frame of a Drawing: of all `marks` the columns that `headings` names, in that order, under those headings."""
    names = dict(headings)
    if "run" not in names and "run" in marks and marks["run"].nunique() > 1:
        names = {"run": "run"} | names
    return marks[list(names)].rename(columns=names).reset_index(drop=True)


def panels(count: int, height: float, columns: int = 2, width: float = 9.0) -> tuple[Picture, list[Axes]]:
    """A figure of `count` axes in rows of `columns`; `height` is one row's, in inches. Needs no pyplot state."""
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    figure = Picture(figsize=(width, max(height * rows, _LOWEST)), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.08)  # type: ignore[union-attr,call-arg]  # a ConstrainedLayoutEngine
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in grid[count:]:
        spare.remove()
    return figure, list(grid[:count])


def columns_for(names: pd.Series, longest: int) -> int:
    """Panels beside each other: one where a name is longer than so many characters, else two."""
    return 1 if max(map(len, names.unique())) > longest else 2


def label(figure: F, title: str, caption: str) -> F:
    """Give `figure` its title (drawn) and its caption (kept as the figure's label, for whoever embeds it)."""
    figure.suptitle(title, x=0.01, ha="left")
    figure.set_label(caption)
    return figure


def facets(frame: pd.DataFrame, limit: int) -> tuple[list[tuple[str, pd.DataFrame]], str]:
    """At most `limit` contests of `frame`, evenly spread over their order, and a sentence when some were left out.

    Each has a title that fits half the width of a figure, in several lines where it is long.
    """
    several = frame["run"].nunique() > 1
    numbers, firsts = numbered(frame, "run", "title")
    shown = evenly(len(firsts), limit)
    left_out = len(shown) < len(firsts)
    thinned = f" Shown: {limit} of {len(firsts)} contests, evenly spread over their order." if left_out else ""
    keys = frame[["run", "title"]].iloc[firsts[shown]].itertuples(index=False, name=None)
    names = ["\n".join(map(_filled, [title, run] if several else [title])) for run, title in keys]
    return list(zip(names, (frame[numbers == number] for number in shown), strict=True)), thinned


def _filled(title: str) -> str:
    return textwrap.fill(title, _TITLE)


def evenly(count: int, most: int) -> list[int]:
    """Positions of at most `most` of `count` things, evenly spread over their order, the ends included."""
    return [int(place) for place in np.linspace(0, count - 1, min(count, most)).round()]


def require(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    """`frame` unless it is empty. Raises NothingMeasuredError that says `what` is missing."""
    if frame.empty:
        raise NothingMeasuredError(f"this figure needs {what}, which was not measured")
    return frame


def logarithmic_seconds(axes: Axes, lo: float, hi: float) -> None:
    """A logarithmic x axis from `lo` to `hi` seconds, with ticks such as 200 µs."""
    decades = math.log10(hi / lo)
    axes.set(xscale="log", xlim=(lo, hi))
    axes.xaxis.set_major_locator(MaxNLocator(4) if decades < 0.7 else log_ticks(decades))
    axes.xaxis.set_major_formatter(EngFormatter("s"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def log_ticks(decades: float) -> LogLocator:
    """Ticks for a logarithmic axis of so many decades: the fewer it has, the more in each."""
    return LogLocator(subs=(1.0,) if decades > 2.5 else (1.0, 3.0) if decades > 1.2 else (1.0, 2.0, 5.0))


def named_rows(axes: Axes, names: Sequence[str]) -> None:
    """A named row each, from the top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def ink_on(colour: ColorType) -> str:
    """Black or white, whichever is readable on this colour: 4.5:1 at least."""
    channels = np.array(to_rgb(colour))
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return "#000000" if linear @ (0.2126, 0.7152, 0.0722) > 0.179 else "#ffffff"


def strokes(axes: Axes, x: tuple[ArrayLike, ArrayLike], y: tuple[ArrayLike, ArrayLike], **look: Any) -> None:
    """Lines from each first to each second place, as one path with gaps: each by itself takes ten times the bytes."""
    ends = np.broadcast_arrays(*x, *y, math.nan)
    across, up = (np.column_stack([*pair, ends[-1]]).ravel() for pair in (ends[:2], ends[2:4]))
    axes.plot(across, up, **look)
