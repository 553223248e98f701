"""One panel: how well a model answers against what that costs, with the front of those that nothing beats."""

import math
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from harness.model.units import figure as digits
from harness.model.units import suited
from harness.show.plots.theme import AMBER, BLUE, GREY, INK, RULE, log_ticks
from harness.show.plots.whole_models.name_beside import Named, name_beside
from harness.show.plots.whole_models.standing import Choice, standings

_FEW = 4.0
"""From so many times the least on, what is to be low is drawn on a logarithmic scale."""
_RANK = ("front", "undecided", "dominated")
_STANDINGS = (
    ("front", "Pareto front", RULE, INK),
    ("undecided", "undecided (?)", RULE, RULE),
    ("dominated", "dominated", "none", GREY),
)
"""In words, with the colours of the face and the edge."""
MODEL_MARK, PLAN_MARK = "o", (4, 1, 0)
"""A star of four points, which no implementation has."""

_STARS = ("*", PLAN_MARK)
"""Marks of little area."""

Looks: TypeAlias = Mapping[str, tuple[str, Any]]
"""Colour and marker, by name."""


def model_name(model: str) -> str:
    """A path by its last part."""
    return PurePath(model).stem if "/" in model or "\\" in model else model


def scheme_names(schemes: pd.Series) -> list[str]:
    """Without an ending that all have, and of a plan the name of its file."""
    names = [PurePath(scheme).stem if scheme.endswith(".json") else scheme for scheme in schemes]
    plain = [name for name, scheme in zip(names, schemes, strict=True) if not scheme.endswith(".json")]
    ending = "-nonorm" if plain and all(name.endswith("-nonorm") for name in plain) else ""
    return [name.removesuffix(ending) for name in names]


def placed(points: pd.DataFrame) -> pd.DataFrame:
    """`points` of one metric with `height`, the ends of it and `standing`; by rising cost.

    They have `cost` with `cost_lo` and `cost_hi`, of which less is better, besides the columns of scores. The ends are
    those of the difference from full precision, around the mean: what makes documents unlike each other cancels in it.
    """
    points = points.sort_values("cost", kind="stable")
    costs = points[["cost", "cost_lo", "cost_hi", "values"]].itertuples(index=False, name=None)
    words = standings([Choice(*one) for one in costs], points["better"].iloc[0])
    spread = [points[f"difference{end}"].astype(float) - points["difference"].astype(float) for end in ("_lo", "_hi")]
    ends = {f"height{end}": points["centre"] + by for end, by in zip(("_lo", "_hi"), spread, strict=True)}
    return points.assign(height=points["centre"].astype(float), standing=words, **ends)


def draw(axes: Axes, points: pd.DataFrame, x: str, looks: Looks) -> None:
    """Marks of `points`, which are `placed`, at column `x`; `looks` is the colour and marker by column `look`."""
    _scale(axes, points)
    floor = _floor(points)
    shown = points.assign(**{name: points[name].clip(lower=floor) for name in ("height", "height_lo", "height_hi")})
    if points["reference"].notna().any():
        axes.axhline(max(floor, float(points["reference"].max())), color=RULE, linewidth=1, linestyle=":", zorder=1)
    front = shown[shown["standing"] == "front"]
    axes.plot(front[x], front["height"], color=INK, linewidth=1, linestyle="--", zorder=1)
    _bars(axes, shown, x)
    for standing, across, height, look in shown[["standing", x, "height", "look"]].itertuples(index=False, name=None):
        colour, shape = looks[look]
        faint = standing == "dominated"
        axes.plot(
            across, height, marker=shape, linestyle="", markersize=10 if shape in _STARS else 6, clip_on=False,
            color=GREY if faint else colour, markerfacecolor="none" if faint else colour, markeredgewidth=1.1,
            markeredgecolor=INK if standing == "front" else GREY if faint else colour, zorder=2 + (standing == "front"),
        )  # fmt: skip
    first = points.iloc[0]
    unit = "" if first["unit"] == "1" else f" ({first['unit']})"
    axes.set_ylabel(f"{first['heading']}{unit}")


def name_points(axes: Axes, points: pd.DataFrame, x: str) -> None:
    """Names beside the marks that `draw` made, those of the front first; after the figure was laid out."""
    by_rank = points.iloc[points["standing"].map(_RANK.index).argsort(kind="stable")]
    shown = by_rank[[x, "height", "standing", "name"]].itertuples(index=False, name=None)
    floor = _floor(points)
    doubt = {"undecided": "?"}
    name_beside(axes, [Named(across, max(floor, y), name + doubt.get(word, "")) for across, y, word, name in shown])


def bytes_axis(axes: Axes, sizes: pd.Series) -> None:
    """A logarithmic x axis of bytes."""
    lo, hi = float(sizes.min()), float(sizes.max())
    axes.set(xscale="log", xlim=(lo / 2, hi * 1.6), xlabel="linear layers, packed")
    axes.xaxis.set_major_locator(LogLocator(base=2))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _bytes(value)))
    axes.xaxis.set_minor_locator(NullLocator())


def legend(looks: Looks, standing: pd.Series) -> list[Line2D]:
    """What marks mean: looks by their names where there are several, then how marks stand, as far as some do."""
    shown = looks if len(looks) > 1 else {}
    handles = [
        Line2D([], [], linestyle="", marker=shape, color=colour, label=name) for name, (colour, shape) in shown.items()
    ]
    handles += [
        Line2D([], [], color=INK, linewidth=float(edge == INK), linestyle="--", marker="o", markersize=6,
               markerfacecolor=face, markeredgecolor=edge, markeredgewidth=1.1, label=words)
        for word, words, face, edge in _STANDINGS
        if (standing == word).any()
    ]  # fmt: skip
    return handles


def looks_of(points: pd.DataFrame) -> dict[str, tuple[str, Any]]:
    """Of schemes and of plans, as far as there are any."""
    known = {"one scheme": (BLUE, MODEL_MARK), "plan of several": (AMBER, PLAN_MARK)}
    return {name: look for name, look in known.items() if (points["look"] == name).any()}


def look(scheme: str) -> str:
    """Which of `looks_of` a scheme, or the file of a plan, has."""
    return "plan of several" if scheme.endswith(".json") else "one scheme"


def glossary(points: pd.DataFrame) -> str:
    """Every score that is drawn, with its title."""
    told = points.drop_duplicates("metric")[["heading", "title"]].itertuples(index=False, name=None)
    return "".join(f" {heading}: {title}." for heading, title in told)


def _bytes(value: float) -> str:
    size, unit = suited(value, "B")
    return f"{digits(value / size, 3)} {unit}"


def _ends(points: pd.DataFrame) -> tuple[float, float]:
    """The least and the most that is drawn."""
    ends = points[["height", "height_lo", "height_hi"]].to_numpy(float)
    ends = ends[np.isfinite(ends)]
    return float(ends.min()), float(ends.max())


def _floor(points: pd.DataFrame) -> float:
    """What is below it is drawn there, on a logarithmic scale: the metric counts so little as nothing.

    Minus infinity where the scale is linear.
    """
    least, most = _ends(points)
    first = points.iloc[0]
    low = max(least, float(first["tolerance"]))
    return low if first["better"] == "lower" and low > 0 and most / low > _FEW else -math.inf


def _scale(axes: Axes, points: pd.DataFrame) -> None:
    """Up answers better, whatever the metric."""
    least, most = _ends(points)
    low = _floor(points)
    if math.isfinite(low):
        axes.set(yscale="log", ylim=(low / (most / low) ** 0.12, most * (most / low) ** 0.12))
        axes.yaxis.set_major_locator(log_ticks(math.log10(most / low)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        margin = 0.14 * (most - least) or 0.05 * (abs(most) or 1.0)
        axes.set_ylim(least - margin, most + margin)
        axes.yaxis.set_major_locator(MaxNLocator(5))
    if points["better"].iloc[0] == "lower":
        axes.invert_yaxis()


def _bars(axes: Axes, shown: pd.DataFrame, x: str) -> None:
    height, lo, hi = (shown[name].to_numpy(float) for name in ("height", "height_lo", "height_hi"))
    up = np.nan_to_num(np.abs([height - lo, hi - height]))
    across = shown[x].to_numpy(float)
    aside = None
    if f"{x}_lo" in shown:
        ends = shown[[f"{x}_lo", f"{x}_hi"]].to_numpy(float).T
        aside = np.nan_to_num(np.abs([across - ends[0], ends[1] - across]))
    axes.errorbar(across, height, yerr=up, xerr=aside, fmt="none", ecolor=RULE, elinewidth=1.0, zorder=1.5)
