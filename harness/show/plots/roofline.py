"""Figure of the roofline: how near every call comes to what this machine was measured to do at most."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from harness.analysis.roofline import DTYPES
from harness.frames import wide
from harness.model.units import figure as digits
from harness.show.plots.implementations import baseline_of, foremost, name_all
from harness.show.plots.theme import (
    INK,
    RULE,
    Drawing,
    colours,
    facets,
    headed,
    label,
    markers,
    panels,
    require,
    themed,
)

_CONTESTS = 4
_GIGA = 1e9
_APART = 1.8
"""Times as high as the next a roof must be for each to have its own label."""


class Roofs(NamedTuple):
    """What one device can do with so many threads, by name: bytes read a second, and operations a second by dtype."""

    bandwidths: dict[str, float]
    rates: dict[str, float]

    @classmethod
    def over(cls, ceilings: pd.DataFrame, case: pd.Series) -> "Roofs":
        """Those of the run, the device and the threads of `case`; empty where they were not measured."""
        device = case["device"] if pd.notna(case["device"]) else "cpu"
        here = ceilings[(ceilings["run"] == case["run"]) & (ceilings["device"] == device)]
        here = here[here["threads"] == case["threads"]] if pd.notna(case["threads"]) else here
        found = {str(kind): float(value) for kind, value in zip(here["kind"], here["value"], strict=True)}
        rates = {name: value for name, value in found.items() if name in DTYPES}
        return cls({name: value for name, value in found.items() if name not in DTYPES}, rates)

    @property
    def ridge(self) -> float:
        """Operations a byte below which memory is the nearer roof; NaN where one of the two is not known."""
        memory = self.bandwidths.get("memory", 0.0)
        return max(self.rates.values()) / memory if memory and self.rates else math.nan


@themed
def roofline(summary: pd.DataFrame, ceilings: pd.DataFrame, baseline: str | None = None) -> Drawing:
    """Throughput against arithmetic intensity under the machine's measured ceilings, one panel a contest.

    The frames come from `harness.frames.summary` and `harness.frames.ceilings`. An arrow leads from the baseline to
    the fastest implementation that quantises. The frame has a row a call, in the units of the axes, and below those
    of a contest a row a ceiling. Raises NothingMeasuredError where no case has a place in it.
    """
    cases = require(wide(summary, "latency"), "latency")
    placed = np.isfinite(cases["intensity"]) & (cases["intensity"] > 0) & (cases["throughput"] > 0)
    cases = require(
        cases[placed & cases["run"].isin(ceilings["run"])],
        "latency and weight_bytes beside the ceilings of the machine",
    )
    baseline = baseline_of(cases, baseline)
    cases, fewer = foremost(_in_giga(cases))
    contests, thinned = facets(cases, _CONTESTS)
    shown = pd.concat([part for _, part in contests])
    names = list(shown["implementation"].unique())
    roofs = [Roofs.over(ceilings, part.iloc[0]) for _, part in contests]
    figure, axes = panels(len(contests), 3.2)
    limits = _limits(shown, roofs)
    for ax, (title, part), above in zip(axes, contests, roofs, strict=True):
        ax.set(xscale="log", yscale="log", xlim=limits[0], ylim=limits[1])
        ends = _ends(part, baseline)
        _frame(ax, title, _gain(*ends) if ends else "")
        _draw_roofs(ax, above)
        _points(ax, part, colours(names), markers(names))
        if ends:
            _arrow(ax, *ends)
    name_all(figure, names, line=False, below=True)
    rows = [part for (_, calls), above in zip(contests, roofs, strict=True) for part in (calls, _as_rows(above, calls))]
    return Drawing(label(figure, "Roofline", _CAPTION + fewer + thinned), headed(pd.concat(rows), _HEADINGS))


_HEADINGS = {
    "title": "panel",
    "implementation": "implementation",
    "intensity": "arithmetic intensity (FLOP/B)",
    "speed": "speed (GFLOP/s)",
    "lo": "from (GFLOP/s)",
    "hi": "to (GFLOP/s)",
    "reads": "reads (GB/s)",
}


def _in_giga(cases: pd.DataFrame) -> pd.DataFrame:
    """With `speed` and its interval `lo` and `hi`, and `reads`, the bytes: all in giga a second."""
    latency, low, high = (cases[name].astype(float) for name in ("latency", "latency_lo", "latency_hi"))
    speed = cases["throughput"] / _GIGA
    reads = cases["bandwidth"] / _GIGA
    return cases.assign(speed=speed, lo=speed * latency / high, hi=speed * latency / low, reads=reads)


def _as_rows(roofs: Roofs, calls: pd.DataFrame) -> pd.DataFrame:
    """A row a ceiling of this contest."""
    rates = [{"implementation": f"{name} ceiling", "reads": rate / _GIGA} for name, rate in roofs.bandwidths.items()]
    rates += [{"implementation": f"{name} ceiling", "speed": rate / _GIGA} for name, rate in roofs.rates.items()]
    return pd.DataFrame(rates).assign(run=calls["run"].iloc[0], title=calls["title"].iloc[0])


_CAPTION = (
    "Operations a second against arithmetic intensity, the operations for each byte that must be moved; both scales "
    "are logarithmic. The slanting lines are the bandwidths and the level ones the rates of a large matrix product "
    "that this machine was measured to reach, with the GFLOP/s at the right: below the first a call waits for bytes, "
    "below the second for arithmetic. The arrow leads from the baseline to the fastest implementation that quantises: "
    "to the right because fewer bytes are moved for the same operations, and up because that takes less time. Whiskers "
    "are the interval of the latency. A point above a line reads from a faster cache, computes in another dtype, or "
    "shows that the ceiling was measured on a disturbed machine."
)


def _limits(cases: pd.DataFrame, roofs: list[Roofs]) -> tuple[tuple[float, float], tuple[float, float]]:
    """All points, the place where memory's roof meets the highest, and room for words at the left of the points."""
    x, y = cases["intensity"], cases["speed"]
    known = [one for one in roofs if math.isfinite(one.ridge)]
    tops = [max(one.rates.values()) for one in known]
    corners = [top / max(one.bandwidths.values()) for top, one in zip(tops, known, strict=True)]
    left = min([float(x.min()) / 12, *(corner / 40 for corner in corners)])
    lowest = [1.2 * left * one.bandwidths["memory"] / _GIGA for one in known]
    right = 3 * max([float(x.max()), *(one.ridge for one in known)])
    top = 2.5 * max([float(y.max()), *(top / _GIGA for top in tops)])
    return (left, right), (min([float(y.min()) / 2, *lowest]), top)


def _frame(ax: Axes, title: str, words: str) -> None:
    """Titles, and axes whose ticks are numbers without exponents."""
    gain = ax.annotate(words, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=8)
    gain.set_in_layout(False)  # else long names would make the axes narrow
    ax.set_title(title, pad=18)
    ax.set(xlabel="arithmetic intensity (FLOP/B)", ylabel="GFLOP/s")
    ax.grid(visible=False)  # the roofs are lines enough
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(numticks=7))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(NullLocator())


def _ends(part: pd.DataFrame, baseline: str) -> tuple[pd.Series, pd.Series] | None:
    """The baseline and the fastest case that quantises; None where one of them is missing."""
    start = part[part["implementation"] == baseline]
    others = part[part["role"] != "baseline"].sort_values("latency")
    return None if start.empty or others.empty else (start.iloc[0], others.iloc[0])


def _gain(start: pd.Series, end: pd.Series) -> str:
    """`linear-fp32 → native: 15.8× the intensity, 44.2× as fast`."""
    more, faster = end["intensity"] / start["intensity"], end[f"speedup_{start['implementation']}"]
    paired = f", {digits(faster, 3)}× as fast" if math.isfinite(faster) else ""
    return f"{start['implementation']} → {end['implementation']}: {digits(more, 3)}× the intensity{paired}"


def _points(ax: Axes, part: pd.DataFrame, palette: dict[str, str], shapes: dict[str, str]) -> None:
    for _, case in part.iterrows():
        x, y, name = case["intensity"], case["speed"], case["implementation"]
        if math.isfinite(case["lo"]) and math.isfinite(case["hi"]):
            ax.plot([x, x], [case["lo"], case["hi"]], color=palette[name], linewidth=1, zorder=3)
        ax.plot([x], [y], marker=shapes[name], color=palette[name], markersize=6, linestyle="", zorder=4)


def _arrow(ax: Axes, start: pd.Series, end: pd.Series) -> None:
    (x, y), (to_x, to_y) = ((case["intensity"], case["speed"]) for case in (start, end))
    look = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.2, "shrinkA": 4, "shrinkB": 4}
    ax.annotate("", (to_x, to_y), (x, y), arrowprops=look, zorder=5)


def _draw_roofs(ax: Axes, roofs: Roofs) -> None:
    """Slanting lines up to the highest level one, and level lines from where the highest slanting one meets them."""
    left, right = ax.get_xlim()
    top = max(roofs.rates.values(), default=math.inf)
    quickest = max(roofs.bandwidths.values(), default=math.inf)
    for name, rate in roofs.bandwidths.items():
        ends = [left, min(top / rate, right)]
        style = "-" if name == "memory" else "--"
        ax.plot(ends, [rate * end / _GIGA for end in ends], color=RULE, linestyle=style, zorder=1)
    for group in _close(roofs.bandwidths):
        _along(ax, f"{', '.join(_figures(group))} GB/s", max(group.values()) / _GIGA)
    for rate in roofs.rates.values():
        ends = [max(left, rate / quickest), right]
        ax.plot(ends, [rate / _GIGA] * 2, color=RULE, linestyle="-" if rate == top else ":", zorder=1)
    for group in _close(roofs.rates):
        middle = math.exp(sum(map(math.log, group.values())) / len(group)) / _GIGA
        ax.annotate("\n".join(_figures(group)), (right, middle), (4, 0), textcoords="offset points", va="center",
                    fontsize=7.5, linespacing=1.05)  # fmt: skip


def _along(ax: Axes, words: str, slope: float) -> None:
    """`words` above the line of this slope, at the left, or where it enters the axes from below."""
    x = max(ax.get_xlim()[0], ax.get_ylim()[0] / slope) * 1.1
    slope *= 1.3  # above the line
    text = ax.text(x, x * slope, words, fontsize=7.5, rotation=math.degrees(math.atan(slope)),
                   rotation_mode="anchor", transform_rotates_text=True)  # fmt: skip
    text.set_in_layout(False)  # it lies within the axes, but its angle is not known before these are laid out


def _close(roofs: dict[str, float]) -> list[dict[str, float]]:
    """The roofs, the highest first, in groups of those that are too near to each other for a label each."""
    groups: list[dict[str, float]] = []
    for name, rate in sorted(roofs.items(), key=lambda roof: -roof[1]):
        if groups and min(groups[-1].values()) / rate < _APART:
            groups[-1][name] = rate
        else:
            groups.append({name: rate})
    return groups


def _figures(group: dict[str, float]) -> list[str]:
    """Each roof's name and figure; those with the same figure share it."""
    names: dict[str, list[str]] = {}
    for name, rate in group.items():
        names.setdefault(digits(rate / _GIGA, 3), []).append(name)
    return [f"{' and '.join(same)} {figure}" for figure, same in names.items()]
