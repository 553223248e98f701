"""Figures of accuracy: the quantisation error against bits, groups and in the worst channel, and the agreement."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator

from harness.analysis.prediction import PREDICTION_TOLERANCE
from harness.frames import wide
from harness.show.plots.theme import (
    BLUE,
    INK,
    RED,
    RULE,
    Drawing,
    colours,
    facets,
    headed,
    label,
    markers,
    named_rows,
    panels,
    require,
    strokes,
    themed,
)

_DISTRIBUTIONS = 4
_CONTESTS = 6
_FLAG = RED
_DB_PER_BIT = 6.02
"""20 log10(2): one more bit halves the step and so the error."""


@themed
def sqnr_against_bits(summary: pd.DataFrame) -> Drawing:
    """SQNR against weight bits, one line for each activation width, beside a line of 6.02 dB per bit.

    One panel for each input distribution, at the smallest number of groups. What is further from its prediction than
    PREDICTION_TOLERANCE has a ring. The frame has a row a point, in dB, with the line of 6.02 dB per bit beside it.
    Raises NothingMeasuredError unless a finite error_sqnr was measured at two weight widths at least.
    """
    cases, thinned = _errors(summary)
    cases = cases[cases["groups"] == cases["groups"].min()]
    cases = cases.assign(off=_off_prediction(cases))
    if cases["weight_bits"].nunique() < 2:
        cases = cases.iloc[:0]
    cases = require(cases, "error_sqnr at two weight widths at least")
    parts = [(name, _with_line(part)) for name, part in _by_distribution(cases)]
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
    headings = {
        "distribution": "distribution",
        "activation_bits": "activation bits",
        "weight_bits": "weight bits",
        "error_sqnr": "SQNR (dB)",
        "predicted_sqnr": "predicted SQNR (dB)",
        "off": f"more than {PREDICTION_TOLERANCE} dB off",
        "line": f"at {_DB_PER_BIT} dB per bit (dB)",
    }
    frame = headed(pd.concat([part for _, part in parts]), headings)
    return Drawing(label(figure, "SQNR against bits", caption), frame)


def _with_line(part: pd.DataFrame) -> pd.DataFrame:
    """In order, with `line`: it rises by _DB_PER_BIT from the point nearest 4 bits with the widest activations."""
    widest = part[part["activation_bits"] == part["activation_bits"].max()]
    anchor = widest.loc[(widest["weight_bits"] - 4).abs().idxmin()]
    part = part.reindex(columns=list(dict.fromkeys([*part, "predicted_sqnr"])))
    part = part.sort_values(["activation_bits", "weight_bits"])
    return part.assign(line=anchor["error_sqnr"] + _DB_PER_BIT * (part["weight_bits"] - anchor["weight_bits"]))


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
    from seaborn import lineplot  # late: half a second, most of it scipy.stats

    part = part.assign(activations=[f"{width}-bit activations" for width in part["activation_bits"]])
    lineplot(
        part, x="weight_bits", y="error_sqnr", hue="activations", style="activations", dashes=False, markers=True,
        palette=colours(part["activations"]), estimator=None, ax=ax,
    )  # fmt: skip
    ax.legend_ = None  # one for all panels
    if part["predicted_sqnr"].notna().any():
        ax.plot(part["weight_bits"], part["predicted_sqnr"], "_", color=INK, markersize=9, label="predicted")
    off = part[part["off"]]
    if len(off):
        ax.plot(off["weight_bits"], off["error_sqnr"], "o", color=_FLAG, fillstyle="none", markersize=12,
                markeredgewidth=1.6, label=f"more than {PREDICTION_TOLERANCE} dB off prediction")  # fmt: skip
    ends = part.sort_values("weight_bits").iloc[[0, -1]]
    ax.plot(ends["weight_bits"], ends["line"], color=INK, linewidth=1, linestyle="--", zorder=3,
            label=f"{_DB_PER_BIT} dB per bit")  # fmt: skip
    ax.xaxis.set_major_locator(FixedLocator(sorted(part["weight_bits"].unique())))
    ax.xaxis.set_major_formatter("{x:g}")


@themed
def error_against_groups(summary: pd.DataFrame) -> Drawing:
    """Heat map of SQNR: schemes (weight x activation bits) in rows, groups in columns, a panel a distribution.

    The frame has a row a cell, in dB. Raises NothingMeasuredError unless error_sqnr was measured at two group counts at
    least.
    """
    cases, thinned = _errors(summary)
    if cases["groups"].nunique() < 2:
        cases = cases.iloc[:0]
    cases = require(cases, "error_sqnr at two group counts at least")
    from seaborn import heatmap  # late: half a second, most of it scipy.stats

    cells = {name: _cells(part) for name, part in _by_distribution(cases)}
    tables = {name: _grid(part) for name, part in cells.items()}
    figure, axes = panels(len(tables), 0.9 + 0.2 * max(len(table) for table in tables.values()))
    lo, hi = cases["error_sqnr"].min(), cases["error_sqnr"].max()
    for ax, (name, table) in zip(axes, tables.items(), strict=True):
        heatmap(
            table, vmin=lo, vmax=hi, cmap="viridis", annot=True, fmt=".1f", annot_kws={"size": 7.5},
            cbar=False, xticklabels=True, yticklabels=True, ax=ax,
        )  # fmt: skip
        ax.set(title=name, xlabel="groups", ylabel="")
        ax.tick_params(axis="y", rotation=0)
    caption = f"SQNR in dB; brighter is more accurate.{thinned}"
    frame = headed(pd.concat(cells.values()), _CELL | {"error_sqnr": "SQNR (dB)"})
    return Drawing(label(figure, "Error against groups", caption), frame)


_CELL = {
    "distribution": "distribution",
    "weight_bits": "weight bits",
    "activation_bits": "activation bits",
    "groups": "groups",
}


def _cells(part: pd.DataFrame) -> pd.DataFrame:
    """One row a cell, row by row; schemes of the same bits and groups share one, which is their mean."""
    return part.groupby(list(_CELL)).agg(run=("run", "first"), error_sqnr=("error_sqnr", "mean")).reset_index()


def _grid(part: pd.DataFrame) -> pd.DataFrame:
    rows = [f"w{w:g} a{a:g}" for w, a in zip(part["weight_bits"], part["activation_bits"], strict=True)]
    grid = part.assign(row=rows).pivot(index="row", columns="groups", values="error_sqnr")
    return grid.loc[list(dict.fromkeys(rows))].sort_index(axis="columns")


def _by_distribution(cases: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(name), part) for name, part in cases.groupby("distribution", sort=False)]


@themed
def worst_channels(summary: pd.DataFrame) -> Drawing:
    """SQNR of all outputs and that of the worst channel, joined, a row a scheme and a panel a distribution.

    At the smallest number of groups. The frame has a row a scheme, in dB. Raises NothingMeasuredError unless error_sqnr
    and error_worst_channel_sqnr of one case with several tokens were measured.
    """
    cases, thinned = _errors(summary, "error_worst_channel_sqnr")
    cases = cases[np.isfinite(cases["error_worst_channel_sqnr"]) & (cases["groups"] == cases["groups"].min())]
    several = cases[cases["m"] > 1]  # the channel of one token is a single output
    cases = require(several, "error_sqnr and error_worst_channel_sqnr of one case with several tokens")
    cases = cases.sort_values(["weight_bits", "activation_bits"], kind="stable")
    parts = _by_distribution(cases)
    figure, axes = panels(len(parts), 0.75 + 0.2 * max(len(part) for _, part in parts))
    for ax, (name, part) in zip(axes, parts, strict=True):
        rows, all_outputs, worst = range(len(part)), part["error_sqnr"], part["error_worst_channel_sqnr"]
        strokes(ax, (worst, all_outputs), (rows, rows), color=RULE)
        for values, marker, colour, words in (
            (worst, "D", _FLAG, "the worst channel"),
            (all_outputs, "o", _ALL, "all outputs"),
        ):
            ax.plot(values, rows, marker, color=colour, markersize=5.5, label=words)
        named_rows(ax, part["scheme"].tolist())
        ax.grid(visible=False, axis="y")
        ax.set(title=name, xlabel="SQNR (dB)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=2)
    caption = (
        f"Quantisation error, groups = {cases['groups'].min():g}: of all outputs together, and of the output feature "
        f"that is served worst. A long stroke is an error that a few channels bear.{thinned}"
    )
    headings = {
        "distribution": "distribution",
        "scheme": "scheme",
        "error_sqnr": "SQNR of all outputs (dB)",
        "error_worst_channel_sqnr": "SQNR of the worst channel (dB)",
    }
    frame = headed(pd.concat([part for _, part in parts]), headings)
    return Drawing(label(figure, "Worst channel against all outputs", caption), frame)


@themed
def agreement(summary: pd.DataFrame) -> Drawing:
    """SQNR of every implementation against what it promises to compute: a row each, a mark a contest.

    The frame has a row a mark, in dB; what is bit-exact is infinite. Raises NothingMeasuredError when no case has
    agreement_sqnr.
    """
    cases = wide(summary, "agreement_sqnr")
    contests, thinned = facets(require(cases[cases["agreement_sqnr"].notna()], "agreement_sqnr"), _CONTESTS)
    drawn = pd.concat([part for _, part in contests])
    names = drawn.groupby("implementation")["agreement_sqnr"].min().sort_values().index.tolist()
    finite = drawn["agreement_sqnr"][np.isfinite(drawn["agreement_sqnr"])]
    exact = float(finite.max() + max(5.0, 0.12 * np.ptp(finite))) if len(finite) else 1.0
    titles = [title for title, _ in contests]
    legend = math.ceil(len(titles) / 2) * max(len(title.splitlines()) for title in titles)
    figure, (ax,) = panels(1, 0.7 + 0.25 * legend + 0.3 * len(names))
    palette, shapes = colours(titles), markers(titles)
    for place, (title, part) in enumerate(contests):
        aside = 0.7 * ((place + 0.5) / len(contests) - 0.5)
        rows = [names.index(name) + aside for name in part["implementation"]]
        ax.plot(part["agreement_sqnr"].clip(upper=exact), rows, shapes[title], color=palette[title], markersize=5.5,
                label=title)  # fmt: skip
    if len(finite) < len(drawn):
        ax.axvline(exact, color=RULE, linewidth=1)
        ax.annotate("bit-exact ", (exact, 1), xycoords=("data", "axes fraction"), ha="right", va="bottom", fontsize=8)
    named_rows(ax, names)
    ax.set(title="every implementation against what it promises", xlabel="agreement SQNR (dB)")
    figure.legend(loc="outside lower left", ncols=2)
    order = drawn["implementation"].map(names.index)
    headings = {"implementation": "implementation", "title": "contest", "agreement_sqnr": "agreement SQNR (dB)"}
    frame = headed(drawn.iloc[order.argsort(kind="stable")], headings)
    return Drawing(label(figure, "Agreement with the contract", _AGREEMENT + thinned), frame)


_ALL = BLUE
_AGREEMENT = (
    "How far the output is from what the implementation promises to compute, apart from the quantisation error, which "
    "is the scheme's; right is closer. 6 dB are one bit. Near 50 dB an output was rounded to bfloat16 on its way, "
    "above 120 dB only float32 sums differ; an infinite SQNR is bit-exact."
)


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
