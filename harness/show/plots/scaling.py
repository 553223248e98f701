"""Figures of scaling: latency over the tokens of a call, and the speed-up that threads bring."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, NullLocator

from harness.analysis.naming import titles
from harness.frames import numbered, wide
from harness.model import Case
from harness.show.plots.implementations import foremost, name_all
from harness.show.plots.theme import (
    RULE,
    Drawing,
    colours,
    facets,
    headed,
    label,
    log_ticks,
    markers,
    panels,
    require,
    themed,
)

_CONTESTS = 4
_POINTS = 12
"""Values of an axis that are drawn."""
_BAND = 0.22
"""Opacity of an interval."""


@themed
def over_tokens(summary: pd.DataFrame) -> Drawing:
    """Latency against tokens, both logarithmic, a line an implementation and its interval as a band.

    `summary` comes from `harness.frames.summary`. The frame has a row a point, in seconds. Raises NothingMeasuredError
    unless something was timed with two numbers of tokens.
    """
    cases = _with_several(require(wide(summary, "latency"), "latency"), "m")
    cases, fewer = foremost(require(cases, "latency with two numbers of tokens at least"))
    lines = cases.assign(x=cases["m"].astype(int), y=cases["latency"], lo=cases["latency_lo"], hi=cases["latency_hi"])
    contests, thinned = _panels(lines)
    names = _names(contests)
    figure, axes = panels(len(contests), 3.0)
    for ax, (title, part) in zip(axes, contests, strict=True):
        _draw_lines(ax, part, names)
        _logarithmic(ax, part)
        ax.set_title(title)
        ax.set(xlabel="tokens of one call (M)", ylabel="latency of one call")
        ax.yaxis.set_major_formatter(EngFormatter("s"))
    name_all(figure, names, line=True)
    shown = pd.concat([part for _, part in contests])
    headings = _LINE | {"x": "tokens", "y": "latency (s)", "lo": "from (s)", "hi": "to (s)"}
    figure = label(figure, "Latency over tokens", _TOKENS + _unknown(shown) + fewer + thinned)
    return Drawing(figure, headed(shown, headings))


_LINE = {"title": "panel", "implementation": "implementation"}
"""Columns that a frame of lines begins with, and their headings."""


_TOKENS = (
    "Latency of one call against the tokens in it, both logarithmic; lower is faster. A level line means that "
    "more tokens cost nothing: reading the weights takes the time. If time doubles with the tokens, arithmetic takes "
    "it. Bands are the confidence interval over rounds."
)


@themed
def over_threads(summary: pd.DataFrame) -> Drawing:
    """Speed-up of each implementation over itself with the fewest threads, against threads, beside the ideal line.

    `summary` comes from `harness.frames.summary`. The frame has a row a point: how many times as fast it is, and would
    be at best. Raises NothingMeasuredError unless something was timed with two numbers of threads.
    """
    cases = _with_several(require(wide(summary, "latency"), "latency"), "threads")
    cases, fewer = foremost(require(cases, "latency with two numbers of threads at least"))
    contests, thinned = _panels(_over_fewest(cases))
    names = _names(contests)
    figure, axes = panels(len(contests), 3.0)
    for ax, (title, part) in zip(axes, contests, strict=True):
        ends = [int(part["x"].min()), int(part["x"].max())]
        ax.plot(ends, [1, ends[1] / ends[0]], color=RULE, linestyle="--", linewidth=1.2)
        _draw_lines(ax, part, names)
        _logarithmic(ax, part)
        ax.set_title(title)
        _gains(ax, ends[1] / ends[0])
        ax.set(xlabel="threads", ylabel=f"speed-up over {ends[0]} thread{'' if ends[0] == 1 else 's'}")
    name_all(figure, names, line=True, further=[Line2D([], [], color=RULE, linestyle="--", label="ideal")])
    shown = pd.concat([part for _, part in contests])
    headings = {"x": "threads", "y": "speed-up over the fewest threads", "lo": "from", "hi": "to", "ideal": "ideal"}
    figure = label(figure, "Speed-up over threads", _THREADS + _unknown(shown) + fewer + thinned)
    return Drawing(figure, headed(shown, _LINE | headings))


_THREADS = (
    "Speed-up of each implementation over itself with the fewest threads, both scales logarithmic; the dashed line is "
    "the ideal, as many times as fast as there are times as many threads. A line that flattens out waits for memory, "
    "or for its own threads. Latencies of different numbers of threads were not timed in turns, so a band joins the "
    "confidence intervals of both as if they were independent."
)


class _Drawn(NamedTuple):
    """A case of which a figure has a point."""

    case: Case


def freed(cases: pd.DataFrame, *params: str) -> pd.DataFrame:
    """`cases` with titles that do not say `params`, so that their values share a panel of `facets`."""
    numbers, firsts = numbered(cases, "run", "contest")
    drawn = [(run, _Drawn(Case.parse(name))) for run, name in cases[["run", "case"]].iloc[firsts].to_numpy()]
    by_run: dict[str, list[_Drawn]] = {}
    for run, one in drawn:
        by_run.setdefault(run, []).append(one)
    words = {run: titles(several, without=params) for run, several in by_run.items()}
    of_contest = np.array([words[run][one.case.contest] for run, one in drawn], object)
    return cases.assign(title=pd.Series(of_contest[numbers], cases.index, dtype=cases["title"].dtype))


def _panels(lines: pd.DataFrame) -> tuple[list[tuple[str, pd.DataFrame]], str]:
    """At most _CONTESTS panels of at most _POINTS values of `x` each, and a sentence about what was left out.

    The points of an implementation stand together, by rising `x`.
    """
    contests, thinned = facets(lines, _CONTESTS)
    few = [
        (title, _in_lines(part[part["x"].isin(_near_evenly(sorted(part["x"].unique())))])) for title, part in contests
    ]
    if sum(map(len, (part for _, part in few))) < sum(map(len, (part for _, part in contests))):
        thinned = f" Shown: {_POINTS} values of the horizontal axis at most.{thinned}"
    return few, thinned


def _in_lines(part: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([line.sort_values("x") for _, line in part.groupby("implementation", sort=False)])


def _near_evenly(values: list[int]) -> list[int]:
    """At most _POINTS of them, the ends included, as evenly on a logarithmic axis as they allow."""
    if len(values) <= _POINTS:
        return values
    logs = np.log([max(value, 1) for value in values])
    wanted = np.linspace(logs[0], logs[-1], _POINTS)
    return sorted({values[int(np.abs(logs - place).argmin())] for place in wanted})


def _with_several(cases: pd.DataFrame, param: str) -> pd.DataFrame:
    """Those that were timed, with titles that do not say `param`; without the lines that would be a single point."""
    cases = cases[(cases["latency"] > 0) & (cases[param] > 0)]
    if cases[param].nunique() < 2:
        return cases.iloc[:0]
    cases = freed(cases, param)
    lines, firsts = numbered(cases, "run", "title", "implementation")
    points = pd.DataFrame({"line": lines, "value": cases[param].to_numpy()}).drop_duplicates()
    several: np.ndarray = np.bincount(points["line"], minlength=len(firsts))[lines] > 1
    return cases[several]


def _over_fewest(cases: pd.DataFrame) -> pd.DataFrame:
    """With `x`, threads, and `y`, the gain over the fewest of them in the panel, its interval and its `ideal`."""
    panel = [cases["run"], cases["title"]]
    cases = cases.assign(x=cases["threads"].astype(int), half=np.log(cases["latency_hi"] / cases["latency"]))
    cases = cases.assign(fewest=cases.groupby(panel)["x"].transform("min"))
    first = cases[cases["x"] == cases["fewest"]]
    keys = ["run", "title", "implementation"]
    cases = cases.merge(first[[*keys, "latency", "half"]], on=keys, suffixes=("", "_first"))
    gain = cases["latency_first"] / cases["latency"]
    half = np.hypot(cases["half"], cases["half_first"])
    half[cases["latency"] == cases["latency_first"]] = 0.0
    ideal = cases["x"] / cases["fewest"]
    return cases.assign(y=gain, lo=gain / np.exp(half), hi=gain * np.exp(half), ideal=ideal)


def _names(contests: list[tuple[str, pd.DataFrame]]) -> list[str]:
    return list(dict.fromkeys(name for _, part in contests for name in part["implementation"]))


def _draw_lines(ax: Axes, part: pd.DataFrame, names: list[str]) -> None:
    """A line with markers for each implementation, and its interval where that is known."""
    palette, shapes = colours(names), markers(names)
    for group, line in part.groupby("implementation", sort=False):
        name, known = str(group), line[np.isfinite(line["lo"]) & np.isfinite(line["hi"])]
        ax.fill_between(known["x"], known["lo"], known["hi"], color=palette[name], alpha=_BAND, linewidth=0)
        ax.plot(line["x"], line["y"], color=palette[name], marker=shapes[name], markersize=5.5, markeredgewidth=0)


def _logarithmic(ax: Axes, part: pd.DataFrame) -> None:
    """Logarithmic axes over all points and their near bands, with a tick at every value of x that has the room."""
    values = sorted(part["x"].unique())
    room = math.log2(values[-1] / values[0]) / 12
    ticks = values[:1]
    for value in values[1:]:
        if math.log2(value / ticks[-1]) >= room:
            ticks.append(value)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ticks, [f"{tick}" for tick in ticks])
    ax.set_yscale("log")
    low, high = part["y"].min(), part["y"].max()
    ax.set_ylim(low / 1.5, high * 1.5)
    ax.yaxis.set_major_locator(log_ticks(math.log10(high / low) + 0.35))
    ax.yaxis.set_minor_locator(NullLocator())


def _gains(ax: Axes, most: float) -> None:
    """Ticks of 1×, 2×, 4× ... up to the ideal."""
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom, max(top, most * 1.2))
    powers = range(math.floor(math.log2(bottom)), math.ceil(math.log2(ax.get_ylim()[1])))
    ticks = [2.0**power for power in powers if 2.0**power >= bottom]
    ax.set_yticks(ticks, [f"{tick:g}×" for tick in ticks])


def _unknown(lines: pd.DataFrame) -> str:
    return " A line without a band has no interval: it takes two rounds." if lines["lo"].isna().any() else ""
