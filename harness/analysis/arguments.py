"""What functions for notebooks are given: runs, frames, names of metrics. Each is right, or one clear ValueError."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from harness.analysis.view import View
from harness.model import StoredRun
from harness.model.units import choices

Source: TypeAlias = str | Path | StoredRun | View
"""A run's directory or file, or a run that is loaded, and perhaps gathered into results, already."""

_MARKS = {
    "summary": ("run", "case", "metric", "centre", "lo", "hi", "precision", "ceiling_share"),
    "samples": ("run", "case", "metric", "value", "sample", "block", "voided"),
    "ceilings": ("run", "device", "threads", "kind", "value"),
}
"""Columns by which what a function of `harness.frames` returns is known."""


def runs_given(runs: Source | Iterable[Source | Sequence[Source]]) -> list[Source]:
    """One run by itself, several, or one sequence of several, as a list. Raises ValueError for anything else."""
    several = list(runs) if isinstance(runs, Iterable) and not isinstance(runs, str | pd.DataFrame) else [runs]
    if len(several) == 1 and isinstance(several[0], list | tuple):
        several = list(several[0])
    if not several:
        raise ValueError("no run is given; give the directory of one, as in 'results/runs/mine'")
    sources: list[Source] = []
    for run in several:
        if not isinstance(run, str | Path | StoredRun | View) or run == "":
            raise ValueError(f"{_shown(run)} is no run; give its directory, or what harness.load returns")
        sources.append(run)
    return sources


def require_frame(frame: object, source: str) -> None:
    """Raise ValueError unless `frame` is what the function `source` of `harness.frames` returns, or rows of it."""
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"{_shown(frame)} is no frame; give what harness.frames.{source} returns")
    if missing := [name for name in _MARKS[source] if name not in frame]:
        raise ValueError(f"the frame has no column {missing[0]!r}; give what harness.frames.{source} returns")


def require_metrics(names: Iterable[str], known: Collection[str]) -> None:
    """Raise ValueError for a name that is none of the metrics that are `known`."""
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise ValueError(f"unknown metric {name!r}; {choices(name, known)}")


def _shown(thing: object) -> str:
    """A wrong argument in a few words."""
    return repr(thing)[:80] if isinstance(thing, str | Path | int | float | None) else f"a {type(thing).__name__}"
