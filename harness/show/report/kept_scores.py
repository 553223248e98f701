"""How well whole models answer: the fewest bytes that keep every score, in a sentence a model."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from harness.analysis.view import View
from harness.model.units import amount, figure
from harness.show.plots.whole_models.panel import model_name, scheme_names
from harness.show.plots.whole_models.scores import FULL_BITS, scores
from harness.show.report.whole_models import ModelAnswer
from harness.show.typography import listed

_ALL, _COST = "all", "kl_divergence"
"""Layers of a case whose layers are all quantised, and the metric that costs of single kinds are told in."""


class _Choice(NamedTuple):
    scheme: str
    name: str
    size: float
    rows: pd.DataFrame
    """Its scores."""

    @property
    def words(self) -> set[str]:
        """How its scores stand to those of full precision."""
        return {str(word) for word in self.rows["word"]}


def score_answers(view: View, suite: str) -> list[ModelAnswer]:
    """Of each model whose cases have scores unit by unit and bytes: with full precision beside them which scheme keeps
    the scores, and where layers were quantised a kind at a time, which kind costs most.
    """
    frame = scores(view)
    frame = frame[(frame["suite"] == suite) & frame["packed_bytes"].notna()]
    found = (_answer(part) for _, part in frame.groupby("subject", sort=False))
    alone = frame[(frame["layers"].fillna(_ALL) != _ALL) & (frame["metric"] == _COST)]
    dearest = (_dearest(str(model), part) for model, part in alone.groupby("model", sort=False))
    return [answer for answer in (*found, *dearest) if answer]


def _answer(part: pd.DataFrame) -> ModelAnswer | None:
    full = part[part["weight_bits"] >= FULL_BITS]
    choices = sorted(_choices(part[part["difference"].notna()]), key=lambda choice: choice.size)
    if full.empty or not choices:
        return None
    whole = amount(float(full["packed_bytes"].iloc[0]), "B")
    first = part.iloc[0]
    about = model_name(str(first.get("model") or first["subject"]))
    keeping = [choice for choice in choices if choice.words <= {"ok", "better"}]
    if keeping:
        least = keeping[0]
        sentence = (
            f"For {about}, {least.name} answers as full precision does, in {amount(least.size, 'B')} and not {whole}."
        )
    else:
        ranks = _ranks(part)
        least = min(choices, key=lambda choice: (ranks[choice.scheme], choice.size))
        sentence = (
            f"For {about}, no scheme is known to answer as full precision does. Nearest is {least.name}, in"
            f" {amount(least.size, 'B')} and not {whole}."
        )
    return ModelAnswer(sentence, [f"{least.name}: {listed([*_scores(least.rows)])}."], None)


def _dearest(model: str, part: pd.DataFrame) -> ModelAnswer | None:
    if part["layers"].nunique() < 2:
        return None
    rows = part.loc[part.groupby("scheme", sort=False)["centre"].idxmax()]
    names = scheme_names(rows["scheme"])
    told = [
        f"{kind.removeprefix('*.')} with {name} ({heading} {_figure(cost, unit)})"
        for kind, name, heading, cost, unit in zip(
            rows["layers"], names, rows["heading"], rows["centre"], rows["unit"], strict=True
        )
    ]
    return ModelAnswer(f"Layers of {model_name(model)} that cost most, quantised alone: {listed(told)}.", (), None)


def _choices(part: pd.DataFrame) -> Iterator[_Choice]:
    names = dict(zip(part["scheme"].unique(), scheme_names(pd.Series(part["scheme"].unique())), strict=True))
    for scheme, rows in part.groupby("scheme", sort=False):
        yield _Choice(str(scheme), names[scheme], float(rows["packed_bytes"].iloc[0]), rows)


def _ranks(part: pd.DataFrame) -> Mapping[str, float]:
    """By scheme its mean place over all scores, the one that loses least first."""
    rivals = part[part["difference"].notna()]
    loss = rivals["difference"].astype(float).where(rivals["better"] == "lower", -rivals["difference"].astype(float))
    places = loss.groupby(rivals["metric"]).rank()
    return {str(scheme): float(place) for scheme, place in places.groupby(rivals["scheme"]).mean().items()}


def _scores(rows: pd.DataFrame) -> Iterator[str]:
    """Each with full precision's and how it stands."""
    columns = ["heading", "unit", "centre", "reference", "word"]
    for heading, unit, centre, reference, word in rows[columns].itertuples(index=False, name=None):
        yield f"{heading} {_figure(centre, unit)} ({_figure(reference, unit)} in full precision, {word})"


def _figure(value: Any, unit: str) -> str:
    return figure(float(value), 3) + ("" if unit == "1" else f" {unit}")
