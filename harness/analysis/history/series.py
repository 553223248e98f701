"""Series: one metric of one case on one kind of machine, run after run, and where it changed."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from harness.analysis.history.change_points import steps
from harness.model import Case

COLUMNS = (
    *("run", "started", "commit", "committed", "dirty", "machine_kind", "machine"),
    *("case", "metric", "kind", "unit", "better", "centre", "lo", "hi", "tolerance"),
)
"""Columns of a history that `series_of` takes, of the rows that are first of their case and metric in a run."""
_NAME = 7
"""Characters of a commit."""


@dataclass(frozen=True)
class Change:
    """A series has another level from the run at `at` on."""

    at: int
    size: float
    """After over before; where `is_ratio` is false, after less before in the metric's unit."""
    lo: float
    hi: float
    is_ratio: bool
    before: str
    """The last run with the level before, by its commit, or by its time where that is unknown."""
    after: str
    """The first run with the level after."""
    is_worse: bool

    @property
    def commits(self) -> str:
        """Where to look for the cause, as git takes it: `abc1234..def5678`."""
        return f"{self.before}..{self.after}"


@dataclass(frozen=True)
class Series:
    """Points in the order of their commits. All arrays have one length, which is at least 1."""

    case: str
    implementation: str
    metric: str
    kind: str
    """`sampled`, `exact` or `paired`."""
    unit: str
    better: str
    machine_kind: str
    machine: str
    """In words, as of the last run."""
    runs: Sequence[str]
    names: Sequence[str]
    """Of the points: commits in seven characters, times where they are unknown."""
    centre: np.ndarray
    lo: np.ndarray
    """NaN where there is no interval."""
    hi: np.ndarray
    tolerance: np.ndarray

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """In the order of the runs. Of an exact metric every difference beyond its tolerance is one."""
        return tuple(self._exact() if self.kind == "exact" else self._noisy())

    @cached_property
    def levels(self) -> list[tuple[int, int, float]]:
        """First place, last place and mean of each stretch between two changes; geometric means of what has ratios."""
        ends = [0, *(change.at for change in self.changes), len(self.centre)]
        return [(a, b - 1, self._middle(self.centre[a:b])) for a, b in itertools.pairwise(ends)]

    @property
    def since_begin(self) -> float:
        """The last level over the first; NaN where they have no ratio."""
        first, last = self.levels[0][2], self.levels[-1][2]
        return last / first if first > 0 and last > 0 and math.isfinite(last / first) else math.nan

    def _middle(self, values: np.ndarray) -> float:
        usable = values[self._usable(values)]
        if not len(usable):
            return math.nan
        return float(np.exp(np.log(usable).mean()) if self.kind == "sampled" else usable.mean())

    def _usable(self, values: np.ndarray) -> np.ndarray:
        usable: np.ndarray = np.isfinite(values) & ((values > 0) | (self.kind != "sampled"))
        return usable

    def _noisy(self) -> list[Change]:
        places = np.flatnonzero(self._usable(self.centre))
        values, is_ratio = self.centre[places], self.kind == "sampled"
        found = []
        for step in steps(np.log(values) if is_ratio else values):
            size, lo, hi = (math.exp(one) if is_ratio else one for one in (step.size, step.lo, step.hi))
            found.append(self._change(int(places[step.at - 1]), int(places[step.at]), size, lo, hi, is_ratio))
        return found

    def _exact(self) -> list[Change]:
        places = np.flatnonzero(~np.isnan(self.centre))
        found = []
        for before, after in itertools.pairwise(places):
            a, b = float(self.centre[before]), float(self.centre[after])
            if a == b or (math.isfinite(b - a) and abs(b - a) <= self.tolerance[before]):
                continue
            is_ratio = self.unit != "dB" and a > 0 and math.isfinite(b)
            size = b / a if is_ratio else b - a
            found.append(self._change(int(before), int(after), size, size, size, is_ratio))
        return found

    def _change(self, before: int, after: int, size: float, lo: float, hi: float, is_ratio: bool) -> Change:
        grew = size > (1 if is_ratio else 0)
        is_worse = grew == (self.better == "lower")
        return Change(after, size, lo, hi, is_ratio, self.names[before], self.names[after], is_worse)


def series_of(frame: pd.DataFrame) -> list[Series]:
    """The series of a frame with COLUMNS, in the order of their cases.

    A run stands where its commit does, by the time when that was made, else by the time when the run began.
    """
    when = frame["committed"].fillna(frame["started"])
    frame = frame.assign(when=when).sort_values(["when", "started", "run"], kind="stable")
    names = frame["commit"].astype(object).str[:_NAME]
    names = names.where(names.notna(), frame["started"].dt.strftime("%Y-%m-%dT%H:%M").astype(object))
    frame = frame.assign(name=names + np.where(frame["dirty"], "-dirty", ""))
    groups = frame.groupby(["case", "metric", "machine_kind"], observed=True, sort=True)
    return [_series(part) for _, part in groups]


def _series(part: pd.DataFrame) -> Series:
    last = part.iloc[-1]
    return Series(
        case=str(last["case"]),
        implementation=Case.parse(str(last["case"])).implementation,
        metric=str(last["metric"]),
        kind=str(last["kind"]),
        unit=str(last["unit"]),
        better=str(last["better"]),
        machine_kind=str(last["machine_kind"]),
        machine=str(last["machine"]),
        runs=part["run"].astype(str).tolist(),
        names=part["name"].astype(str).tolist(),
        centre=part["centre"].to_numpy(float),
        lo=part["lo"].to_numpy(float),
        hi=part["hi"].to_numpy(float),
        tolerance=part["tolerance"].to_numpy(float),
    )
