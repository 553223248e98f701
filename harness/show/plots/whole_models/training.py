"""The figure of trained networks: how good they are against bits, seed by seed, and the verdict on each scheme."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from harness.show.plots.theme import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    RED,
    RULE,
    Drawing,
    headed,
    label,
    panels,
    require,
    strokes,
    themed,
)
from harness.show.plots.whole_models import panel

_PANELS = 8
_WORDS = {"worse": RED, "undecided": AMBER, "ok": GREEN, "better": BLUE}
_ASIDE = 0.22
"""Of a column's width: where the mean stands, beside its seeds."""


@themed
def training(scores: pd.DataFrame) -> Drawing:
    """Scores of networks that were trained with each scheme, in order of bits: seeds, means and verdicts.

    There is a panel a task, kind of training and score. Verdicts are the metric's on the difference from full
    precision, seed by seed. The frame has a row a scheme. Raises NothingMeasuredError unless two schemes of one
    training were scored, one of them in full precision.
    """
    cases = scores[scores["training"].notna() & scores["centre"].notna()]
    keys = ["run", "metric", "task", "training"]
    cases = cases[cases.groupby(keys)["word"].transform("count") > 0] if len(cases) else cases
    cases = require(cases, "scores of networks trained with a scheme, and in full precision")
    cases = cases.sort_values(["weight_bits"], ascending=False, kind="stable").assign(
        name=lambda kept: panel.scheme_names(kept["scheme"]),
        spread=[float(np.std(values, ddof=1)) if len(values) > 1 else math.nan for values in cases["values"]],
    )
    order = scores.drop_duplicates(keys)
    parts = [
        part
        for run, metric, task, kind in order[keys].itertuples(index=False, name=None)
        if len(part := cases[_is(cases, run, metric, task, kind)])
    ]
    figure, axes = panels(min(len(parts), _PANELS), 2.35)
    for ax, part in zip(axes, parts, strict=False):
        _panel(ax, part)
    for metric in {part["metric"].iloc[0] for part in parts}:
        _one_scale([ax for ax, part in zip(axes, parts, strict=False) if part["metric"].iloc[0] == metric])
    drawn = pd.concat(parts[:_PANELS])
    figure.legend(handles=_handles(drawn), loc="outside lower left", ncols=4)
    left_out = f" Shown: {_PANELS} of {len(parts)} panels." if len(parts) > _PANELS else ""
    caption = _CAPTION + panel.glossary(drawn) + left_out
    return Drawing(label(figure, "Trained networks against bits", caption), headed(drawn, _HEADINGS))


_HEADINGS = {
    "task": "task",
    "training": "training",
    "name": "scheme",
    "heading": "score",
    "unit": "unit",
    "centre": "mean",
    "lo": "from",
    "hi": "to",
    "spread": "standard deviation of seeds",
    "difference": "difference from full precision",
    "difference_lo": "difference, from",
    "difference_hi": "difference, to",
    "word": "verdict",
}

_CAPTION = (
    "Small dots are seeds. The mark is their mean, with the 95 % interval of the difference from full precision, seed "
    "by seed. The dotted line is full precision, and the band is what the metric tolerates below it. A verdict is ok "
    "where the interval lies within the band or above it, worse where it lies beyond, and undecided where it crosses "
    "the edge. Up is better, and bits fall to the right."
)


def _is(cases: pd.DataFrame, *values: str) -> pd.Series:
    found = pd.Series(True, cases.index)
    for name, value in zip(("run", "metric", "task", "training"), values, strict=True):
        found &= cases[name] == value
    return found


def _panel(ax: Axes, part: pd.DataFrame) -> None:
    first = part.iloc[0]
    reference, allowed = float(part["reference"].max()), float(part["allowed"].max())
    worse = reference + allowed * (1 if first["better"] == "lower" else -1)
    ax.axhspan(min(reference, worse), max(reference, worse), color=GREEN, alpha=0.16, linewidth=0)
    ax.axhline(reference, color=RULE, linewidth=1, linestyle=":")
    columns = ["values", "centre", "difference", "difference_lo", "difference_hi", "word"]
    for place, (values, centre, difference, lo, hi, word) in enumerate(
        part[columns].itertuples(index=False, name=None)
    ):
        colour = _WORDS.get(word, GREY)
        ax.plot([place] * len(values), values, "o", color=colour, markersize=3, alpha=0.75, markeredgewidth=0)
        beside = place + _ASIDE
        if math.isfinite(lo + hi):
            strokes(ax, ([beside], [beside]), ([centre + lo - difference], [centre + hi - difference]), color=colour,
                    linewidth=1.8)  # fmt: skip
        ax.plot(beside, centre, "D", color=colour, markersize=5)
    names = [f"{name}\n{word if word in _WORDS else ''}" for name, word in zip(part["name"], part["word"], strict=True)]
    ax.set_xticks([place + _ASIDE / 2 for place in range(len(part))], names, fontsize=7.5)
    for text, word in zip(ax.get_xticklabels(), part["word"], strict=True):
        text.set_fontweight("bold" if word == "worse" else "normal")
    ax.set(xlim=(-0.5, len(part) - 0.5 + _ASIDE))
    ax.grid(visible=False, axis="x")
    ax.tick_params(axis="x", length=0)
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_title(f"{first['task']}, training: {first['training']}")
    ax.set_ylabel(f"{first['heading']} ({first['unit']})")
    if first["better"] == "lower":
        ax.invert_yaxis()


def _one_scale(axes: list[Axes]) -> None:
    """The same limits for all, so that panels can be compared."""
    lows, highs = zip(*(sorted(ax.get_ylim()) for ax in axes), strict=True)
    low, high = min(lows), max(highs)
    margin = 0.05 * (high - low)
    for ax in axes:
        ends = low - margin, high + margin
        ax.set_ylim(*(reversed(ends) if ax.yaxis_inverted() else ends))


def _handles(drawn: pd.DataFrame) -> list[Line2D | Patch]:
    handles: list[Line2D | Patch] = [
        Line2D([], [], linestyle="", marker="D", color=colour, label=word, markersize=5)
        for word, colour in _WORDS.items()
        if (drawn["word"] == word).any()
    ]
    handles += [
        Line2D([], [], linestyle="", marker="D", color=GREY, label="full precision", markersize=5),
        Line2D([], [], linestyle="", marker="o", color=RULE, label="a seed", markersize=3),
        Patch(color=GREEN, alpha=0.16, label="tolerated", linewidth=0),
    ]
    return handles
