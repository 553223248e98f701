"""Stored runs as tidy pandas frames, for notebooks, figures and the report."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from harness.analysis.arguments import Source, require_frame, require_metrics, runs_given
from harness.analysis.column_types import SPEEDUP, typed
from harness.analysis.intervals import Comparison, round_value, summarise
from harness.analysis.naming import titles
from harness.analysis.results import Result, valid
from harness.analysis.roofline import DTYPES, standing
from harness.analysis.view import View, baselines_of
from harness.errors import UsageError
from harness.model import Measurement, Record, StoredRun
from harness.model.environment import machine_name
from harness.model.metrics import METRICS
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
        for record in stored.records:
            rows += [
                (len(points), taken.metric, METRICS[taken.metric].unit, _value(valid(record, taken.metric)))
                for taken in record.measurements
                if record.outcome == "measured" and taken.values and _has_centre(taken.metric)
            ]
            points.append(_record_point(stored, record, record.case.name))
    values = pd.DataFrame(rows, columns=["record", "metric", "unit", "value"])
    return _joined(pd.DataFrame(points, dtype=object), values, COLUMNS, how="left")


def samples(*runs: Source, metric: str | None = None) -> pd.DataFrame:
    """One row per raw value, of one `metric` or all, in the order taken.

    The columns are those of `load` and `sample`, counted from 0 in each round; `block`, in which it was taken close to
    those of its rivals, and `voided`, whether that block counts for nobody; `contest` and `title` are as in `summary`.
    A distribution has a row for each of its bins.
    Raises ValueError for a metric that there is not, StoreError for what cannot be read.
    """
    require_metrics(() if metric is None else (metric,))
    points: list[dict[str, Any]] = []
    rows: list[tuple[object, ...]] = []
    for view in views_of(runs):
        words = titles(view.results)
        for result in view.results:
            head = {"contest": result.contest, "title": words[result.contest]}
            for record in result.measured:
                for taken in record.measurements:
                    if taken.metric in METRICS and metric in (None, taken.metric):
                        head_of_row = (len(points), taken.metric, METRICS[taken.metric].unit)
                        rows += [(*head_of_row, *sample) for sample in _in_blocks(taken, record.voided)]
                points.append(_record_point(view.stored, record, result.name) | head)
    values = pd.DataFrame(rows, columns=["record", "metric", "unit", "sample", "value", "block", "voided"])
    return _joined(pd.DataFrame(points, dtype=object), values, (*COLUMNS, "sample", "block", "voided"), how="inner")


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
    views = views_of(runs)
    baselines = list(dict.fromkeys(name for view in views for name in baselines_of(view.results)))
    for view in views:
        words = titles(view.results)
        for result in view.results:
            rows += _summaries(len(points), result, view, baselines)
            contest = {"contest": result.contest, "title": words[result.contest]}
            points.append(_point(view.stored, result.records[0], result.name) | contest | _run(view.stored))
    speedups = [f"{SPEEDUP}{name}{bound}" for name in baselines for bound in BOUNDS]
    named = [*SUMMARY, *speedups, *STANDING, *REACHED]
    values = pd.DataFrame(rows, columns=["record", *named])
    columns = tuple(dict.fromkeys((*LEAD, *CASE, "contest", *POINT, *named, *RUN)))
    return _joined(pd.DataFrame(points, dtype=object), values, columns, how="inner")


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

    `latency_lo`, `latency_hi`, the speed-ups and what STANDING and REACHED name stand beside `latency`. Where `metrics`
    are named there are only cases that have one of them, and a column for each. Raises ValueError for a metric that
    there is not, and for a frame that is no `summary`.
    """
    require_frame(frame, "summary")
    require_metrics(metrics)
    frame = frame[frame["metric"].isin(metrics)] if metrics else frame
    beside = [*(name for name in map(str, frame) if name.startswith(SPEEDUP)), *STANDING, *REACHED]
    cases = frame.drop_duplicates(["run", "case"]).drop(columns=[*SUMMARY, *beside]).set_index(["run", "case"])
    centres = frame.pivot(index=["run", "case"], columns="metric", values="centre")
    times = frame[frame["metric"] == "latency"].set_index(["run", "case"])
    times = times[["lo", "hi", *beside]].rename(columns={"lo": "latency_lo", "hi": "latency_hi"})
    joined = cases.join(centres).join(times).reset_index()
    return joined.reindex(columns=[*joined, *(name for name in metrics if name not in joined)])


def views_of(runs: Source | Sequence[Source]) -> list[View]:
    """Every run with all that was measured in it, gathered by case; one run may stand by itself.

    Raises ValueError for what is no run, StoreError for what cannot be read and UsageError when two runs have the same
    id.
    """
    return [run if isinstance(run, View) else View.of(_stored(run), METRICS) for run in _once(runs)]


def _once(runs: Source | Sequence[Source]) -> list[StoredRun | View]:
    """The runs, loaded, and none of them twice: their rows could not be told apart."""
    loaded = [run if isinstance(run, StoredRun | View) else load_run(Path(run)) for run in runs_given(runs)]
    twice = [name for name, count in Counter(_stored(run).run.id for run in loaded).items() if count > 1]
    if twice:
        raise UsageError(f"run {twice[0]} is given twice; give each run once")
    return loaded


def _stored(run: StoredRun | View) -> StoredRun:
    return run.stored if isinstance(run, View) else run


def _has_centre(name: str) -> bool:
    return name in METRICS and not METRICS[name].distribution


def _value(taken: Measurement) -> float:
    """The round's value; an exact metric may be infinite, as the SQNR of equal outputs is; NaN if all is voided."""
    if not taken.values:
        return math.nan
    metric = METRICS[taken.metric]
    return round_value(taken.values) if metric.assume == "sampled" else summarise(metric, [taken.values]).centre


def _record_point(stored: StoredRun, record: Record, name: str) -> dict[str, Any]:
    ours = {"round": record.round, "outcome": record.outcome, "reason": record.reason}
    return _point(stored, record, name) | ours


def _in_blocks(taken: Measurement, voided: Collection[int]) -> Iterator[tuple[object, ...]]:
    """Number, value, block and whether that was voided, of each raw value."""
    blocks: Sequence[int | None] = taken.blocks or [None] * len(taken.values)
    for number, (value, block) in enumerate(zip(taken.values, blocks, strict=True)):
        yield number, value, block, block in voided


def _run(stored: StoredRun) -> dict[str, str]:
    return {"started": stored.run.started, "commit": stored.run.revision.commit}


def _point(stored: StoredRun, record: Record, name: str) -> dict[str, Any]:
    """Params and facts under their own names; ours win where a name meets one of ours."""
    case = record.case
    ours = {"run": stored.run.id, "suite": case.suite, "case": name, "implementation": case.implementation}
    ours |= {"role": record.role}
    return {**case.params, **record.facts, **ours, "machine": _machine(stored)}


def _machine(stored: StoredRun) -> str:
    """The machine in words: the same in every run on it, and another where they may not be compared."""
    return machine_name(stored.run.environment)


def _summaries(index: int, result: Result, view: View, baselines: Sequence[str]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    beside = [*_gains(result, view.ratios, baselines), *_standing(result, view), *_reached(result, view)]
    for metric in result.metrics:
        s = result.summary(metric)
        if s is not None:
            further = beside if metric.name == "latency" else [None] * len(beside)
            rows.append((index, metric.name, metric.unit, s.centre, s.lo, s.hi, s.n, "; ".join(s.warnings), *further))
    return rows


def _standing(result: Result, view: View) -> list[object]:
    found = standing(result, view.stored.run.ceilings)
    if found is None:
        return [None] * len(STANDING)
    return [found.bandwidth, found.throughput, found.intensity, found.share, found.ceiling]


def _reached(result: Result, view: View) -> list[object]:
    found = view.reached.get(result.case)
    return [found.state or None, found.samples, found.precision] if found else [None] * len(REACHED)


def _gains(result: Result, ratios: Mapping[tuple[str, str], Comparison], baselines: Sequence[str]) -> list[float]:
    """Speed-up, lower and upper bound over each baseline: one over the latencies' ratio, so the bounds change ends."""
    gains: list[float] = []
    for baseline in baselines:
        found = ratios.get((result.name, baseline))
        bounds = (found.ratio, found.hi, found.lo) if found else ()
        gains += [1 / value if value else math.nan for value in bounds] or [math.nan] * 3
    return gains


def _joined(
    points: pd.DataFrame, values: pd.DataFrame, columns: Sequence[str], how: Literal["left", "inner"]
) -> pd.DataFrame:
    """Every value beside its point, `columns` first."""
    points, values = typed(points), typed(values)
    points = points.drop(columns=[name for name in points if name in values])  # our columns, not a param of that name
    frame = points.merge(values, how=how, left_index=True, right_on="record").drop(columns="record")
    frame = frame.reindex(columns=[*columns, *sorted(set(map(str, frame)) - set(columns))]).reset_index(drop=True)
    return typed(frame)
