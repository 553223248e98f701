"""Figures of accuracy: the quantisation error against bits, groups and in the worst channel, and the agreement."""

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from harness.analysis.prediction import PREDICTION_TOLERANCE
from harness.frames import wide
from harness.show.plots.theme import BLUE, INK, RED, RULE, colours, facets, label, markers, panels, require, themed

_DISTRIBUTIONS = 4
_CONTESTS = 6
_FLAG = RED
_DB_PER_BIT = 6.02
"""20 log10(2): one more bit halves the step and so the error."""


@themed
def sqnr_against_bits(summary: pd.DataFrame) -> Figure:
    """SQNR against weight bits, one line for each activation width, beside a line of 6.02 dB per bit.

    One panel for each input distribution, at the smallest number of groups. What is further from its prediction than
    PREDICTION_TOLERANCE has a ring. Raises NothingMeasuredError unless a finite error_sqnr was measured at two weight
    widths at least.
    """
    cases, thinned = _errors(summary)
    cases = cases[cases["groups"] == cases["groups"].min()]
    cases = cases.assign(off=_off_prediction(cases))
    if cases["weight_bits"].nunique() < 2:
        cases = cases.iloc[:0]
    parts = list(require(cases, "error_sqnr at two weight widths at least").groupby("distribution", sort=False))
    figure, axes = panels(len(parts), 2.9)
    for ax, (name, part) in zip(axes, parts, strict=True):
        _lines(ax, part)
        ax.set(title=name, xlabel="weight bits", ylabel="SQNR (dB)")
    lines = {text: line for ax in axes for line, text in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(lines.values(), lines.keys(), loc="outside lower left", ncols=3)
    caption = (
        f"Quantisation error of the scheme, groups = {cases['groups'].min():g}. The dashed line rises by {_DB_PER_BIT} "
        "dB per bit, from the point nearest 4 bits with the widest activations; narrow activations limit the sum."
        f"{_flagged(cases)}{thinned}"
    )
    return label(figure, "SQNR against bits", caption)


def _off_prediction(cases: pd.DataFrame) -> pd.Series:
    """Whether each error is further from what theory predicts than is tolerated; no where nothing is predicted."""
    if "predicted_sqnr" not in cases:
        return pd.Series(False, cases.index)
    allowed = cases.reindex(columns=["prediction_tolerance"])["prediction_tolerance"].fillna(PREDICTION_TOLERANCE)
    return (cases["error_sqnr"] - cases["predicted_sqnr"]).abs() > allowed


def _flagged(cases: pd.DataFrame) -> str:
    if "predicted_sqnr" not in cases:
        return ""
    return (
        f" Short strokes are what theory predicts; {cases['off'].sum()} of {len(cases)} points are more than "
        f"{PREDICTION_TOLERANCE} dB off and have a ring."
    )


def _lines(ax: Axes, part: pd.DataFrame) -> None:
    part = part.sort_values(["activation_bits", "weight_bits"])
    widths = list(part["activation_bits"].unique())
    part = part.assign(activations=[f"{width}-bit activations" for width in part["activation_bits"]])
    seaborn.lineplot(
        part, x="weight_bits", y="error_sqnr", hue="activations", style="activations", dashes=False, markers=True,
        palette=colours(part["activations"]), estimator=None, ax=ax,
    )  # fmt: skip
    ax.legend_ = None  # one for all panels
    if "predicted_sqnr" in part:
        ax.plot(part["weight_bits"], part["predicted_sqnr"], "_", color=INK, markersize=9, label="predicted")
    off = part[part["off"]]
    if len(off):
        ax.plot(off["weight_bits"], off["error_sqnr"], "o", color=_FLAG, fillstyle="none", markersize=12,
                markeredgewidth=1.6, label=f"more than {PREDICTION_TOLERANCE} dB off prediction")  # fmt: skip
    widest = part[part["activation_bits"] == widths[-1]]
    anchor = widest.loc[(widest["weight_bits"] - 4).abs().idxmin()]
    bits = np.array([part["weight_bits"].min(), part["weight_bits"].max()])
    line = anchor["error_sqnr"] + _DB_PER_BIT * (bits - anchor["weight_bits"])
    ax.plot(bits, line, color=INK, linewidth=1, linestyle="--", label=f"{_DB_PER_BIT} dB per bit", zorder=3)
    ax.xaxis.set_major_locator(FixedLocator(sorted(part["weight_bits"].unique())))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


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


@themed
def worst_channels(summary: pd.DataFrame) -> Figure:
    """SQNR of all outputs and that of the worst channel, joined, a row a scheme and a panel a distribution.

    At the smallest number of groups. Raises NothingMeasuredError unless error_sqnr and error_worst_channel_sqnr of one
    case with several tokens were measured.
    """
    cases, thinned = _errors(summary, "error_worst_channel_sqnr")
    cases = cases[np.isfinite(cases["error_worst_channel_sqnr"]) & (cases["groups"] == cases["groups"].min())]
    several = cases[cases["m"] > 1]  # the channel of one token is a single output
    cases = require(several, "error_sqnr and error_worst_channel_sqnr of one case with several tokens")
    cases = cases.sort_values(["weight_bits", "activation_bits"], kind="stable")
    parts = list(cases.groupby("distribution", sort=False))
    figure, axes = panels(len(parts), 0.75 + 0.2 * max(len(part) for _, part in parts))
    for ax, (name, part) in zip(axes, parts, strict=True):
        rows, all_outputs, worst = range(len(part)), part["error_sqnr"], part["error_worst_channel_sqnr"]
        joined = np.column_stack([worst, all_outputs, np.full(len(part), np.nan)]).ravel()
        ax.plot(joined, np.repeat(rows, 3), color=RULE)  # one line with gaps
        for values, marker, colour, words in (
            (worst, "D", _FLAG, "the worst channel"),
            (all_outputs, "o", _ALL, "all outputs"),
        ):
            ax.plot(values, rows, marker, color=colour, markersize=5.5, label=words)
        _rows(ax, part["scheme"].tolist())
        ax.grid(visible=False, axis="y")
        ax.set(title=name, xlabel="SQNR (dB)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    caption = (
        f"Quantisation error, groups = {cases['groups'].min():g}: of all outputs together, and of the output feature "
        f"that is served worst. A long stroke is an error that a few channels bear.{thinned}"
    )
    return label(figure, "Worst channel against all outputs", caption)


@themed
def agreement(summary: pd.DataFrame) -> Figure:
    """SQNR of every implementation against what it promises to compute: a row each, a mark a contest.

    Raises NothingMeasuredError when no case has agreement_sqnr.
    """
    cases = wide(summary, "agreement_sqnr")
    contests, thinned = facets(require(cases[cases["agreement_sqnr"].notna()], "agreement_sqnr"), _CONTESTS)
    drawn = pd.concat([part for _, part in contests])
    names = drawn.groupby("implementation")["agreement_sqnr"].min().sort_values().index.tolist()
    finite = drawn["agreement_sqnr"][np.isfinite(drawn["agreement_sqnr"])]
    exact = float(finite.max() + max(5.0, 0.12 * np.ptp(finite))) if len(finite) else 1.0
    figure, (ax,) = panels(1, 1.2 + 0.3 * len(names))
    titles = [title for title, _ in contests]
    palette, shapes = colours(titles), markers(titles)
    for place, (title, part) in enumerate(contests):
        aside = 0.7 * ((place + 0.5) / len(contests) - 0.5)
        rows = [names.index(name) + aside for name in part["implementation"]]
        ax.plot(part["agreement_sqnr"].clip(upper=exact), rows, shapes[title], color=palette[title], markersize=5.5,
                label=title)  # fmt: skip
    if len(finite) < len(drawn):
        ax.axvline(exact, color=RULE, linewidth=1)
        ax.annotate("bit-exact ", (exact, 1), xycoords=("data", "axes fraction"), ha="right", va="bottom", fontsize=8)
    _rows(ax, names)
    ax.set(title="every implementation against what it promises", xlabel="agreement SQNR (dB)")
    figure.legend(loc="outside lower left", ncols=2)
    return label(figure, "Agreement with the contract", _AGREEMENT + thinned)


_ALL = BLUE
_AGREEMENT = (
    "How far the output is from what the implementation promises to compute, apart from the quantisation error, which "
    "is the scheme's; right is closer. 6 dB are one bit. Near 50 dB an output was rounded to bfloat16 on its way, "
    "above 120 dB only float32 sums differ; an infinite SQNR is bit-exact."
)


def _rows(ax: Axes, names: list[str]) -> None:
    """A named row each, from the top."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", left=False)


def _errors(summary: pd.DataFrame, *further: str) -> tuple[pd.DataFrame, str]:
    """What `by_distribution` chooses of the cases with a finite error_sqnr, with the metrics `further` beside it."""
    cases = wide(summary, "error_sqnr", *further)
    return by_distribution(require(cases[np.isfinite(cases["error_sqnr"])], "a finite error_sqnr"))


def by_distribution(cases: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """One row for each distribution and scheme of the commonest shape, and a sentence that says what was left out.

    Of shapes that are equally common, that with the most outputs. The error is the scheme's, so the first
    implementation stands for all.
    """
    cases = require(cases[cases["groups"].notna()], "errors of known schemes")
    plain = ~cases["scheme"].fillna("").str.contains("-")
    cases = cases[plain] if plain.any() else cases
    if "distribution" not in cases:
        cases = cases.assign(distribution=None)
    cases = cases.assign(
        distribution=cases["distribution"].fillna("every input"),
        shape=[f"{n} × {k}, M = {m}" for n, k, m in zip(cases["n"], cases["k"], cases["m"], strict=True)],
    )
    shapes = cases.groupby("shape").agg(count=("shape", "size"), m=("m", "first"), n=("n", "first"))
    shapes, names = shapes.sort_values(["count", "m", "n"], ascending=False), list(cases["distribution"].unique())
    kept = cases[(cases["shape"] == shapes.index[0]) & cases["distribution"].isin(names[:_DISTRIBUTIONS])]
    note = f" Shape {shapes.index[0]}" + (f", one of {len(shapes)} measured" if len(shapes) > 1 else "") + "."
    if len(names) > _DISTRIBUTIONS:
        note += f" Shown: {_DISTRIBUTIONS} of {len(names)} distributions."
    return kept.drop_duplicates(["distribution", "scheme"]), note
