"""Figures of the quantisation error: against bits, and against groups."""

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from harness.frames import wide
from harness.plots.theme import INK, label, panels, require, themed

_DISTRIBUTIONS = 4
_DB_PER_BIT = 6.02
"""20 log10(2): one more bit halves the step and so the error."""


@themed
def sqnr_against_bits(summary: pd.DataFrame) -> Figure:
    """SQNR against weight bits, one line for each activation width, beside a line of 6.02 dB per bit.

    One panel for each input distribution, at the smallest number of groups. Raises NothingMeasuredError unless
    a finite error_sqnr was measured at two weight widths at least.
    """
    cases, thinned = _errors(summary)
    cases = cases[cases["groups"] == cases["groups"].min()]
    if cases["weight_bits"].nunique() < 2:
        cases = cases.iloc[:0]
    parts = list(require(cases, "error_sqnr at two weight widths at least").groupby("distribution", sort=False))
    figure, axes = panels(len(parts), 2.9)
    for ax, (name, part) in zip(axes, parts, strict=True):
        _lines(ax, part, legend=ax is axes[0])
        ax.set(title=name, xlabel="weight bits", ylabel="SQNR (dB)")
    caption = (
        f"Quantisation error of the scheme, groups = {cases['groups'].min():g}. The dashed line rises by {_DB_PER_BIT} "
        "dB per bit, from the point nearest 4 bits with the widest activations; narrow activations limit the sum."
        f"{thinned}"
    )
    return label(figure, "SQNR against bits", caption)


def _lines(ax: Axes, part: pd.DataFrame, legend: bool) -> None:
    part = part.sort_values(["activation_bits", "weight_bits"])
    widths = list(part["activation_bits"].unique())
    part = part.assign(activations=[f"{width}-bit activations" for width in part["activation_bits"]])
    seaborn.lineplot(
        part, x="weight_bits", y="error_sqnr", hue="activations", style="activations", dashes=False, markers=True,
        palette=seaborn.color_palette("colorblind", len(widths)), estimator=None, legend=legend, ax=ax,
    )  # fmt: skip
    if "predicted_sqnr" in part:
        ax.plot(part["weight_bits"], part["predicted_sqnr"], "_", color=INK, markersize=9, label="predicted")
    widest = part[part["activation_bits"] == widths[-1]]
    anchor = widest.loc[(widest["weight_bits"] - 4).abs().idxmin()]
    bits = np.array([part["weight_bits"].min(), part["weight_bits"].max()])
    line = anchor["error_sqnr"] + _DB_PER_BIT * (bits - anchor["weight_bits"])
    ax.plot(bits, line, color=INK, linewidth=1, linestyle="--", label=f"{_DB_PER_BIT} dB per bit", zorder=3)
    ax.xaxis.set_major_locator(FixedLocator(sorted(part["weight_bits"].unique())))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if legend:
        ax.legend(title="")


@themed
def error_against_groups(summary: pd.DataFrame) -> Figure:
    """Heat map of SQNR: schemes (weight x activation bits) in rows, groups in columns, a panel a distribution.

    Raises NothingMeasuredError unless error_sqnr was measured at two group counts at least.
    """
    cases, thinned = _errors(summary)
    if cases["groups"].nunique() < 2:
        cases = cases.iloc[:0]
    parts = list(require(cases, "error_sqnr at two group counts at least").groupby("distribution", sort=False))
    tables = {str(name): _grid(part) for name, part in parts}
    figure, axes = panels(len(tables), 0.9 + 0.2 * max(len(table) for table in tables.values()))
    lo, hi = cases["error_sqnr"].min(), cases["error_sqnr"].max()
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        seaborn.heatmap(
            table, vmin=lo, vmax=hi, cmap="viridis", annot=True, fmt=".1f", annot_kws={"size": 7.5},
            cbar=False, xticklabels=True, yticklabels=True, ax=ax,
        )  # fmt: skip
        ax.set(title=name, xlabel="groups", ylabel="")
        ax.tick_params(axis="y", rotation=0)
    return label(figure, "Error against groups", f"SQNR in dB; brighter is more accurate.{thinned}")


def _grid(part: pd.DataFrame) -> pd.DataFrame:
    rows = [f"w{w:g} a{a:g}" for w, a in zip(part["weight_bits"], part["activation_bits"], strict=True)]
    part = part.assign(row=rows).sort_values(["weight_bits", "activation_bits", "groups"])
    return part.pivot_table(index="row", columns="groups", values="error_sqnr", sort=False).sort_index(axis="columns")


def _errors(summary: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """One row for each distribution and scheme of the commonest shape, and a sentence that says what was left out.

    The error is the scheme's, so the first implementation stands for all.
    """
    cases = wide(summary, "error_sqnr")
    cases = require(cases[np.isfinite(cases["error_sqnr"]) & cases["groups"].notna()], "a finite error_sqnr")
    plain = ~cases["scheme"].fillna("").str.contains("-")
    cases = cases[plain] if plain.any() else cases
    if "distribution" not in cases:
        cases = cases.assign(distribution=None)
    cases = cases.assign(
        distribution=cases["distribution"].fillna("every input"),
        shape=[f"{n} × {k}, M = {m}" for n, k, m in zip(cases["n"], cases["k"], cases["m"], strict=True)],
    )
    shapes, names = cases["shape"].value_counts(), list(cases["distribution"].unique())
    kept = cases[(cases["shape"] == shapes.index[0]) & cases["distribution"].isin(names[:_DISTRIBUTIONS])]
    note = f" Shape {shapes.index[0]}" + (f", one of {len(shapes)} measured" if len(shapes) > 1 else "") + "."
    if len(names) > _DISTRIBUTIONS:
        note += f" Shown: {_DISTRIBUTIONS} of {len(names)} distributions."
    return kept.drop_duplicates(["distribution", "scheme"]), note
