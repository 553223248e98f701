"""The figure of what speed costs: latency against error, with memory as area, and who is beaten in both."""

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness.errors import NothingMeasuredError
from harness.frames import wide
from harness.model.metrics import ERROR_SQNR
from harness.model.units import is_known
from harness.show.plots.theme import (
    INK,
    RULE,
    Drawing,
    colours,
    facets,
    headed,
    label,
    logarithmic_seconds,
    markers,
    panels,
    require,
    themed,
)
from harness.show.typography import typeset

_CONTESTS = 4
_AREAS = (14.0, 300.0)
"""Square points of the smallest and the largest marker."""
_NAMED = 6
"""Members of a front that have their names beside them; more would hide each other."""
_ALIKE = 0.1
"""dB that cannot be seen as a difference."""
_LONG = 20
"""Lines of a legend beside which there is room for a second row of panels, but not for a second column."""

Standing: TypeAlias = Literal["front", "undecided", "dominated"]
"""On the Pareto front; behind it by no more than the intervals of latency allow; behind it for certain."""


@themed
def tradeoff(summary: pd.DataFrame) -> Drawing:
    """Latency against SQNR with stored weight bytes as area, one panel a contest, and each contestant's standing.

    The plain linear layers and whatever has an infinite SQNR lie in a band at the top. Panels come device by device.
    Contests whose errors are all alike are left out: there is nothing to trade. The frame has a row a mark, in seconds,
    dB and bytes; the SQNR of those in the band is infinite or NaN. Raises NothingMeasuredError unless some contest has
    latencies beside finite SQNRs that differ.
    """
    cases = wide(summary, "latency", "error_sqnr", "weight_bytes")
    cases = require(cases[cases["latency"] > 0], "latency and error_sqnr of the same case")
    cases = cases[cases["error_sqnr"].notna() | (cases["role"] == "baseline")]
    cases = cases[np.isfinite(cases["error_sqnr"]).groupby([cases["run"], cases["contest"]]).transform("any")]
    cases = require(cases, "latency and error_sqnr of the same case").sort_values("device", kind="stable")
    if cases["scheme"].nunique() > 1:  # schemes belong in one panel: between them lies the trade
        words = zip(cases["title"], cases["scheme"], strict=True)
        cases = cases.assign(title=[title.replace(f", {scheme}", "") for title, scheme in words])
    cases = _with_a_trade(cases)
    contests, thinned = facets(cases, _CONTESTS)
    contests = [(title, _placed(part.sort_values("latency", kind="stable"))) for title, part in contests]
    names = cases["implementation"].unique()
    shown = Shown(colours(names), markers(names), cases["weight_bytes"].max())
    handles = _handles(shown)
    columns = 1 if len(handles) > _LONG else 2
    rows = math.ceil(len(contests) / columns)
    figure, axes = panels(len(contests), max(3.0, (0.3 + 0.22 * len(handles)) / rows), columns)
    for ax, (title, part) in zip(axes, contests, strict=True):
        _scatter(ax, part, shown)
        ax.set(title=title, xlabel="latency of one call", ylabel="SQNR (dB)")
    figure.legend(handles=handles, loc="outside right upper", labelspacing=0.7)
    frame = headed(pd.concat([part for _, part in contests]), _HEADINGS)
    return Drawing(label(figure, "Latency against error, with memory as area", _TRADEOFF + thinned), frame)


_HEADINGS = {
    "title": "panel",
    "implementation": "implementation",
    "scheme": "scheme",
    "latency": "latency (s)",
    "latency_lo": "from (s)",
    "latency_hi": "to (s)",
    "error_sqnr": "SQNR (dB)",
    "weight_bytes": "stored weights (B)",
    "standing": "standing",
}


def _with_a_trade(cases: pd.DataFrame) -> pd.DataFrame:
    """Without the panels in which all that quantise lie at one height. Raises NothingMeasuredError if none is left."""
    heights = cases["error_sqnr"].where(np.isfinite(cases["error_sqnr"])).groupby([cases["run"], cases["title"]])
    kept = cases[heights.transform("max") - heights.transform("min") > _ALIKE]
    if kept.empty:
        raise NothingMeasuredError("this figure needs errors that differ, and all that quantise have the same")
    return kept


_TRADEOFF = (
    "Left is faster, up is more accurate, and the area is the stored weight bytes; whiskers are the confidence "
    "intervals of latency. The dashed line joins the Pareto front: contestants that no other beats in both speed and "
    "error, filled, with an edge and their names. A hollow mark is dominated: another one at least as accurate is "
    "faster, and their intervals do not overlap. If they overlap, or one is not known, the mark is filled and has a "
    "question mark. Those that do not quantise have no quantisation error and lie in the band at the top."
)


class Shown(NamedTuple):
    """How implementations look in every panel, and the bytes that the largest marker stands for."""

    palette: dict[str, str]
    shapes: dict[str, str]
    largest: float

    def area(self, size: float) -> float:
        """Square points of a marker for `size` bytes; of the smallest where they are unknown."""
        share = size / self.largest if self.largest > 0 and np.isfinite(size) else 0.0
        return _AREAS[0] + share * (_AREAS[1] - _AREAS[0])


def _placed(part: pd.DataFrame) -> pd.DataFrame:
    """With `height`, which is the SQNR or lies in the band above the highest, and `standing`."""
    sqnr, latency, lo, hi = (
        part[name].to_numpy(float) for name in ("error_sqnr", "latency", "latency_lo", "latency_hi")
    )
    finite, margin = _finite(part)
    height = np.where(np.isfinite(sqnr), sqnr, float(finite.max()) + 2 * margin)
    return part.assign(height=height, standing=standings(latency, lo, hi, height))


def _finite(part: pd.DataFrame) -> tuple[np.ndarray, float]:
    """The SQNRs that are known, and the room above and below them."""
    sqnr = part["error_sqnr"].to_numpy(float)
    finite = sqnr[np.isfinite(sqnr)]
    return finite, max(1.0, 0.3 * float(np.ptp(finite)))


def _scatter(ax: Axes, part: pd.DataFrame, shown: Shown) -> None:
    finite, margin = _finite(part)
    latency, lo, hi = (part[name].to_numpy(float) for name in ("latency", "latency_lo", "latency_hi"))
    front = part[part["standing"] == "front"]
    ax.plot(front["latency"], front["height"], color=INK, linewidth=1, linestyle="--", zorder=1)
    reach = np.nan_to_num(np.abs([latency - lo, hi - latency]))
    ax.errorbar(latency, part["height"], xerr=reach, fmt="none", ecolor=RULE, elinewidth=1.0, zorder=1.5)
    logarithmic_seconds(ax, float(latency.min()) / 1.6, float(latency.max()) * 1.6)
    ax.tick_params(which="minor", bottom=False)
    ax.set_ylim(float(finite.min()) - margin, float(finite.max()) + 3 * margin)
    _marks(ax, part.sort_values("weight_bytes", ascending=False), shown)
    if len(front) <= _NAMED:
        _name_front(ax, front, shown, margin)
    _name_heights(ax, part, finite, margin)


def _marks(ax: Axes, part: pd.DataFrame, shown: Shown) -> None:
    """A mark for each contestant, the larger ones below; the front's in front of all."""
    columns = ("implementation", "latency", "height", "weight_bytes", "standing")
    for name, x, y, size, standing in part[list(columns)].itertuples(index=False, name=None):
        colour, area, leads = shown.palette[name], shown.area(size), standing == "front"
        ax.scatter(
            x, y, s=area, marker=shown.shapes[name], facecolor="none" if standing == "dominated" else colour,
            edgecolor=INK if leads else colour, linewidth=1.2, zorder=3 if leads else 2, clip_on=False,
        )  # fmt: skip
        if standing == "undecided":
            ax.annotate("?", (x, y), (area**0.5 / 2,) * 2, textcoords="offset points", fontsize=8, zorder=4)


def _name_front(ax: Axes, front: pd.DataFrame, shown: Shown, margin: float) -> None:
    """Names of the front's members below them, clear of its line; those of about one height under each other."""
    middle = float(np.sqrt(np.prod(ax.get_xlim())))
    heights = front["height"].to_numpy(float)
    for place, (name, x, size) in enumerate(front[["implementation", "latency", "weight_bytes"]].to_numpy()):
        before = int((heights[:place] > heights[place] - 0.5 * margin).sum())
        drop = shown.area(size) ** 0.5 / 2 + 9 + 9 * before
        ax.annotate(name, (x, heights[place]), (3 if x < middle else -3, -drop), textcoords="offset points", fontsize=8,
                    ha="left" if x < middle else "right", zorder=4)  # fmt: skip


def _name_heights(ax: Axes, part: pd.DataFrame, finite: np.ndarray, margin: float) -> None:
    """Ticks below the band only, the band's name, and the names of schemes where there are several."""
    highest = float(finite.max()) + margin
    ticks = MaxNLocator(5, integer=True).tick_values(finite.min() - margin, highest)
    ax.set_yticks([tick for tick in ticks if finite.min() - margin <= tick <= highest])
    across = ax.get_yaxis_transform()
    if len(finite) < len(part):
        ax.axhspan(highest, highest + 2 * margin, color=RULE, alpha=0.14, linewidth=0)
        ax.annotate("unquantised", (0, highest + 2 * margin), (4, -4), xycoords=across, textcoords="offset points",
                    va="top", fontsize=8)  # fmt: skip
    heights = part[np.isfinite(part["error_sqnr"])].groupby("scheme")["error_sqnr"].first()
    for scheme, height in heights.items() if 1 < len(heights) <= 6 else ():
        ax.annotate(str(scheme), (1, height), (-2, 0), xycoords=across, textcoords="offset points",
                    ha="right", va="center", fontsize=7.5)  # fmt: skip


def standings(cost: np.ndarray, lo: np.ndarray, hi: np.ndarray, gain: np.ndarray) -> list[Standing]:
    """Of each point, from its cost with the interval of it, which may be NaN, and its gain, which is exact.

    Gains that the metric counts as equal are equal. A cost that is not known, for its interval, leads nothing.
    """
    gain = np.round(gain / ERROR_SQNR.tolerance)
    known = np.array([is_known(*one) for one in zip(cost, hi, strict=True)], bool)
    front = pareto(np.where(known, cost, np.inf), np.where(known, gain, -np.inf))
    beaten = (hi[:, None] < lo[None, :]) & (gain[:, None] >= gain[None, :])
    behind = np.where(beaten.any(axis=0), "dominated", "undecided")
    return ["front" if position in front else word for position, word in enumerate(behind.tolist())]


def pareto(cost: np.ndarray, gain: np.ndarray) -> list[int]:
    """Positions of the points that no other beats in both (lower cost, higher gain), by rising cost."""
    best, front = -np.inf, []
    for position in np.lexsort((-gain, cost)):
        if gain[position] > best:
            best = gain[position]
            front.append(int(position))
    return front


def _handles(shown: Shown) -> list[Line2D]:
    handles = [
        Line2D([], [], linestyle="", marker=shape, color=shown.palette[name], label=name, markersize=6)
        for name, shape in shown.shapes.items()
    ]
    handles += [
        Line2D([], [], linestyle="", marker="o", color=RULE, label=typeset(shown.largest * share, "B"),
               markersize=shown.area(share * shown.largest) ** 0.5)
        for share in ((0.1, 1.0) if shown.largest > 0 else ())
    ]  # fmt: skip
    handles += [
        Line2D([], [], color=INK, linewidth=float(edge == INK), linestyle="--", marker="o", markersize=6,
               markerfacecolor=face, markeredgecolor=edge, markeredgewidth=1.2, label=words)
        for words, face, edge in (("Pareto front", RULE, INK), ("? undecided", RULE, RULE), ("dominated", "none", RULE))
    ]  # fmt: skip
    return handles
