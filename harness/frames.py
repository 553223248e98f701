"""Stored runs as tidy pandas frames, for notebooks, figures and the report."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.arguments import Source, require_frame, require_metrics, runs_given
from harness.analysis.column_types import SPEEDUP, typed
from harness.analysis.columns import (
    ResultColumn,
    effort_columns,
    speedup_columns,
    standing_columns,
)
from harness.analysis.raw_values import RawValues, beside_each_other
from harness.analysis.results import Result, valid
from harness.analysis.roofline import DTYPES
from harness.analysis.view import View, baselines_of
from harness.errors import UsageError
from harness.model import Params, Record, StoredRun, known_metrics
from harness.model.environment import machine_name
from harness.model.metrics import METRICS, Metric
from harness.store import load as load_run

CASE = ("run", "suite", "case", "implementation", "role")
POINT = (
    "m", "k", "n", "scheme", "weight_bits", "activation_bits", "groups", "dtype", "device", "threads",
)  # fmt: skip
COLUMNS = (*CASE, *POINT, "metric", "unit", "value", "round", "outcome", "reason", "machine")
"""Columns of `load`; params and facts beyond these follow under their own names."""

STANDING = ("bandwidth", "throughput", "intensity", "ceiling_share", "ceiling")
REACHED = ("state", "samples", "precision")
SUMMARY = ("metric", "unit", "centre", "lo", "hi", "rounds", "warnings")
BOUNDS = ("", "_lo", "_hi")
"""What the columns of a speed-up end with."""
RUN = ("started", "commit", "machine")
LEAD = ("implementation", "title", "metric", "centre", "lo", "hi", "unit", "rounds", "warnings")
"""The first columns of a summary: whose number, of what, and the number; a notebook hides those in the middle."""


def load(*runs: Source) -> pd.DataFrame:
    """One row per case x metric x round; `value` is the round's median (what is exact has one), in base units.

    A record that was not measured is one row with its `outcome` and `reason`, and NaN for metric and value; a value is
    NaN, too, where every block of a round was voided. Raises StoreError for what cannot be read.

    Every column of this frame and the others has one type. Whole numbers are Int64, so a param that a suite does not
    have is <NA>; other numbers are float64, the rest is text.
    """
    points: list[dict[str, Any]] = []
    rows: list[tuple[object, ...]] = []
    for stored in map(_stored, _once(runs)):
        known, head = known_metrics(stored.run), {"machine": _machine(stored)}
        for record in stored.records:
            measured = [
                (len(points), taken.metric, known[taken.metric].unit, _value(record, known[taken.metric]))
                for taken in record.measurements
                if record.outcome == "measured" and taken.values and _has_centre(known.get(taken.metric))
            ]
            rows += measured or [(len(points), None, None, math.nan)]
            ours = {"round": record.round, "outcome": record.outcome, "reason": record.reason}
            points.append(_point(stored, record, head) | ours)
    return _joined(points, pd.DataFrame(rows, columns=["record", "metric", "unit", "value"]), COLUMNS)


def samples(*runs: Source, metric: str | None = None, columns: Collection[str] = ()) -> pd.DataFrame:
    """One row per raw value, of one `metric` or all, in the order taken.

    The columns are those of `load` and `sample`, counted from 0 in each round; `block`, in which it was taken close to
    those of its rivals, and `voided`, whether that block counts for nobody; `contest` and `title` are as in `summary`.
    A distribution has a row for each of its bins. With `columns` there are only these, for runs of millions of rows.
    Raises ValueError for a metric that there is not, StoreError for what cannot be read.
    """
    points: list[dict[str, Any]] = []
    taken: list[RawValues] = []
    views = views_of(runs)
    require_metrics(() if metric is None else (metric,), known_metrics(*(view.stored.run for view in views)))
    for view in views:
        words, head = view.titles, {"machine": _machine(view.stored)}
        for result in view.results:
            if metric is not None and not result.took(metric):
                continue
            contest = {"contest": result.contest, "title": words[result.contest]}
            facts: Params | None = None
            for record in result.measured:
                found = [
                    one
                    for one in record.measurements
                    if one.values and one.metric in result.known and metric in (None, one.metric)
                ]
                if found and record.facts != facts:  # rounds of one case hardly ever differ in more than their values
                    facts = record.facts
                    ended = {"outcome": record.outcome, "reason": record.reason}
                    points.append(_point(view.stored, record, head) | ended | contest)
                of_round = len(points) - 1, record.round
                taken += [RawValues(*of_round, one, result.known[one.metric].unit, record.voided) for one in found]
    values = beside_each_other(taken)
    if columns:
        chosen = {name: [point.get(name) for point in points] for name in columns if name not in values}
        return _joined(chosen, values[["record", *(name for name in columns if name in values)]], columns)
    return _joined(points, values, (*COLUMNS, "sample", "block", "voided"), ("contest", "title"))


def summary(*runs: Source) -> pd.DataFrame:
    """One row per case x metric: `centre`, `lo`, `hi` and `rounds` (the independent values behind the interval).

    The columns of LEAD come first; `machine` is the machine in words.

    Intervals are `intervals.summarise`'s and NaN where one round cannot give one; `n` is the layer's output
    features, so the count is called `rounds`. `warnings` are joined by "; ". `contest` names the cases that were
    timed against each other and `title` says it in words. `role` is `baseline` for what others are compared with:
    rows of latency have the speed-up over each baseline of these runs (`speedup_linear-fp32`, `..._lo`, `..._hi`),
    paired by round; and where the run has ceilings the bytes and the operations a second, the operations a byte, and
    which share of which ceiling that is. Raises StoreError for what cannot be read.
    """
    points: list[dict[str, Any]] = []
    rows: list[tuple[object, ...]] = []
    beside: dict[int, list[object]] = {}
    views = views_of(runs)
    baselines = list(dict.fromkeys(name for view in views for name in baselines_of(view.results)))
    for view in views:
        words, head = view.titles, {"machine": _machine(view.stored)} | _run(view.stored)
        derived = _derived_columns(view, baselines)
        for result in view.results:
            for metric in result.metrics:
                if taken := result.summary(metric.name):
                    if metric.name == "latency":
                        beside[len(rows)] = [cell for column in derived for cell in _cells(column, result)]
                    numbers = taken.centre, taken.lo, taken.hi, taken.n
                    rows.append((len(points), metric.name, metric.unit, *numbers, "; ".join(taken.warnings)))
            if rows and rows[-1][0] == len(points):
                contest = {"contest": result.contest, "title": words[result.contest]}
                points.append(_point(view.stored, result.records[0], head) | contest)
    named = [f"{SPEEDUP}{name}{bound}" for name in baselines for bound in BOUNDS] + [*STANDING, *REACHED]
    values = pd.DataFrame(rows, columns=["record", *SUMMARY])
    values = values.join(pd.DataFrame(beside.values(), index=[*beside], columns=named))
    columns = tuple(dict.fromkeys((*LEAD, *CASE, "contest", *POINT, *SUMMARY, *named, *RUN)))
    return _joined(points, values, columns)


def ceilings(*runs: Source) -> pd.DataFrame:
    """One row per ceiling that was measured: `run device threads kind value unit machine`.

    `kind` is `memory`, `cache` or `core cache`, in bytes read a second, or a dtype, in operations a second. Empty where
    a run has none. Raises StoreError for what cannot be read.
    """
    rows: list[tuple[object, ...]] = []
    for stored in map(_stored, _once(runs)):
        for one in stored.run.ceilings:
            rates = {kind: (getattr(one, field), "B/s") for kind, field in _BANDWIDTHS.items()}
            rates |= {dtype: (getattr(one, dtype), "1/s") for dtype in DTYPES}
            place = (stored.run.id, one.device, one.threads)
            rows += [(*place, kind, *rate, _machine(stored)) for kind, rate in rates.items() if rate[0]]
    return typed(pd.DataFrame(rows, columns=["run", "device", "threads", "kind", "value", "unit", "machine"]))


_BANDWIDTHS = {
    "memory": "memory_bandwidth",
    "cache": "cache_bandwidth",
    "core cache": "core_cache_bandwidth",
}


def wide(frame: pd.DataFrame, *metrics: str) -> pd.DataFrame:
    """One row per case of a `summary`, in its order, and one column per metric: the centres.

    `latency_lo`, `latency_hi`, the speed-ups and what STANDING and REACHED name stand beside `latency`. A param that is
    called as a metric gets the name `NAME_param`. Where `metrics` are named there are only cases that have one of them,
    and a column for each. Raises ValueError for a metric that there is not, and for a frame that is no `summary`.
    """
    require_frame(frame, "summary")
    require_metrics(metrics, dict.fromkeys([*METRICS, *frame["metric"].unique()]))
    frame = frame[frame["metric"].isin(metrics)] if metrics else frame
    beside = [*(name for name in map(str, frame) if name.startswith(SPEEDUP)), *STANDING, *REACHED]
    numbers, firsts = numbered(frame, "run", "case")
    which, names = pd.factorize(frame["metric"], sort=True)
    centres = np.full((len(firsts), len(names)), math.nan)
    centres[numbers, which] = frame["centre"]
    cases = frame.iloc[firsts].drop(columns=[*SUMMARY, *beside]).reset_index(drop=True)
    cases = cases.rename(columns={name: f"{name}_param" for name in names if name in cases})
    is_latency = (frame["metric"] == "latency").to_numpy()
    times = frame.loc[is_latency, ["lo", "hi", *beside]].set_axis(numbers[is_latency]).reindex(range(len(firsts)))
    times = times.rename(columns={"lo": "latency_lo", "hi": "latency_hi"})
    joined = pd.concat([cases, pd.DataFrame(centres, columns=names), times], axis="columns")
    key = ["run", "case"]
    return joined.reindex(columns=[*dict.fromkeys([*key, *joined]), *(name for name in metrics if name not in joined)])


def numbered(frame: pd.DataFrame, *columns: str) -> tuple[np.ndarray, np.ndarray]:
    """The groups of rows that are alike in `columns`, in the order in which they begin.

    The number of each row's group, from 0, and the place of the first row of each group.
    """
    numbers = frame.groupby(list(columns), sort=False, dropna=False).ngroup().to_numpy()
    return numbers, np.flatnonzero(np.diff(np.maximum.accumulate(numbers), prepend=-1))


def views_of(runs: Source | Sequence[Source]) -> list[View]:
    """Every run with all that was measured in it, gathered by case; one run may stand by itself.

    Raises ValueError for what is no run, StoreError for what cannot be read and UsageError when two runs have the same
    id.
    """
    return [
        run if isinstance(run, View) else View.of(_stored(run), known_metrics(_stored(run).run)) for run in _once(runs)
    ]


def _once(runs: Source | Sequence[Source]) -> list[StoredRun | View]:
    """The runs, loaded, and none of them twice: their rows could not be told apart."""
    loaded = [run if isinstance(run, StoredRun | View) else load_run(Path(run)) for run in runs_given(runs)]
    twice = [name for name, count in Counter(_stored(run).run.id for run in loaded).items() if count > 1]
    if twice:
        raise UsageError(f"run {twice[0]} is given twice; give each run once")
    return loaded


def _stored(run: StoredRun | View) -> StoredRun:
    return run.stored if isinstance(run, View) else run


def _has_centre(metric: Metric | None) -> bool:
    return metric is not None and not metric.distribution


def _value(record: Record, metric: Metric) -> float:
    """The round's value; an exact metric may be infinite, as the SQNR of equal outputs is; NaN if all is voided."""
    values = valid(record, metric.name).values
    return metric.of_round(values) if values else math.nan


def _run(stored: StoredRun) -> dict[str, str]:
    return {"started": stored.run.started, "commit": stored.run.revision.commit}


def _point(stored: StoredRun, record: Record, head: Mapping[str, str]) -> dict[str, Any]:
    """Params and facts under their own names; ours win where a name meets one of ours."""
    case = record.case
    ours = {"run": stored.run.id, "suite": case.suite, "case": case.name, "implementation": case.implementation}
    return {**case.params, **record.facts, **ours, "role": record.role, **head}


def _machine(stored: StoredRun) -> str:
    """The machine in words: the same in every run on it, and another where they may not be compared."""
    return machine_name(stored.run.environment)


def _derived_columns(view: View, baselines: Sequence[str]) -> list[ResultColumn]:
    """What stands beside a latency: the speed-up over each baseline, what STANDING and what REACHED name."""
    columns = (*standing_columns(view), *effort_columns(view))
    named = {column.key: column for column in columns}
    return [*speedup_columns(view, baselines), *(named[key] for key in (*STANDING, *REACHED))]


def _cells(column: ResultColumn, result: Result) -> Sequence[object]:
    """A number, of a speed-up with its bounds."""
    reading = column.read(result)
    if column.key.startswith(SPEEDUP):
        return reading[:3] if reading else (math.nan,) * 3
    return (reading.value if reading else None,)


def _joined(
    points: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]],
    values: pd.DataFrame,
    columns: Collection[str],
    further: Sequence[str] = (),
) -> pd.DataFrame:
    """Every value beside its point, whose place `record` is; `columns` first. They and `further` are there always."""
    beside = typed(pd.DataFrame(points, dtype=object))
    places = values.pop("record").to_numpy(int)
    values = typed(values)
    beside = beside.drop(columns=[name for name in beside if name in values])  # our columns, not a param of that name
    frame = pd.concat([beside.take(places).reset_index(drop=True), values], axis="columns")
    missing = [name for name in (*columns, *further) if name not in frame]
    frame = pd.concat([frame, typed(pd.DataFrame(index=frame.index, columns=missing, dtype=float))], axis="columns")
    return frame[[*columns, *sorted(set(map(str, frame)) - set(columns))]]
