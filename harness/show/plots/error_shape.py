"""The figure of how errors are distributed: histograms against the normal density."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.model.metrics import ERROR_BINS, ERROR_EDGES, ERROR_REACH, ERROR_WIDTH
from harness.show.plots.accuracy import by_distribution
from harness.show.plots.theme import INK, colours, label, panels, require, themed

_SCHEMES = 4
_FLOOR = 3e-5
"""The least density that is drawn."""
_STYLES = ("-", "--", "-.", ":")


@themed
def error_shape(histograms: pd.DataFrame) -> Figure:
    """Density of the error over its root mean square as steps, a line a scheme and a panel a distribution.

    `histograms` comes from `harness.frames.samples(metric="error_histogram")`. At the smallest number of groups. Raises
    NothingMeasuredError when it is empty.
    """
    shares = require(histograms[histograms["metric"] == "error_histogram"], "error_histogram")
    cases, thinned = by_distribution(shares.drop_duplicates(["run", "case"]))
    cases = cases[cases["groups"] == cases["groups"].min()]
    schemes = cases.sort_values(["weight_bits", "activation_bits"], kind="stable")["scheme"].unique()
    if len(schemes) > _SCHEMES:
        thinned += f" Shown: {_SCHEMES} of {len(schemes)} schemes, evenly spread over their bits."
        schemes = schemes[np.linspace(0, len(schemes) - 1, _SCHEMES).round().astype(int)]
    cases = cases[cases["scheme"].isin(schemes)]
    densities = {
        key: part.sort_values("sample")["value"].to_numpy(float) / ERROR_WIDTH
        for key, part in shares[shares["case"].isin(cases["case"])].groupby(["run", "case"])
        if len(part) == ERROR_BINS
    }
    parts = list(cases.groupby("distribution", sort=False))
    figure, axes = panels(len(parts), 2.9)
    palette, styles = colours(schemes), dict(zip(schemes, _STYLES, strict=False))
    for ax, (name, part) in zip(axes, parts, strict=True):
        for scheme, key in zip(part["scheme"], zip(part["run"], part["case"], strict=True), strict=True):
            if key in densities:
                ax.stairs(np.fmax(densities[key], _FLOOR / 2), ERROR_EDGES, baseline=None, color=palette[scheme],
                          linestyle=styles[scheme], linewidth=1.4, label=scheme)  # fmt: skip
        _normal(ax)
        ax.set(title=name, xlabel="error over its root mean square", ylabel="density", yscale="log")
        ax.set(xlim=(-ERROR_REACH, ERROR_REACH), ylim=(_FLOOR, 1.0))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.5f}".rstrip("0").rstrip(".")))
        ax.yaxis.set_minor_locator(NullLocator())
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=_SCHEMES + 1)
    caption = f"{_CAPTION} Groups = {cases['groups'].min():g}.{thinned}"
    return label(figure, "Histogram of errors", caption)


_CAPTION = (
    "How the quantisation errors of single outputs are distributed, each divided by the root mean square of all, "
    "against the normal density (smooth line; the scale is logarithmic). Steps above it on the outside are heavy "
    "tails: a few outputs are far worse than the rest, as where values are clipped. Steps below it are bounded errors. "
    f"What lies beyond ±{ERROR_REACH:g} is in the outermost bins."
)


def _normal(ax: Axes) -> None:
    x = np.linspace(-ERROR_REACH, ERROR_REACH, 41)
    ax.plot(x, np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), color=INK, linewidth=1, label="normal", zorder=3)
