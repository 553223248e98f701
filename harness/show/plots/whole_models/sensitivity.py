"""The figure of sensitivity: what each kind of layer costs alone, by depth, beside what its SQNR makes expect."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.ticker import NullLocator

from harness.model.units import figure as digits
from harness.show.plots.theme import RULE, Drawing, headed, ink_on, label, log_ticks, panels, require, themed
from harness.show.plots.whole_models import panel
from harness.show.plots.whole_models.places import EVERY, in_order, place_of

LOSSES: dict[str, Callable[[pd.Series], pd.Series]] = {
    "kl_divergence": lambda scores: scores,
    "embedding_cosine": lambda scores: 1 - scores,
}
"""Scores that add up roughly over layers, the best first, as what is lost to full precision."""
_WORDS = {"kl_divergence": "KL divergence (nat)", "embedding_cosine": "1 − cosine"}
_COLOURS = "viridis_r"
"""The darker the worse."""
_STEPS = 48
"""Of the bar of colours: of 50 and more matplotlib makes a bitmap, which a page does not show."""
_SCHEMES = 3
_NUMBERED = 16
"""Columns that leave room for a number in each cell."""
_FEWEST = 2


@themed
def sensitivity(scores: pd.DataFrame) -> Drawing:
    """Heat maps of what layers cost alone: measured on the left, and on the right what their SQNR makes expect.

    Kinds are rows. Blocks are columns where some are told apart, with a row of panels a scheme; else schemes are. The
    expectation is in proportion to the noise, `10^(-SQNR/10)`, by one factor for a whole scheme that makes the
    geometric means equal. The frame has a row a cell. Raises NothingMeasuredError unless two choices of layers of one
    model were quantised alone.
    """
    cases = costs(scores)
    across, rows = ("block", "scheme") if (cases["block"] != EVERY).any() else ("name", "run")
    parts = [part for _, part in cases.groupby(rows, sort=False)][:_SCHEMES]
    kinds = cases["kind"].nunique()
    figure, axes = panels(2 * len(parts), 0.95 + 0.27 * kinds)
    values = cases[["loss", "expected"]].to_numpy(float)
    values = values[np.isfinite(values) & (values > 0)]
    least, most = float(values.min()), max(float(values.max()), 1.01 * float(values.min()))
    norm = LogNorm(least, most)
    for place, part in enumerate(parts):
        of_scheme = f", {part['name'].iloc[0]}" if rows == "scheme" else ""
        title = panel.model_name(part["model"].iloc[0]) + of_scheme
        for ax, column, word in zip(axes[2 * place :], ("loss", "expected"), ("measured", "expected"), strict=False):
            _map(ax, part, column, across, norm)
            ax.set_title(f"{title}: {word}")
    drawn = pd.concat(parts)
    words = _WORDS[drawn["metric"].iloc[0]]
    colours = ScalarMappable(norm, colormaps[_COLOURS].resampled(_STEPS))
    bar = figure.colorbar(colours, ax=axes, location="bottom", shrink=0.5, aspect=40, pad=0.06, label=words)
    bar.ax.xaxis.set_major_locator(log_ticks(math.log10(most / least)))
    bar.ax.xaxis.set_major_formatter("{x:g}")
    bar.ax.xaxis.set_minor_locator(NullLocator())
    bar.outline.set_visible(False)
    bar.ax.grid(visible=False)
    caption = _CAPTION.format(words=words, agrees=_agreement(drawn))
    return Drawing(label(figure, "Sensitivity of layers", caption), headed(drawn, _HEADINGS | {"loss": words}))


_HEADINGS = {
    "model": "model",
    "scheme": "scheme",
    "kind": "layers",
    "block": "block",
    "quantised_bytes": "these layers, packed (B)",
    "output_sqnr": "SQNR of the layers (dB)",
    "loss": "loss",
    "expected": "expected of the SQNR",
}

_CAPTION = (
    "Each cell is a model of which only these layers are quantised. On the left is what the model loses to full "
    "precision, as {words}; darker is worse. On the right is what the SQNR of the layers makes expect: noise of the "
    "same share does the same harm everywhere. A cell that is darker on the left deserves more bits than its SQNR "
    "says. Hatched cells were not measured, or cost nothing.{agrees}"
)


def costs(scores: pd.DataFrame) -> pd.DataFrame:
    """Cases that quantise some layers alone, of the first model: `kind`, `block`, `loss` and what is `expected`.

    Raises NothingMeasuredError unless there are two.
    """
    alone = scores[scores["layers"].notna() & (scores["layers"] != "all") & scores["metric"].isin(LOSSES)]
    needed = "two kinds of layers of one model that were quantised alone (bitbench run sensitivity)"
    alone = require(alone, needed)
    first = alone.iloc[0]
    own = alone[(alone["run"] == first["run"]) & (alone["model"] == first["model"])]
    metric = next(name for name in LOSSES if (own["metric"] == name).any())
    own = own[own["metric"] == metric].drop_duplicates(["scheme", "layers"])
    own = own.assign(loss=LOSSES[metric](own["centre"].astype(float)))
    own = own[own["loss"] > 0]
    own = require(own if own["layers"].nunique() >= _FEWEST else own.iloc[:0], needed)
    places = own["layers"].map(place_of)
    own = own.assign(
        kind=[place.kind for place in places],
        block=[place.block for place in places],
        name=panel.scheme_names(own["scheme"]),
        noise=10 ** (-own["output_sqnr"].astype(float) / 10),
    )
    known = own[own["noise"] > 0]
    ratio = (known["loss"] / known["noise"]).map(math.log).reindex(own.index)
    return own.assign(expected=own["noise"] * np.exp(ratio.groupby(own["scheme"]).transform("mean")))


def _agreement(cells: pd.DataFrame) -> str:
    """How well the order by SQNR is the order that was measured."""
    known = cells[["loss", "expected"]].dropna().rank()
    if len(known) < 3 or (known.nunique() < 2).any():
        return ""
    found = float(known["loss"].corr(known["expected"]))
    off = np.exp(np.abs(np.log(cells["loss"] / cells["expected"])).max())
    return (
        f" Spearman’s correlation of both is {digits(found, 2)}".replace("-", "−")
        + f", and the furthest cell is off by {digits(float(off), 2)}×."
    )


def _map(ax: Axes, part: pd.DataFrame, values: str, across: str, norm: LogNorm) -> None:
    columns = in_order(set(part[across])) if across == "block" else list(dict.fromkeys(part[across]))
    kinds = list(dict.fromkeys(part["kind"]))
    grid = np.full((len(kinds), len(columns)), math.nan)
    for kind, column, value in part[["kind", across, values]].itertuples(index=False, name=None):
        grid[kinds.index(kind), columns.index(column)] = value
    ax.grid(visible=False)
    ax.patch.set(hatch="////", edgecolor=RULE, linewidth=0)
    ax.pcolormesh(np.ma.masked_invalid(grid), norm=norm, cmap=_COLOURS, edgecolors=RULE, linewidth=0.4)
    ax.invert_yaxis()
    ax.set_yticks(np.arange(len(kinds)) + 0.5, kinds)
    step = math.ceil(len(columns) / _NUMBERED)
    ax.set_xticks(np.arange(len(columns))[::step] + 0.5, columns[::step])
    if across == "block":
        ax.set_xlabel("block")
    ax.tick_params(axis="both", length=0)
    if len(columns) <= _NUMBERED:
        for (row, column), value in np.ndenumerate(grid):
            if math.isfinite(value):
                ax.text(column + 0.5, row + 0.5, digits(value, 2), ha="center", va="center", fontsize=7.5,
                        color=ink_on(colormaps[_COLOURS](norm(value))))  # fmt: skip
