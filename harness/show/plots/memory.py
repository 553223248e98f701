"""The figure of where the bytes go: what a layer stores, what it keeps besides, and what one call of it takes."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.frames import wide
from harness.model.units import suited
from harness.show.plots.theme import (
    AMBER,
    BLUE,
    GREEN,
    INK,
    RED,
    VIOLET,
    Drawing,
    columns_for,
    facets,
    headed,
    label,
    panels,
    require,
    themed,
)

_CONTESTS = 4
_PARTS = {
    "codes": ("codes", BLUE, ""),
    "scales": ("scales and tables", RED, "xxxx"),
    "stored": ("stored weights", BLUE, ""),
    "kept": ("kept besides", AMBER, "\\\\\\"),
    "output": ("output of a call", VIOLET, ""),
    "workspace": ("workspace of a call", GREEN, "////"),
    "peak": ("output and workspace", GREEN, "////"),
}
"""What a bar is made of, from left to right: its words, colour and hatch."""
_ROOM = 1.45
"""The width of an axis over that of its longest bar: the bits per weight stand behind it."""
_LONG = 20
"""Characters of a name that leave no room for a second column of panels."""
_IDEAL: dict[str, Any] = {"color": INK, "linestyle": "--", "linewidth": 1.1}


@themed
def memory(summary: pd.DataFrame) -> Drawing:
    """Stacked bars: codes, scales, what else stays resident, output and workspace of a call; one panel a contest.

    A dashed line is what the weights take by the scheme alone, where the suite knows it. The frame has a row a bar and
    a column a part of it, in bytes, NaN where that is not known. Raises NothingMeasuredError when no case has
    weight_bytes.
    """
    measured = ("weight_bytes", "code_bytes", "bits_per_weight", "resident_bytes", "peak_forward_bytes")
    cases = wide(summary, *measured)
    cases = parts_of(require(cases[cases["weight_bytes"].notna()], "weight_bytes"))
    contests, thinned = facets(cases, _CONTESTS)
    contests = [(title, _in_order(part)) for title, part in contests]
    height = 1.1 + 0.25 * max(len(part) for _, part in contests)  # titles may take two lines
    figure, axes = panels(len(contests), height, columns_for(cases["implementation"], _LONG))
    for ax, (title, part) in zip(axes, contests, strict=True):
        _stack(ax, part)
        ax.set(title=title, ylabel="")
    drawn = pd.concat([part for _, part in contests])
    handles: list[Patch | Line2D] = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="white", linewidth=0, label=words)
        for name, (words, colour, hatch) in _PARTS.items()
        if drawn[name].gt(0).any()
    ]
    if drawn["ideal"].notna().any():
        handles.append(Line2D([], [], **_IDEAL, label="the scheme's bits alone"))
    figure.legend(handles=handles, loc="outside lower left", ncols=4)
    return Drawing(label(figure, "Memory", _MEMORY + thinned), headed(drawn, _HEADINGS))


_HEADINGS = {
    "title": "panel",
    "implementation": "implementation",
    **{name: f"{words} (B)" for name, (words, _, _) in _PARTS.items()},
    "bits_per_weight": "bits per weight",
    "ideal": "the scheme's bits alone (B)",
}


_MEMORY = (
    "Bytes of one layer: the codes of its weights with their padding, scales and tables, what it keeps besides after "
    "its first call, and what one call allocates at its peak, the output apart from the workspace (of training: the "
    "forward). The dashed line is the closed form of the scheme: its bits times the number of weights. Behind a bar "
    "are the bits that are stored for each weight. A part without a bar was not measured, or is too small to be seen."
)


def parts_of(cases: pd.DataFrame) -> pd.DataFrame:
    """With a column for each part of a bar, NaN where it is not known, and `ideal`, the bytes of the scheme's bits.

    Runs from before the codes or the output were counted apart have `stored` and `peak` in place of two parts each.
    """
    facts = cases.reindex(columns=[*cases, *(name for name in _FACTS if name not in cases)])
    stored, codes, peak = (facts[f"{name}_bytes"] for name in ("weight", "code", "peak_forward"))
    output = facts["output_bytes"].astype(float).clip(upper=peak)
    return cases.assign(
        codes=codes,
        scales=stored - codes,
        stored=stored.where(codes.isna()),
        kept=(facts["resident_bytes"] - stored).clip(lower=0),
        output=output.where(peak.notna()),
        workspace=peak - output,
        peak=peak.where(output.isna()),
        ideal=(facts["ideal_bytes"] - facts["activation_bytes"]).astype(float),
    )


def _in_order(part: pd.DataFrame) -> pd.DataFrame:
    """The smallest first, all with the same `ideal`: there is one scheme in a contest."""
    return part.sort_values("weight_bytes", kind="stable").assign(ideal=part["ideal"].max())


_FACTS = ("output_bytes", "ideal_bytes", "activation_bytes")


def _stack(ax: Axes, part: pd.DataFrame) -> None:
    amounts = part[list(_PARTS)].fillna(0.0)
    longest = float(amounts.sum(axis="columns").max())
    size, unit = suited(longest, "B")
    rows, left = np.arange(len(part)), np.zeros(len(part))
    for name, (_, colour, hatch) in _PARTS.items():
        width = amounts[name].to_numpy() / size
        some = width > 0
        ax.barh(rows[some], width[some], 0.7, left[some], color=colour, hatch=hatch, edgecolor="white", linewidth=0,
                clip_on=False)  # fmt: skip
        left = left + width
    if np.isfinite(ideal := part["ideal"].iloc[0]):
        ax.axvline(ideal / size, **_IDEAL)
    for row, end, bits in zip(rows, left, part["bits_per_weight"], strict=True):
        if np.isfinite(bits):
            ax.annotate(f"{bits:.2f} bits per weight", (end, row), (5, 0), textcoords="offset points", va="center",
                        fontsize=7.5)  # fmt: skip
    ax.set(xlim=(0, _ROOM * longest / size), ylim=(len(part) - 0.5, -0.5), xlabel=unit)
    ax.set_yticks(rows, part["implementation"])
    ax.tick_params(axis="y", left=False)
    ax.grid(visible=False, axis="y")
