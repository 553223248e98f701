"""Figures of doubt: the raw timings as a distribution and in the order taken, and how precise each latency is."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import LogLocator, NullLocator

from harness.show.plots.theme import (
    BLUE,
    BROWN,
    GREEN,
    RED,
    RULE,
    Drawing,
    colours,
    columns_for,
    evenly,
    facets,
    headed,
    label,
    named_rows,
    panels,
    require,
    strokes,
    themed,
)

COLUMNS = ["run", "title", "implementation", "round", "sample", "value", "voided", "case", "metric", "block"]
"""Of `harness.frames.samples`: the first seven are of use here, by the others such a frame is known."""
_CONTESTS = 4
_QUANTILES = 40
"""Points of one distribution: enough to see its steps and tail, small enough to print many."""
_MARKS = 160
"""Raw values that one panel shows, in the order taken."""
_LANES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
"""What half a lane may stand for: a share more than the median."""
_HALF = 0.42
"""Half of a lane's height that values use; the rest keeps lanes apart."""
_VOIDED = RED
_LONG = 14
"""Characters of a name beyond which a panel takes the whole width."""


@themed
def timings(samples: pd.DataFrame) -> Drawing:
    """Cumulative distribution of the raw latencies of every implementation over their own median, a panel a contest.

    `samples` comes from `harness.frames.samples`. The frame has a row a quantile, in per cent off the median. Raises
    NothingMeasuredError when there is no latency.
    """
    contests, thinned = facets(_latencies(samples), _CONTESTS)
    from seaborn import lineplot  # late: half a second, most of it scipy.stats

    contests = [(title, _quantiles(part)) for title, part in contests]
    palette = colours(samples["implementation"].unique())
    names = list(dict.fromkeys(name for _, part in contests for name in part["implementation"]))
    figure, axes = panels(len(contests), 2.7)
    for ax, (title, points) in zip(axes, contests, strict=True):
        lineplot(
            points, x="percent", y="share", hue="implementation", hue_order=names, style="implementation",
            style_order=names, palette=palette, estimator=None, sort=False, legend=ax is axes[0], ax=ax,
        )  # fmt: skip
        inner = points[points["share"].between(0.02, 0.98)]["percent"]
        ax.set_title(title)
        ax.set(xlabel="time of one call, % off the median", ylabel="share of samples", ylim=(0, 1.02))
        ax.set_xlim(min(-1.0, inner.min() * 1.1), max(1.0, inner.max() * 1.1))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    axes[0].legend_ = None
    frame = headed(pd.concat([points for _, points in contests]), _QUANTILE)
    return Drawing(label(figure, "Distribution of the raw timings", _TIMINGS + thinned), frame)


_QUANTILE = {
    "title": "panel",
    "implementation": "implementation",
    "share": "share of samples",
    "percent": "time of one call off the median (%)",
}


def _latencies(samples: pd.DataFrame) -> pd.DataFrame:
    is_latency = (samples["metric"] == "latency") & np.isfinite(samples["value"]) & (samples["value"] > 0)
    return require(samples.loc[is_latency, COLUMNS[:7]], "raw values of latency")


_TIMINGS = (
    "Share of the raw samples, over all rounds, against their distance from the contestant's own median. A steep line "
    "is a steady contestant; steps are two modes, or rounds that differ. The outer 2 % may lie beyond the axis; "
    f"each line is thinned to {_QUANTILES + 1} quantiles."
)


def _quantiles(part: pd.DataFrame) -> pd.DataFrame:
    share = np.linspace(0, 1, _QUANTILES + 1)
    lines = {name: np.quantile(group["value"], share) for name, group in part.groupby("implementation", sort=False)}
    points = pd.concat(
        pd.DataFrame({"implementation": name, "share": share, "percent": 100 * (line / np.median(line) - 1)})
        for name, line in lines.items()
    )
    return points.assign(run=part["run"].iloc[0], title=part["title"].iloc[0])


@themed
def timings_in_order(samples: pd.DataFrame) -> Drawing:
    """Raw latencies over the contestant's own median in the order taken, a panel a contest and a lane a contestant.

    `samples` comes from `harness.frames.samples`. The frame has a row a mark, in per cent off the median; rounds count
    from 1. Raises NothingMeasuredError when there is no latency.
    """
    times = _latencies(samples)
    contests, thinned = facets(times, _CONTESTS)
    palette = colours(samples["implementation"].unique())
    parts = [(title, _in_order(part)) for title, part in contests]
    lanes = max(part["implementation"].nunique() for _, part in parts)
    figure, axes = panels(len(parts), 0.9 + 0.24 * max(lanes, 4), columns_for(times["implementation"], _LONG))
    drawn = pd.concat([_lanes(ax, title, part, palette) for ax, (title, part) in zip(axes, parts, strict=True)])
    figure.legend(handles=_ORDER_HANDLES, loc="outside lower left", ncols=len(_ORDER_HANDLES))
    total = sum(map(len, (part for _, part in parts)))
    left_out = f" Shown: {len(drawn)} of {total} samples, evenly spread over the order." if len(drawn) < total else ""
    figure = label(figure, "Raw timings in the order taken", _IN_ORDER + left_out + thinned)
    return Drawing(figure, headed(drawn, _SAMPLE))


_SAMPLE = {
    "title": "panel",
    "implementation": "implementation",
    "number": "round",
    "percent": "off the median (%)",
    "mark": "mark",
}


_IN_ORDER = (
    "A dot is a sample, placed by when it was taken and by how far it lies from its contestant's own median (up is "
    "slower, logarithmic); a lane is a contestant. Vertical lines are borders between rounds, each a fresh process. An "
    "even band is a steady contestant; a step at a border is a round that differs; a slope is drift. Triangles lie "
    "beyond the lane. Crosses are samples of blocks that were voided, because the machine was disturbed: they count "
    "for nobody."
)
_ORDER_HANDLES = [
    Line2D([], [], linestyle="", marker="o", color=RULE, markersize=3, label="sample"),
    Line2D([], [], linestyle="", marker="^", color=RULE, markersize=4, label="beyond the lane"),
    Line2D([], [], linestyle="", marker="x", color=_VOIDED, markersize=4.5, label="voided"),
]


def _in_order(part: pd.DataFrame) -> pd.DataFrame:
    """With `place`, in rounds since the start, and `off`, the log of a value over its contestant's median."""
    own = part.groupby("implementation", sort=False)
    turn = pd.Series(pd.factorize(part["round"], sort=True)[0], index=part.index)
    of_round = part.groupby(["implementation", "round"])["sample"]
    within = (part["sample"].astype(float) + 0.5) / (of_round.transform("max").astype(float) + 1)
    counted = part["value"].where(~part["voided"]).groupby(part["implementation"]).transform("median")
    median = counted.fillna(own["value"].transform("median"))
    over = part["value"] / median
    return part.assign(place=turn + within, number=turn + 1, off=np.log(over), percent=100 * (over - 1))


def _lanes(ax: Axes, title: str, part: pd.DataFrame, palette: dict[str, str]) -> pd.DataFrame:
    """Draw one contest; returns the samples that are shown, and the `mark` of each."""
    reach = _reach(part)
    groups = list(part.groupby("implementation", sort=False))
    most = max(8, _MARKS // len(groups))
    shown = pd.concat([_spread(group, most).assign(lane=lane) for lane, (_, group) in enumerate(groups)])
    place, off = shown["place"].to_numpy(float), shown["off"].to_numpy(float)
    height = shown["lane"].to_numpy(float) - _HALF * np.clip(off / reach, -1, 1)
    mark = np.where(
        shown["voided"].to_numpy(bool), "voided", np.where(np.abs(off) > reach, "beyond the lane", "sample")
    )
    for lane, (name, _) in enumerate(groups):
        inside = (mark == "sample") & (shown["lane"] == lane).to_numpy()
        _dots(ax, place[inside], height[inside], palette[str(name)])
    for marker, colour, chosen in (
        ("^", RULE, (mark == "beyond the lane") & (off > 0)),
        ("v", RULE, (mark == "beyond the lane") & (off < 0)),
        ("x", _VOIDED, mark == "voided"),
    ):
        ax.plot(place[chosen], height[chosen], marker, color=colour, markersize=3.5)
    _name_lanes(ax, [str(name) for name, _ in groups], int(part["place"].max()) + 1)
    ax.set_title(title)
    ax.set_xlabel(f"round, in the order taken; half a lane is {100 * math.expm1(reach):.0f} %")
    return shown.assign(mark=mark)


def _spread(group: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows, evenly spread over the order taken."""
    return group.sort_values("place").iloc[evenly(len(group), most)]


def _name_lanes(ax: Axes, names: list[str], rounds: int) -> None:
    named_rows(ax, names)
    ax.set(xlim=(0, rounds), ylim=(len(names) - 0.45, -0.55))
    ax.tick_params(axis="x", length=0)
    ax.grid(visible=False)
    lanes, borders = np.arange(len(names)), np.arange(1, rounds)
    strokes(ax, (0, rounds), (lanes, lanes), **_THIN)
    strokes(ax, (borders, borders), (-0.55, len(names) - 0.45), **_THIN)
    step = math.ceil(rounds / 10)
    ax.set_xticks(np.arange(0, rounds, step) + 0.5, [str(number + 1) for number in range(0, rounds, step)])


def _reach(part: pd.DataFrame) -> float:
    """What half a lane stands for, on the log scale: enough for nineteen of twenty samples that count."""
    usual = float(np.quantile(np.abs(part["off"][~part["voided"]].to_numpy(float)), 0.95)) if len(part) else 0.0
    return math.log1p(next((share for share in _LANES if math.log1p(share) >= usual), _LANES[-1]))


_THIN: dict[str, Any] = {"color": RULE, "linewidth": 0.7, "alpha": 0.6, "zorder": 1}
"""Lines between and below marks."""


def _dots(ax: Axes, x: np.ndarray, y: np.ndarray, colour: str) -> None:
    """One path of round ends without anything between them: a fifth of the bytes of as many markers."""
    points = np.repeat(np.column_stack([x, y]), 2, axis=0)
    points[1::2, 0] += 1e-4  # some renderers leave out lines of no length
    path = Path(points, [Path.MOVETO, Path.LINETO] * len(x))
    path.should_simplify = False
    ax.add_patch(PathPatch(path, fill=False, edgecolor=colour, linewidth=2.6, capstyle="round", snap=False))


@themed
def precision(summary: pd.DataFrame) -> Drawing:
    """Half width of the interval of every latency, widest last, beside how its contest ended; a panel a contest.

    `summary` comes from `harness.frames.summary`. The frame has a row a latency, in per cent. Raises
    NothingMeasuredError when no latency has an interval.
    """
    times = summary[(summary["metric"] == "latency") & np.isfinite(summary["precision"]) & (summary["precision"] > 0)]
    times = require(times, "latency in two rounds at least")
    states = times["state"].where(times["state"].isin(list(_ENDS)), "fixed")
    times = times.assign(width=100 * np.expm1(times["precision"]), state=states)
    contests, thinned = facets(times, _CONTESTS + 2)
    contests = [(title, part.sort_values("width")) for title, part in contests]
    tallest = max(len(part) for _, part in contests)
    figure, axes = panels(len(contests), 0.75 + 0.22 * tallest, columns_for(times["implementation"], _LONG))
    reach = float(times["width"].min()) / 1.6, float(times["width"].max()) * 1.6
    for ax, (title, part) in zip(axes, contests, strict=True):
        _widths(ax, part, reach)
        ax.set_title(title)
    frame = headed(pd.concat([part for _, part in contests]), _WIDTH)
    return Drawing(label(figure, "How precise each latency is", _PRECISION + thinned), frame)


_WIDTH = {
    "title": "panel",
    "implementation": "implementation",
    "width": "half width of the interval (%)",
    "state": "ended",
    "rounds": "rounds",
    "samples": "samples",
}


_PRECISION = (
    "Half width of the confidence interval of each contestant's latency over the contest's baseline (of the baseline's "
    "own latency), in per cent, logarithmic: further left is known better. Beside it, how its measuring ended, after "
    "how many rounds and samples. Converged (filled circle) is as precise as asked for; budget (empty circle) ran out "
    "of rounds or time before; unstable (cross) is so noisy that more rounds are no cure; fixed (square) was asked for "
    "a number of rounds and no precision."
)
_ENDS = {
    "converged": (GREEN, "o", "full"),
    "budget": (BROWN, "o", "none"),
    "unstable": (RED, "X", "full"),
    "fixed": (BLUE, "s", "full"),
}


def _widths(ax: Axes, part: pd.DataFrame, reach: tuple[float, float]) -> None:
    widths, states = part["width"].to_numpy(float), part["state"].to_numpy()
    rows = np.arange(len(part))
    strokes(ax, (reach[0], widths), (rows, rows), **_THIN)
    for state, (colour, marker, fill) in _ENDS.items():
        ended = states == state
        ax.plot(widths[ended], rows[ended], marker, color=colour, fillstyle=fill, markersize=5.5)
    for row, state, rounds, samples in zip(rows, states, part["rounds"], part["samples"], strict=True):
        ax.annotate(f"{state} {rounds}/{samples}", (1, row), (4, 0), xycoords=ax.get_yaxis_transform(),
                    textcoords="offset points", va="center", fontsize=7.5)  # fmt: skip
    ax.set(xscale="log", xlim=reach, xlabel="half width of the interval, %")
    named_rows(ax, list(part["implementation"]))
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter("{x:g}")
    ax.grid(visible=False, axis="y")
