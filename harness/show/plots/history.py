"""The figure of many runs: what became of the latency of each case, one small panel each."""

import math
import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator

from harness.show.plots.theme import Drawing, colours, evenly, headed, label, markers, panels, require, strokes, themed

_CASES = 12
_RUNS = 3
"""Runs that make a history."""
_TICKS = 6
"""Runs that are named below a panel."""
_NAME = 7
"""Characters of a commit."""
_COLUMNS = 3
_TITLE = 34
"""Characters of a title that fit a panel."""
_LEAST = 0.05
"""Share of the latency that the height of a panel stands for at least: noise is not blown up to a mountain."""


@themed
def history(summary: pd.DataFrame) -> Drawing:
    """Latency with its interval over runs in the order in which they started, one panel a case.

    `summary` comes from `harness.frames.summary` of all runs together. The frame has a row a case and run, in seconds.
    Raises NothingMeasuredError unless some case was timed in three runs that started at different times.
    """
    times = summary[(summary["metric"] == "latency") & (summary["centre"] > 0) & np.isfinite(summary["centre"])]
    times = times[times.groupby("case")["started"].transform("nunique") >= _RUNS]
    times = require(times, f"latency of one case in {_RUNS} runs at least").sort_values(["started", "run"])
    cases = _most_changed(times)
    drawn = pd.concat([times[times["case"] == case] for case in cases])
    runs = list(times[times["case"].isin(cases)]["run"].unique())
    figure, axes = panels(len(cases), 1.85, _COLUMNS)
    palette, shapes = (look(summary["implementation"].unique()) for look in (colours, markers))
    for ax, case in zip(axes, cases, strict=True):
        part = drawn[drawn["case"] == case]
        name = part["implementation"].iloc[-1]
        _series(ax, part, runs, palette[name], shapes[name])
        title = textwrap.fill(part["title"].iloc[-1], _TITLE)
        ax.set_title(f"{name}\n{title}", fontsize=8.5)
    _name_runs(axes, times, runs)
    total = times["case"].nunique()
    left_out = f" Shown: the {_CASES} of {total} cases that changed most." if total > _CASES else ""
    return Drawing(label(figure, "History of every latency", _HISTORY + left_out), headed(drawn, _HEADINGS))


_HEADINGS = {
    "implementation": "implementation",
    "title": "contest",
    "run": "run",
    "started": "started",
    "centre": "latency (s)",
    "lo": "from (s)",
    "hi": "to (s)",
}


_HISTORY = (
    "Latency of each case, a panel each with a scale of its own, over all runs in the order in which they started. "
    "Runs are named by commit, or by day where that is unknown. Bars are the confidence interval over rounds; down is "
    "faster. A step beyond the bars is a change of the code, or of the machine between two runs."
)


def _most_changed(times: pd.DataFrame) -> list[str]:
    """Cases by the ratio of their highest to their lowest latency, the largest first."""
    centres = times.groupby("case", sort=False)["centre"]
    return list((centres.max() / centres.min()).sort_values(ascending=False, kind="stable").index[:_CASES])


def _series(ax: Axes, part: pd.DataFrame, runs: list[str], colour: str, marker: str) -> None:
    centre, lo, hi = (part[name].to_numpy(float) for name in ("centre", "lo", "hi"))
    place = np.array([runs.index(run) for run in part["run"]], float)
    strokes(ax, (place, place), (lo, hi), color=colour, linewidth=1.8)
    ax.plot(place, centre, color=colour, marker=marker, markersize=4.5, linewidth=1)
    middle = math.sqrt(float(centre.min()) * float(centre.max()))
    low, high = float(np.fmin(centre, lo).min()), float(np.fmax(centre, hi).max())
    ax.set_ylim(min(0.97 * low, (1 - _LEAST) * middle), max(1.03 * high, (1 + _LEAST) * middle))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_formatter(EngFormatter("s"))


def _name_runs(axes: list[Axes], times: pd.DataFrame, runs: list[str]) -> None:
    """Runs are named below the lowest panels, as all have the same; where there are many, evenly chosen ones."""
    headers = times.drop_duplicates("run").set_index("run")
    chosen = evenly(len(runs), _TICKS)
    names = [headers["commit"][runs[index]][:_NAME] or headers["started"][runs[index]][:10] for index in chosen]
    for ax in axes:
        ax.set(xlim=(-0.4, len(runs) - 0.6), xticks=[])
        ax.grid(visible=False, axis="x")
    for ax in axes[-_COLUMNS:]:
        ax.set_xticks(chosen, names, rotation=30, ha="right", fontsize=7.5)
