"""The figure of how errors are distributed: histograms against the normal density."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from harness.model.metrics import ERROR_BINS, ERROR_EDGES, ERROR_REACH, ERROR_WIDTH
from harness.show.plots.accuracy import by_distribution
from harness.show.plots.theme import INK, Drawing, colours, evenly, headed, label, panels, require, themed

_SCHEMES = 4
_FLOOR = 3e-5
"""The least density that is drawn."""
_STYLES = ("-", "--", "-.", ":")


@themed
def error_shape(histograms: pd.DataFrame) -> Drawing:
    """Density of the error over its root mean square as steps, a line a scheme and a panel a distribution.

    `histograms` comes from `harness.frames.samples(metric="error_histogram")`. At the smallest number of groups. The
    frame has a row a bin, with the normal density at its middle. Raises NothingMeasuredError when it is empty.
    """
    shares = require(histograms[histograms["metric"] == "error_histogram"], "error_histogram")
    shares = require(shares[_bins(shares) == ERROR_BINS], f"error_histogram of {ERROR_BINS} bins")
    cases, thinned = by_distribution(shares.drop_duplicates(["run", "case"]))
    cases = cases[cases["groups"] == cases["groups"].min()]
    schemes = cases.sort_values(["weight_bits", "activation_bits"], kind="stable")["scheme"].unique()
    if len(schemes) > _SCHEMES:
        thinned += f" Shown: {_SCHEMES} of {len(schemes)} schemes, evenly spread over their bits."
        schemes = schemes[evenly(len(schemes), _SCHEMES)]
    cases = cases[cases["scheme"].isin(schemes)]
    steps = _steps(cases, shares)
    parts = list(steps.groupby("distribution", sort=False))
    figure, axes = panels(len(parts), 2.9)
    palette, styles = colours(schemes), dict(zip(schemes, _STYLES, strict=False))
    for ax, (name, part) in zip(axes, parts, strict=True):
        for scheme, line in part.groupby("scheme", sort=False):
            ax.stairs(np.fmax(line["density"], _FLOOR / 2), ERROR_EDGES, baseline=None, color=palette[str(scheme)],
                      linestyle=styles[str(scheme)], linewidth=1.4, label=scheme)  # fmt: skip
        _normal(ax)
        ax.set(title=name, xlabel="error over its root mean square", ylabel="density", yscale="log")
        ax.set(xlim=(-ERROR_REACH, ERROR_REACH), ylim=(_FLOOR, 1.0))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.5f}".rstrip("0").rstrip(".")))
        ax.yaxis.set_minor_locator(NullLocator())
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=_SCHEMES + 1)
    caption = f"{_CAPTION} Groups = {cases['groups'].min():g}.{thinned}"
    return Drawing(label(figure, "Histogram of errors", caption), headed(steps, _HEADINGS))


_CAPTION = (
    "The distribution of the quantisation errors of single outputs, each divided by the root mean square of all, "
    "beside the normal density (smooth line; the scale is logarithmic). Steps above it on the outside are heavy "
    "tails: a few outputs are far worse than the rest, as where values are clipped. Steps below it are bounded errors. "
    f"The outermost bins also hold all that lies beyond ±{ERROR_REACH:g}."
)


_HEADINGS = {
    "distribution": "distribution",
    "scheme": "scheme",
    "lo": "error over its root mean square, from",
    "hi": "to",
    "density": "density",
    "normal": "normal density",
}


def _bins(shares: pd.DataFrame) -> pd.Series:
    """Of the histogram that each row belongs to."""
    return shares.groupby(["run", "case"])["value"].transform("size")


def _steps(cases: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """The bins of all `cases`, one after the other: their edges, the density in them and the normal one."""
    lines = []
    for run, case, distribution, scheme in cases[["run", "case", "distribution", "scheme"]].itertuples(index=False):
        line = shares[(shares["run"] == run) & (shares["case"] == case)].sort_values("sample")
        density = line["value"].to_numpy(float) / ERROR_WIDTH
        names = {"run": run, "distribution": distribution, "scheme": scheme}
        lines.append(pd.DataFrame({"lo": ERROR_EDGES[:-1], "hi": ERROR_EDGES[1:], "density": density}).assign(**names))
    steps = pd.concat(lines)
    return steps.assign(normal=_normal_density(steps[["lo", "hi"]].mean(axis="columns").to_numpy()))


def _normal(ax: Axes) -> None:
    x = np.linspace(-ERROR_REACH, ERROR_REACH, 2 * ERROR_BINS + 1)  # the edges of the bins and their middles
    ax.plot(x, _normal_density(x), color=INK, linewidth=1, label="normal", zorder=3)


def _normal_density(x: np.ndarray) -> np.ndarray:
    density: np.ndarray = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    return density
