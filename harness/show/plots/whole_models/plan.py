"""The figure of a plan of mixed bits: which layers got which scheme, and how it stands beside one scheme for all."""

import math
import re
from collections.abc import Sequence
from typing import TypeAlias

import msgspec
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from harness.show.plots.theme import RULE, Drawing, headed, ink_on, label, panels, require, themed
from harness.show.plots.whole_models import panel
from harness.show.plots.whole_models.places import EVERY, in_order, place_of
from harness.show.plots.whole_models.quality import whole

_PLANS = 2
_COLOURS = "viridis_r"
_SPAN = (0.12, 0.92)
"""The part of it that is used: the darker the more bits."""
RGBA: TypeAlias = tuple[float, float, float, float]
_TICKS = 16
_NAMED = 8
"""Columns that leave room for a scheme's name in each cell."""
_DEFAULT = "all other layers"


@themed
def plan(scores: pd.DataFrame) -> Drawing:
    """Strips of the schemes that a plan gives to kinds of layers (rows) and blocks (columns), beside its first score.

    The panel beside a strip has the plan among the schemes that the same run measured of the same model, against bytes.
    The frame has a row a cell of the strips. Raises NothingMeasuredError unless a run measured a plan and a scheme
    of one model.
    """
    cases = whole(scores)
    planned = cases[cases["plan"].notna()].drop_duplicates(["run", "subject", "plan"])
    planned = require(planned, "a plan and a scheme of the same model in one run of quality")
    chosen = list(planned.iloc[:_PLANS].index)
    strips = [_cells(cases.loc[index]) for index in chosen]
    schemes = sorted({name for cells in strips for name in cells["scheme"]}, key=_bits)
    rows = max(cells["kind"].nunique() for cells in strips)
    figure, axes = panels(2 * len(chosen), max(2.9, 0.9 + 0.27 * rows))
    beside, tables = [], []
    for place, (index, cells) in enumerate(zip(chosen, strips, strict=True)):
        _strip(axes[2 * place], cells, schemes)
        axes[2 * place].set_title(f"{panel.model_name(cases.loc[index, 'model'])}: {cases.loc[index, 'name']}")
        points = panel.placed(_rivals(cases, index))
        ax = axes[2 * place + 1]
        panel.bytes_axis(ax, points["size"])
        panel.draw(ax, points, "size", panel.looks_of(points))
        ax.set_title("beside one scheme for all layers")
        beside.append((ax, points))
        tables.append(cells.assign(standing=points.loc[index, "standing"]))
    everything = pd.concat([points for _, points in beside])
    handles = panel.legend(panel.looks_of(everything), everything["standing"])
    figure.legend(handles=handles, loc="outside lower left", ncols=5)
    figure.draw_without_rendering()
    for ax, points in beside:
        panel.name_points(ax, points, "size")
    left_out = f" Shown: {_PLANS} of {len(planned)} plans." if len(planned) > _PLANS else ""
    caption = _CAPTION + panel.glossary(everything) + left_out
    return Drawing(label(figure, "Plan of mixed bits", caption), headed(pd.concat(tables), _HEADINGS))


_HEADINGS = {
    "plan": "plan",
    "kind": "layers",
    "block": "block",
    "scheme": "scheme",
    "packed_bytes": "whole plan, packed (B)",
    "heading": "score of the plan",
    "unit": "unit of the score",
    "centre": "mean",
    "standing": "standing",
}

_CAPTION = (
    "On the left is the scheme of each kind of layer, by block; darker has more bits. A plan that names no block gives "
    "a kind one scheme in all of them, and a layer that no row names stays in full precision. Hatched cells have no "
    "rule of their own. On the right up answers better, and left takes fewer bytes. The star is the plan, measured "
    "whole. The dashed line joins the Pareto front, and bars are the 95 % interval of the difference from full "
    "precision, document by document."
)


def _rivals(cases: pd.DataFrame, index: int) -> pd.DataFrame:
    """All schemes and plans of the model of that case, by the same score."""
    own = cases.loc[index]
    return cases[(cases[["run", "subject", "metric"]] == own[["run", "subject", "metric"]]).all(axis="columns")]


def _cells(case: pd.Series) -> pd.DataFrame:
    """One row a rule of the plan."""
    content: dict[str, str] = msgspec.json.decode(case["plan"], type=dict[str, str])
    rows = []
    for pattern, scheme in content.items():
        kind, block = place_of(pattern) if pattern else (_DEFAULT, EVERY)
        rows.append({"kind": kind, "block": block, "scheme": scheme})
    cells = pd.DataFrame(rows)
    cells["scheme"] = panel.scheme_names(cells["scheme"])
    beside = {name: case[name] for name in ("packed_bytes", "heading", "unit", "centre")}
    return cells.assign(plan=case["name"], run=case["run"], **beside)


def _bits(scheme: str) -> tuple[float, str]:
    """To order schemes by: the number after the w; what has none is not quantised."""
    found = re.match(r"w(\d+(?:\.\d+)?)", scheme)
    return (float(found[1]) if found else math.inf, scheme)


def _shade(schemes: Sequence[str], scheme: str) -> RGBA:
    """Of a scheme among `schemes`, which are in order."""
    share = schemes.index(scheme) / max(1, len(schemes) - 1)
    return colormaps[_COLOURS](_SPAN[0] + share * (_SPAN[1] - _SPAN[0]))


def _strip(ax: Axes, cells: pd.DataFrame, schemes: Sequence[str]) -> None:
    kinds, columns = list(dict.fromkeys(cells["kind"])), in_order(set(cells["block"]))
    ax.grid(visible=False)
    ax.patch.set(hatch="////", edgecolor=RULE, linewidth=0)
    for kind, block, scheme in cells[["kind", "block", "scheme"]].itertuples(index=False, name=None):
        row, column, shade = kinds.index(kind), columns.index(block), _shade(schemes, scheme)
        ax.add_patch(Rectangle((column, row), 1, 1, facecolor=shade, edgecolor=RULE, linewidth=0.4))
        if len(columns) <= _NAMED:
            ax.text(column + 0.5, row + 0.5, scheme, ha="center", va="center", fontsize=7.5, color=ink_on(shade))
    ax.set(xlim=(0, len(columns)), ylim=(len(kinds), 0))
    ax.set_yticks([row + 0.5 for row in range(len(kinds))], kinds)
    step = math.ceil(len(columns) / _TICKS)
    ax.set_xticks([place + 0.5 for place in range(len(columns))][::step], [_in_words(one) for one in columns[::step]])
    ax.tick_params(axis="both", length=0)
    if columns != [EVERY]:
        ax.set_xlabel("block")
    if len(columns) > _NAMED:
        shades = [Patch(facecolor=_shade(schemes, one), label=one) for one in schemes]
        ax.legend(handles=shades, loc="upper left", bbox_to_anchor=(0, -0.22), ncols=4, handlelength=1)


def _in_words(block: str) -> str:
    return "every block" if block == EVERY else block
