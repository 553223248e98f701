"""The figure of what quality costs: scores of a whole model against its bytes, and against tokens a second."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from harness.show.plots.theme import Drawing, colours, headed, label, markers, panels, require, themed
from harness.show.plots.whole_models import panel
from harness.show.plots.whole_models.scores import FULL_BITS

_MODELS, _MEASURES = 3, 4
_EVERY = "all"
"""Layers: all of the model."""
_NEEDED = "scores and packed bytes of two schemes of one whole model"


@themed
def quality(scores: pd.DataFrame, rates: pd.DataFrame) -> Drawing:
    """Scores of each scheme against bytes, and beside that against tokens a second where a run tells those.

    The frames are those of `whole_models.scores`. There is a panel a model and score. A model's tokens a second are
    found by the bytes of its products. Front, bars and names are as in `panel`. The frame has a row a mark, in bytes
    and tokens a second. Raises NothingMeasuredError unless two schemes of one model were scored.
    """
    models = [part for _, part in whole(scores).groupby(["run", "subject"], sort=False)]
    shown = [(part, timed(part, rates)) for part in models[:_MODELS]]
    shown.sort(key=lambda both: both[1].empty)  # rows of two panels first, so that no row has a gap
    drawn: list[tuple[str, pd.DataFrame]] = []
    for part, fast in shown:
        for metric in list(part["metric"].unique())[:_MEASURES]:
            both = (("size", part), ("rate", fast))
            drawn += [(x, panel.placed(some[some["metric"] == metric])) for x, some in both if not some.empty]
    everything = pd.concat([points for _, points in drawn])
    looks = panel.looks_of(everything) | _looks_of_implementations(everything)
    figure, axes = panels(len(drawn), 2.9)
    for ax, (x, points) in zip(axes, drawn, strict=True):
        if x == "size":
            panel.bytes_axis(ax, points["size"])
        else:
            _rate_axis(ax, points)
        panel.draw(ax, points, x, looks)
        ax.set_title(panel.model_name(points["model"].iloc[0]))
    figure.legend(handles=panel.legend(looks, everything["standing"]), loc="outside lower left", ncols=5)
    figure.draw_without_rendering()
    for ax, (x, points) in zip(axes, drawn, strict=True):
        panel.name_points(ax, points, x)
    caption = _CAPTION + (_OF_RATES if "rate" in dict(drawn) else "") + panel.glossary(everything)
    if len(models) > _MODELS:
        caption += f" Shown: {_MODELS} of {len(models)} models."
    return Drawing(label(figure, "Quality against bytes and speed", caption), headed(everything, _HEADINGS))


_HEADINGS = {
    "model": "model",
    "heading": "score",
    "unit": "unit of the score",
    "name": "scheme",
    "size": "linear layers, packed (B)",
    "rate": "tokens/s",
    "rate_lo": "tokens/s, from",
    "rate_hi": "tokens/s, to",
    "centre": "mean",
    "height_lo": "from",
    "height_hi": "to",
    "standing": "standing",
}

_CAPTION = (
    "Up answers better, and left takes fewer bytes. The dashed line joins the Pareto front: no other choice is better "
    "and cheaper. A dominated mark is hollow and grey: another choice costs no more and is better for certain, "
    "document by document. A mark with a question mark is behind the front, and the documents do not decide. Bars are "
    "the 95 % interval of the difference from full precision, document by document. The dotted line is full precision."
)
_OF_RATES = (
    " In panels of tokens/s right is faster, with the interval over rounds; an implementation has the score of its "
    "scheme."
)


def whole(scores: pd.DataFrame) -> pd.DataFrame:
    """Scores of models of which all layers have a scheme, one contestant's a scheme; models of two schemes at least.

    With the columns that `panel` wants, where the cost is bytes. Raises NothingMeasuredError where there is none.
    """
    cases = scores[(scores["layers"] == _EVERY) & (scores["packed_bytes"] > 0) & scores["centre"].notna()]
    cases = require(cases, _NEEDED)
    cases = cases.drop_duplicates(["run", "subject", "scheme", "metric"])
    cases = require(cases[cases.groupby(["run", "subject"])["scheme"].transform("nunique") > 1], _NEEDED)
    sizes = cases["packed_bytes"].astype(float)
    return cases.assign(
        size=sizes,
        cost=sizes,
        cost_lo=sizes,
        cost_hi=sizes,
        name=panel.scheme_names(cases["scheme"]),
        look=cases["scheme"].map(panel.look),
        rate=float("nan"),
        rate_lo=float("nan"),
        rate_hi=float("nan"),
        is_whole=True,
        setting="",
    )


def timed(part: pd.DataFrame, rates: pd.DataFrame) -> pd.DataFrame:
    """The scores of `part`, of one model, beside each step of `rates` that has their scheme and their bytes.

    Of several settings of the steps the first one counts. Empty where fewer than two steps have a score.
    """
    known = part.drop(columns=["rate", "rate_lo", "rate_hi", "is_whole", "setting", "look"])
    steps = rates.rename(columns={"implementation": "look", "scheme": "by", "run": "timed_in", "model": "timed_as"})
    steps = steps.assign(size=steps["packed_bytes"].astype(float)).drop(columns="packed_bytes")
    both = known.merge(steps[steps["rate"] > 0], on="size")
    is_plain = (both["by"] == "") & (both["weight_bits"] >= FULL_BITS)
    both = both[is_plain | (both["by"] == both["scheme"])]
    both = both.drop_duplicates(["look", "by", "setting", "metric", "scheme"])  # a baseline, once a scheme of its run
    both = both[both["setting"] == both["setting"].iloc[0]] if len(both) else both
    if both["rate"].nunique() < 2:
        return both.iloc[:0]
    named = both[["look", "by", "name"]].itertuples(index=False, name=None)
    names = [f"{implementation} {name}" if scheme else implementation for implementation, scheme, name in named]
    rate = {"cost": "rate", "cost_lo": "rate_hi", "cost_hi": "rate_lo"}
    return both.assign(name=names, **{cost: 1 / both[name].astype(float) for cost, name in rate.items()})


def _looks_of_implementations(points: pd.DataFrame) -> dict[str, tuple[str, Any]]:
    names = points.loc[points["rate"].notna(), "look"].unique()
    palette, shapes = colours(names), markers(names)
    return {name: (palette[name], shapes[name]) for name in names}


def _rate_axis(ax: Axes, points: pd.DataFrame) -> None:
    lo, hi = float(points["rate"].min()), float(points["rate"].max())
    alone = "" if points["is_whole"].all() else ", of the products alone"
    ax.set(xlim=(max(0.0, lo - 0.35 * (hi - lo)), hi + 0.35 * (hi - lo)))
    ax.set_xlabel(f"tokens/s{alone} ({points['setting'].iloc[0]})")
