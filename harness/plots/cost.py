"""Figures of what speed costs: latency against error and memory, and where the bytes go."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from harness.frames import wide
from harness.plots.theme import (
    INK,
    RULE,
    colours,
    facets,
    label,
    logarithmic_seconds,
    markers,
    panels,
    require,
    themed,
)
from harness.quantity import suited
from harness.wording import full_precision, typeset

_CONTESTS = 4
_AREAS = (14.0, 300.0)
"""Square points of the smallest and the largest marker."""
_PARTS = {
    "weight_bytes": ("stored weights", "#0173b2"),
    "resident": ("kept besides the weights", "#de8f05"),
    "peak_forward_bytes": ("peak during a call", "#56b4e9"),
}


@themed
def tradeoff(summary: pd.DataFrame) -> Figure:
    """Latency against SQNR with stored weight bytes as area and the Pareto front marked, one panel a shape.

    The plain linear layers and whatever has an infinite SQNR lie in a band at the top.
    Raises NothingMeasuredError unless some contest has both latency and a finite SQNR.
    """
    cases = wide(summary, "latency", "error_sqnr", "weight_bytes")
    cases = require(cases[cases["latency"] > 0], "latency and error_sqnr of the same case")
    cases = cases[cases["error_sqnr"].notna() | cases["implementation"].map(full_precision)]
    cases = cases[np.isfinite(cases["error_sqnr"]).groupby([cases["run"], cases["contest"]]).transform("any")]
    cases = require(cases, "latency and error_sqnr of the same case")
    if cases["scheme"].nunique() > 1:  # schemes belong in one panel: between them lies the trade
        words = zip(cases["title"], cases["scheme"], strict=True)
        cases = cases.assign(title=[title.replace(f", {scheme}", "") for title, scheme in words])
    contests, thinned = facets(cases, _CONTESTS)
    names = cases["implementation"].unique()
    shown = Shown(colours(names), markers(names), cases["weight_bytes"].max())
    figure, axes = panels(len(contests), 3.0)
    for ax, (title, part) in zip(axes, contests, strict=True):
        _scatter(ax, part, shown)
        ax.set(title=title, xlabel="latency of one call", ylabel="SQNR (dB)")
    figure.legend(handles=_handles(shown), loc="outside right upper", labelspacing=0.7)
    return label(figure, "Latency against error, with memory as area", _TRADEOFF + thinned)


_TRADEOFF = (
    "Left is faster, up is more accurate, and the area is the stored weight bytes. The dashed line and the dark edges "
    "are the Pareto front: contestants that no other beats in both speed and error. Those that do not quantise have "
    "no quantisation error and lie in the band at the top."
)


class Shown(NamedTuple):
    """How implementations look in every panel, and the bytes that the largest marker stands for."""

    palette: dict[str, str]
    shapes: dict[str, str]
    largest: float


def _scatter(ax: Axes, part: pd.DataFrame, shown: Shown) -> None:
    sqnr = part["error_sqnr"].to_numpy(float)
    finite = sqnr[np.isfinite(sqnr)]
    margin = max(1.0, 0.3 * float(np.ptp(finite)))
    top = float(finite.max()) + 2 * margin
    part = part.assign(height=np.where(np.isfinite(sqnr), sqnr, top)).sort_values("weight_bytes", ascending=False)
    front = part.iloc[pareto(part["latency"].to_numpy(float), part["height"].to_numpy(float))]
    ax.plot(front["latency"], front["height"], color=INK, linewidth=1, linestyle="--", zorder=1)
    size = {"size": "weight_bytes", "sizes": _AREAS, "size_norm": (0, shown.largest)} if shown.largest > 0 else {}
    for points, edge in ((part, RULE), (front, INK)):
        seaborn.scatterplot(
            points, x="latency", y="height", hue="implementation", palette=shown.palette, style="implementation",
            markers=shown.shapes, legend=False, edgecolor=edge, linewidth=1.0, ax=ax, **size,
        )  # fmt: skip
    logarithmic_seconds(ax, float(part["latency"].min()) / 1.6, float(part["latency"].max()) * 1.6)
    ax.set_ylim(float(finite.min()) - margin, top + margin)
    _name_heights(ax, part, finite, margin)


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
    smallest, span = _AREAS[0], _AREAS[1] - _AREAS[0]
    handles += [
        Line2D([], [], linestyle="", marker="o", color=RULE, label=typeset(shown.largest * share, "B"),
               markersize=(smallest + share * span) ** 0.5)
        for share in ((0.1, 1.0) if shown.largest > 0 else ())
    ]  # fmt: skip
    return [*handles, Line2D([], [], color=INK, linewidth=1, linestyle="--", label="Pareto front")]


@themed
def memory(summary: pd.DataFrame) -> Figure:
    """Stacked bars: stored weights, what else stays resident, and the peak of one call, one panel a contest.

    Raises NothingMeasuredError when no case has weight_bytes.
    """
    cases = wide(summary, "weight_bytes", "resident_bytes", "peak_forward_bytes")
    cases = require(cases[cases["weight_bytes"].notna()], "weight_bytes")
    cases = cases.assign(resident=(cases["resident_bytes"] - cases["weight_bytes"]).clip(lower=0))
    contests, thinned = facets(cases, _CONTESTS)
    figure, axes = panels(len(contests), 0.75 + 0.25 * max(len(part) for _, part in contests))
    for ax, (title, part) in zip(axes, contests, strict=True):
        _stack(ax, part.sort_values("weight_bytes"))
        ax.set(title=title, ylabel="")
    handles = [Patch(color=colour, label=name) for name, colour in _PARTS.values()]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
    return label(figure, "Memory", _MEMORY + thinned)


_MEMORY = (
    "Bytes of one layer: the stored weights (codes, scales, padding), what the layer keeps besides them after its "
    "first call, and the peak allocated during a call, of training during its forward. A missing part was not measured."
)


def _stack(ax: Axes, part: pd.DataFrame) -> None:
    size, unit = suited(float(part[list(_PARTS)].sum(axis="columns").max()), "B")
    long = part.melt(id_vars="implementation", value_vars=list(_PARTS), var_name="part", value_name="bytes")
    long = long.assign(amount=long["bytes"].fillna(0.0) / size)
    seaborn.histplot(
        long, y="implementation", weights="amount", hue="part", hue_order=list(_PARTS)[::-1],
        palette=[colour for _, colour in _PARTS.values()][::-1], multiple="stack", discrete=True, shrink=0.7,
        alpha=1, linewidth=0, legend=False, ax=ax,
    )  # fmt: skip
    ax.set_xlabel(unit)
    ax.grid(visible=False, axis="y")
