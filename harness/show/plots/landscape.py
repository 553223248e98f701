"""Figure of the speed-up over the shapes of layers, with the line where it breaks even."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from harness.frames import wide
from harness.model.units import figure as digits
from harness.show.plots.implementations import baseline_of
from harness.show.plots.scaling import freed
from harness.show.plots.theme import RULE, Drawing, facets, headed, ink_on, label, panels, require, themed

_CONTESTS = 6
_COLOURS = "vlag_r"
"""Of seaborn."""
_EDGE = "#000000"
"""Not INK: cells have the same colours on a light and on a dark page, so the line between them has too."""
_LEAST_REACH = 1.0
"""Octaves to either side of 1× that the colours span at least, so that noise does not look like a difference."""

Segment = tuple[tuple[int, int], tuple[int, int]]


@themed
def landscape(summary: pd.DataFrame, implementation: str | None = None, baseline: str | None = None) -> Drawing:
    """Heat map of the speed-up of `implementation` over N and K, with the break-even line, a panel for each M.

    `summary` comes from `harness.frames.summary`. The implementation is the fastest that quantises unless it is named,
    the baseline the plain linear layer that leads. The frame has a row a shape: the speed-up, where 1 is as fast, and
    its interval. Raises NothingMeasuredError unless there are two shapes with the same M.
    """
    cases = require(wide(summary, "latency"), "latency")
    baseline = baseline_of(cases, baseline)
    column = f"speedup_{baseline}"
    cases = require(cases if column in cases else cases.iloc[:0], f"the speed-up over {baseline}")
    cases = cases[cases[column] > 0]
    cases = cases[cases["n"].notna() & cases["k"].notna()]
    cases = cases.assign(gain=np.log2(cases[column].astype(float)), lo=cases[f"{column}_lo"], hi=cases[f"{column}_hi"])
    implementation = implementation or _fastest(cases)
    cases = freed(cases[cases["implementation"] == implementation], "n", "k")
    cases = cases[cases.groupby(["run", "title"])["case"].transform("size") > 1]
    needed = f"the speed-up of {implementation or 'something'} over {baseline} at two shapes of the same M"
    contests, thinned = facets(require(cases, needed), _CONTESTS)
    shown = pd.concat([part.sort_values(["n", "k"]) for _, part in contests])
    reach = max(_LEAST_REACH, float(shown["gain"].abs().max()))
    figure, axes = panels(len(contests), 0.95 + 0.3 * max(part["n"].nunique() for _, part in contests))
    for ax, (title, part) in zip(axes, contests, strict=True):
        _map(ax, part, reach)
        ax.set_title(title)
    crossed = any(break_even(_grid(part)) for _, part in contests)
    caption = _CAPTION.format(implementation=implementation, baseline=baseline) + _break_even_in_words(shown, crossed)
    headings = {
        "title": "panel",
        "n": "output features",
        "k": "input features",
        column: f"speed-up of {implementation} over {baseline}",
        "lo": "from",
        "hi": "to",
    }
    title = f"Speed-up of {implementation} over {baseline}, by shape"
    return Drawing(label(figure, title, caption + thinned), headed(shown, headings))


_CAPTION = (
    "Speed-up of {implementation} over {baseline}, by the output features (N) and input features (K) of the layer, "
    "which are in order and not to scale. Blue is faster than the baseline and red slower, on a logarithmic scale that "
    "is white at 1×. Hatched shapes were not measured. A question mark says that the interval includes 1×."
)


def _break_even_in_words(shown: pd.DataFrame, crossed: bool) -> str:
    if crossed:
        return " The heavy line is where it breaks even, between measured neighbours on different sides of 1×."
    sides = [word for word, side in (("faster", shown["gain"] >= 0), ("slower", shown["gain"] < 0)) if side.all()]
    return f" It is {sides[0]} everywhere, so there is no break-even line." if sides else ""


def _fastest(cases: pd.DataFrame) -> str:
    """The implementation that quantises and was measured at most shapes; among equals that with the highest gain."""
    rivals = cases[cases["role"] != "baseline"].groupby("implementation")["gain"]
    name, _ = max(rivals, key=lambda rival: (len(rival[1]), rival[1].mean()), default=("", None))
    return str(name)


def _grid(part: pd.DataFrame, values: str = "gain") -> pd.DataFrame:
    return part.pivot(index="n", columns="k", values=values).sort_index().sort_index(axis="columns")


def _map(ax: Axes, part: pd.DataFrame, reach: float) -> None:
    from seaborn import heatmap  # late: half a second, most of it scipy.stats; matplotlib knows its colours then

    grid = _grid(part)
    rows, columns = list(grid.index), list(grid.columns)
    ax.grid(visible=False)
    ax.patch.set(hatch="////", edgecolor=RULE, linewidth=0)
    heatmap(
        grid, vmin=-reach, vmax=reach, cmap=_COLOURS, linewidths=0.5, linecolor=RULE, cbar=False, xticklabels=True,
        yticklabels=True, ax=ax,
    )  # fmt: skip
    for n, k, gain, lo, hi in zip(*(part[name] for name in ("n", "k", "gain", "lo", "hi")), strict=True):
        words = f"{digits(2.0**gain, 3)}×{'?' if lo <= 1 <= hi else ''}"
        ax.text(
            columns.index(k) + 0.5,
            rows.index(n) + 0.5,
            words,
            color=ink_on(colormaps[_COLOURS](0.5 + gain / reach / 2)),
            ha="center",
            va="center",
            fontsize=8.5,
        )
    ax.add_collection(LineCollection(break_even(grid), colors=_EDGE, linewidths=3.2, capstyle="projecting"))
    ax.set(xlabel="K (input features)", ylabel="N (output features)")
    ax.tick_params(axis="both", length=0, rotation=0)


def break_even(grid: pd.DataFrame) -> list[Segment]:
    """The edges between neighbours on different sides of 0, as (column, row) corners; what is NaN has no side."""
    values = grid.to_numpy(float)
    faster, known = values >= 0, ~np.isnan(values)
    beside = (faster[:, 1:] != faster[:, :-1]) & known[:, 1:] & known[:, :-1]
    below = (faster[1:] != faster[:-1]) & known[1:] & known[:-1]
    upright = [((int(column) + 1, int(row)), (int(column) + 1, int(row) + 1)) for row, column in np.argwhere(beside)]
    level = [((int(column), int(row) + 1), (int(column) + 1, int(row) + 1)) for row, column in np.argwhere(below)]
    return upright + level
