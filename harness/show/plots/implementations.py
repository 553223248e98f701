"""Implementations in a figure of lines or points: which are drawn, and the legend that names them."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.analysis.ranking import leading
from harness.frames import numbered
from harness.show.plots.theme import colours, markers

MOST = 10
"""Implementations of one figure: as many as there are colours."""


def baseline_of(cases: pd.DataFrame, wanted: str | None = None) -> str:
    """`wanted` if something else in `cases` has a speed-up over it, else the one that leads in them."""
    column = f"speedup_{wanted}"
    if wanted and column in cases and cases[column][cases["implementation"] != wanted].notna().any():
        return wanted
    numbers, firsts = numbered(cases, "run", "contest")
    has_rival = np.bincount(numbers, minlength=len(firsts))[numbers] > 1
    plain = has_rival & (cases["role"] == "baseline").to_numpy()
    timed: dict[int, dict[str, float]] = {}
    rows = cases.loc[plain, ["implementation", "latency"]].itertuples(index=False, name=None)
    for number, (name, latency) in zip(numbers[plain], rows, strict=True):
        timed.setdefault(number, {})[name] = float(latency)
    return leading(timed.values()) or wanted or "a plain linear layer"


def foremost(cases: pd.DataFrame, most: int = MOST) -> tuple[pd.DataFrame, str]:
    """The plain linear layers and the fastest others of `cases`, and a sentence when some were left out.

    The fastest have the least latency over the fastest of their contest, as a geometric mean.
    """
    seconds = cases["latency"].astype(float).map(math.log)
    behind = seconds - seconds.groupby([cases["run"], cases["contest"]]).transform("min")
    ranked = list(behind.groupby(cases["implementation"]).mean().sort_values(kind="stable").index)
    baselines = set(cases["implementation"][cases["role"] == "baseline"])
    plain = [name for name in ranked if name in baselines]
    others = [name for name in ranked if name not in baselines]
    kept = others[: max(1, most - len(plain))]
    if len(kept) == len(others):
        return cases, ""
    note = f" Drawn: the plain linear layers and the {len(kept)} fastest of {len(others)} other implementations."
    return cases[cases["implementation"].isin([*plain, *kept])], note


def name_all(
    figure: Figure, names: Iterable[str], *, line: bool, further: Iterable[Artist] = (), below: bool = False
) -> None:
    """A legend at the right, or `below`: the colour and marker of each name, on a `line` or alone, then `further`."""
    names = list(names)
    palette, shapes = colours(names), markers(names)
    handles: list[Artist] = [
        Line2D([], [], color=palette[name], marker=shapes[name], linestyle="-" if line else "", label=name)
        for name in names
    ]
    place: dict[str, Any] = {"loc": "outside lower left", "ncols": 5} if below else {"loc": "outside right upper"}
    figure.legend(handles=[*handles, *further], labelspacing=0.6, **place)
