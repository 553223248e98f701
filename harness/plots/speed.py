"""Figures of time: speed-up bars with intervals."""

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.plots.theme import INK, RULE, colours, facets, label, panels, require, themed

_CONTESTS = 6


@themed
def speedup(summary: pd.DataFrame, baseline: str = "linear-fp32") -> Figure:
    """Bars of speed-up against `baseline` with the interval of the paired ratio, one panel a contest.

    `summary` comes from `harness.frames.summary`. Raises NothingMeasuredError when no speed-up is in it.
    """
    column = f"speedup_{baseline}"
    times = summary[summary["metric"] == "latency"]
    times = times[times[column].notna() & (times["implementation"] != baseline)] if column in times else times.iloc[:0]
    contests, thinned = facets(require(times, f"latency of {baseline} and of something in the same contest"), _CONTESTS)
    palette = colours(summary["implementation"].unique())
    tallest = max(len(part) for _, part in contests)
    figure, axes = panels(len(contests), 0.75 + 0.26 * tallest)
    reach = _reach(pd.concat([part for _, part in contests]), column)
    for ax, (title, part) in zip(axes, contests, strict=True):
        part = part.sort_values(column, ascending=False)
        _bars(ax, part, column, palette)
        ax.set(title=title, xlim=reach, xlabel=f"speed-up over {baseline}", ylabel="")
    caption = (
        f"Speed-up over {baseline} (right of 1× is faster; logarithmic), paired within rounds; whiskers are the "
        f"confidence interval over rounds.{thinned}"
    )
    return label(figure, f"Speed-up over {baseline}", caption)


def _bars(ax: Axes, part: pd.DataFrame, column: str, palette: dict[str, str]) -> None:
    ratio, lo, hi = (np.log2(part[name].to_numpy(float)) for name in (column, f"{column}_lo", f"{column}_hi"))
    names = part["implementation"].to_numpy()
    seaborn.barplot(x=ratio, y=names, hue=names, palette=palette, legend=False, width=0.7, saturation=1, ax=ax)
    spread = np.nan_to_num(np.abs([ratio - lo, hi - ratio]))
    ax.errorbar(ratio, range(len(part)), xerr=spread, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
    ax.axvline(0, color=RULE, linewidth=1)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda power, _: f"{2.0**power:.3g}×"))
    ax.grid(visible=False, axis="y")


def _reach(part: pd.DataFrame, column: str) -> tuple[float, float]:
    """Limits, in octaves: all bars, and as much of the whiskers as lies within an octave and a half of a bar."""
    ratios, lo, hi = (np.log2(part[name].to_numpy(float)) for name in (column, f"{column}_lo", f"{column}_hi"))
    left = np.fmin(ratios, np.maximum(lo, ratios - 1.5)).min()
    right = np.fmax(ratios, np.minimum(hi, ratios + 1.5)).max()
    return min(-0.3, float(left)) - 0.2, max(0.3, float(right)) + 0.2
