"""Figures of time: speed-up bars with intervals."""

import math
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.frames import wide
from harness.model.units import NOT_KNOWN, is_known, spread
from harness.model.units import figure as digits
from harness.show.plots.implementations import baseline_of, foremost
from harness.show.plots.roofline import Roofs
from harness.show.plots.theme import (
    INK,
    RULE,
    Drawing,
    colours,
    facets,
    headed,
    label,
    named_rows,
    panels,
    require,
    themed,
)

_CONTESTS = 6
_FEW_TOKENS = 32
"""Tokens of one call up to which reading the weights takes most of the time."""
_BARS = 16
_LINE = 51
"""Characters that fit beside each other in a panel: the longest name and a line of the title."""
_IDEAL = "ideal (bytes)"
_NEAR, _FAR = 1.5, 3.0
"""Octaves beyond the bars that a whisker and an ideal may take up; beyond them the bars would be too short to read."""


@themed
def speedup(summary: pd.DataFrame, ceilings: pd.DataFrame | None = None, baseline: str | None = None) -> Drawing:
    """Bars of speed-up over `baseline` with the interval of the paired ratio and the ideal, one panel a contest.

    The frames come from `harness.frames.summary` and `harness.frames.ceilings`; where the baseline has
    no rival it is the plain linear layer that leads. The frame that is drawn has a row a bar and one for the ideal: how
    many times as fast it is. Raises NothingMeasuredError when no speed-up is in them.
    """
    cases = require(wide(summary, "latency", "weight_bytes"), "latency")
    baseline = baseline_of(cases, baseline)
    column = f"speedup_{baseline}"
    cases = _with_ideal(cases, baseline)
    times = cases[cases[column].notna() & (cases["implementation"] != baseline)] if column in cases else cases.iloc[:0]
    times = require(times, f"latency of {baseline} and of something in the same contest")
    times, fewer = foremost(times, _BARS)
    contests, thinned = facets(times, _CONTESTS)
    contests = [(title, part.sort_values(column, ascending=False)) for title, part in contests]
    palette = colours(summary["implementation"].unique())
    ideals = [_ideal(part, ceilings) for _, part in contests]
    drawn = pd.concat([part for _, part in contests])
    reach = _reach(drawn, column, ideals)
    room = max(20, _LINE - int(drawn["implementation"].str.len().max()))
    figure, axes = panels(len(contests), 0.95 + 0.22 * max(len(part) for _, part in contests))
    for ax, (title, part), ideal in zip(axes, contests, ideals, strict=True):
        _bars(ax, part, column, palette)
        ax.set(xlim=reach, xlabel=f"speed-up over {baseline}", ylabel="")
        _name_rows(ax, part, column, ideal)
        ax.set_title("\n".join(part for line in title.splitlines() for part in wrap(line, room)))
    caption = _SPEEDUP.format(baseline=baseline) + _ideal_in_words(ideals, baseline)
    unknown = " A figure with ±? has no interval: it takes two rounds." if drawn[f"{column}_lo"].isna().any() else ""
    title = f"Speed-up over {baseline}"
    headings = {
        "title": "panel",
        "implementation": "implementation",
        column: f"speed-up over {baseline}",
        f"{column}_lo": "from",
        f"{column}_hi": "to",
    }
    rows = [_with_row(part, ideal, column) for (_, part), ideal in zip(contests, ideals, strict=True)]
    return Drawing(label(figure, title, caption + unknown + fewer + thinned), headed(pd.concat(rows), headings))


def _with_row(part: pd.DataFrame, ideal: float, column: str) -> pd.DataFrame:
    """With a row for the ideal below the bars, where it is known."""
    if math.isnan(ideal):
        return part
    row = part.iloc[[0]][["run", "title"]].assign(implementation=_IDEAL, **{column: ideal})
    return pd.concat([part, row])


_SPEEDUP = (
    "Speed-up over {baseline} (right of 1× is faster; logarithmic), paired within rounds; whiskers are the confidence "
    "interval over rounds. The fastest stands on top, in bold where it beats the baseline."
)


def _ideal_in_words(ideals: list[float], baseline: str) -> str:
    if not any(map(math.isfinite, ideals)):
        return ""
    return (
        f" The dashed line is the ideal by bytes: what a call gains over {baseline} if time goes with the bytes it has "
        "to move, and only packed weights, inputs and outputs have to. It is drawn where such a call would wait for "
        f"memory: left of the ridge of the measured roofline or, without ceilings, up to {_FEW_TOKENS} tokens. A bar "
        "ends beyond it where the baseline reads more slowly than it could, or smaller weights stay in a faster cache."
    )


def _with_ideal(cases: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """With the columns `ideal`, bytes of the contest's `baseline` over the least bytes, and `ideal_intensity`."""
    facts = cases.reindex(columns=["weight_bytes", "activation_bytes", "ideal_bytes", "operations"]).astype(float)
    stored = (facts["weight_bytes"] + facts["activation_bytes"]).where(cases["implementation"] == baseline)
    of_baseline = stored.groupby([cases["run"], cases["contest"]]).transform("max")
    least = facts["ideal_bytes"].where(facts["ideal_bytes"] > 0)
    return cases.assign(ideal=of_baseline / least, ideal_intensity=facts["operations"] / least)


def _ideal(part: pd.DataFrame, ceilings: pd.DataFrame | None) -> float:
    """The gain of a call that only moves its bytes; NaN where it is not known, or no call waits for bytes."""
    case = part.iloc[0]
    ridge = math.nan if ceilings is None else Roofs.over(ceilings, case).ridge
    waits = case["m"] <= _FEW_TOKENS if math.isnan(ridge) else case["ideal_intensity"] < ridge
    return float(case["ideal"]) if case["ideal"] > 0 and pd.notna(waits) and waits else math.nan


def _bars(ax: Axes, part: pd.DataFrame, column: str, palette: dict[str, str]) -> None:
    ratio, lo, hi = (np.log2(part[name].to_numpy(float)) for name in (column, f"{column}_lo", f"{column}_hi"))
    ax.barh(np.arange(len(part)), ratio, 0.7, color=[palette[name] for name in part["implementation"]])
    known = np.flatnonzero(np.isfinite(lo) & np.isfinite(hi))
    whiskers = np.abs([ratio - lo, hi - ratio])[:, known]
    ax.errorbar(ratio[known], known, xerr=whiskers, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
    ax.axvline(0, color=RULE, linewidth=1)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda power, _: _power_of_two(power)))
    ax.grid(visible=False, axis="y")


def _power_of_two(power: float) -> str:
    """`4×`, and `1/4×` where decimals would take more room."""
    return f"{2.0**power:g}×" if power >= 0 else f"1/{2.0**-power:g}×"


def _name_rows(ax: Axes, part: pd.DataFrame, column: str, ideal: float) -> None:
    """Names on the left and figures on the right, the winner's in bold; the ideal has a row of its own below."""
    rows = [
        (name, f"{digits(ratio, 3)}× {spread(ratio, hi)}" if is_known(ratio, hi) else NOT_KNOWN)
        for name, ratio, hi in zip(part["implementation"], part[column], part[f"{column}_hi"], strict=True)
    ]
    if math.isfinite(ideal):
        rows.append((_IDEAL, f"{digits(ideal, 3)}×"))
        at, end = math.log2(ideal), ax.get_xlim()[1]
        ax.axvline(min(at, end), color=RULE, linewidth=1.6, linestyle="--")
        ax.plot([min(at, end)], [len(part)], marker=">" if at > end else "d", color=RULE, clip_on=False)
    named_rows(ax, [name for name, _ in rows])
    figures = [
        ax.annotate(words, (1, y), (6, 0), xycoords=ax.get_yaxis_transform(), textcoords="offset points", va="center",
                    fontsize=8)
        for y, (_, words) in enumerate(rows)
    ]  # fmt: skip
    if part[column].iloc[0] > 1 and is_known(part[column].iloc[0], part[f"{column}_hi"].iloc[0]):
        for text in (ax.get_yticklabels()[0], figures[0]):
            text.set_fontweight("bold")
    if math.isfinite(ideal):
        ax.get_yticklabels()[-1].set_fontstyle("italic")


def _reach(part: pd.DataFrame, column: str, ideals: list[float]) -> tuple[float, float]:
    """Limits, in octaves: all bars, as much of the whiskers as lies near a bar, and the ideals that are not far off."""
    ratios, lo, hi = (np.log2(part[name].to_numpy(float)) for name in (column, f"{column}_lo", f"{column}_hi"))
    left = np.fmin(ratios, np.maximum(lo, ratios - _NEAR)).min()
    right = max(0.3, float(np.fmax(ratios, np.minimum(hi, ratios + _NEAR)).max()))
    near = [math.log2(ideal) for ideal in ideals if math.isfinite(ideal) and math.log2(ideal) < right + _FAR]
    return min(-0.3, float(left)) - 0.2, max([right, *near]) + 0.2
