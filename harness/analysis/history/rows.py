"""A run as rows of a history: one a record and metric, each complete in itself."""

import hashlib
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from harness.analysis.results import Result, of_run, valid
from harness.model import Measurement, Record, Run, StoredRun
from harness.model.environment import comparable, machine_name
from harness.model.metrics import Exact

_KIND = 12
"""Hexadecimal digits that name a machine kind."""


def rows(stored: StoredRun, committed: datetime | None = None) -> Iterator[dict[str, Any]]:
    """One row a record and metric; a record that measured nothing is one row without a metric.

    `committed` is when the commit was made, None where that is not known. Numbers that are not a number are None:
    docs/reference/history.md names the columns and says why.
    """
    head = _of_run(stored.run, committed)
    for result in of_run(stored).values():
        of_case = head | _of_case(result)
        begun: set[str] = set()
        for record in result.records:
            of_record = of_case | {"round": record.round, "outcome": record.outcome, "reason": record.reason or None}
            if not record.measurements:
                yield of_record | _NO_METRIC
            for taken in record.measurements:
                row = of_record | _of_measurement(result, record, taken)
                row["is_first"] = row["centre_rounds"] is not None and taken.metric not in begun
                if row["is_first"]:
                    begun.add(taken.metric)
                yield row


def identity(run: Run) -> str:
    """Eight hexadecimal digits that tell runs of one id apart: two machines may begin in one second.

    It is made of what never changes: neither when the run goes on, nor when a later version reads it.
    """
    at = run.environment
    facts = (run.id, run.started, run.revision.commit, run.pair, run.side, at.cpu_model, at.memory_bytes, *run.argv)
    return hashlib.sha256(repr((*facts, at.load_average)).encode()).hexdigest()[:8]


def machine_kind(run: Run) -> str:
    """A name of all machines whose latencies may be compared: equal for equal `comparable(environment)`."""
    return hashlib.sha256("\0".join(comparable(run.environment)).encode()).hexdigest()[:_KIND]


def _of_run(run: Run, committed: datetime | None) -> dict[str, Any]:
    at = run.environment
    return {
        "run": run.id,
        "identity": identity(run),
        "started": _time(run.started),
        "commit": run.revision.commit or None,
        "committed": committed,
        "dirty": run.revision.dirty,
        "side": run.side or None,
        "machine_kind": machine_kind(run),
        "machine": machine_name(at),
        "cpu_model": at.cpu_model,
        "gpu": at.gpu,
        "operating_system": at.operating_system,
        "python": at.python,
        "torch": at.torch,
    }


def _time(text: str) -> datetime | None:
    """A time of a header; None for what is none."""
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        return None
    return said if said.tzinfo else said.replace(tzinfo=UTC)


def _of_case(result: Result) -> dict[str, Any]:
    case = result.case
    return {
        "suite": case.suite,
        "case": case.name,
        "implementation": case.implementation,
        "params": json.dumps(case.params, sort_keys=True),
        "role": result.role,
    }


_NO_METRIC: dict[str, Any] = {
    **dict.fromkeys(("metric", "kind", "unit", "better", "values", "value", "centre", "lo", "hi", "centre_rounds")),
    "tolerance": None,
    "is_first": False,
}


def _of_measurement(result: Result, record: Record, taken: Measurement) -> dict[str, Any]:
    metric = result.known.get(taken.metric)
    kept = valid(record, taken.metric).values
    counts = metric is not None and not metric.distribution and record.outcome == "measured"
    summary = result.summary(taken.metric) if counts else None
    return _NO_METRIC | {
        "metric": taken.metric,
        "kind": metric.__struct_config__.tag if metric else None,
        "unit": metric.unit if metric else None,
        "better": metric.better if metric else None,
        "values": [_number(value) for value in kept],
        "value": _number(metric.of_round(kept)) if metric and counts and kept else None,
        "centre": _number(summary.centre) if summary else None,
        "lo": _number(summary.lo) if summary else None,
        "hi": _number(summary.hi) if summary else None,
        "centre_rounds": summary.n if summary else None,
        "tolerance": metric.allowed(summary.centre) if isinstance(metric, Exact) and summary else None,
    }


def _number(value: float) -> float | None:
    """None in place of NaN: the one spelling of it that all readers of Parquet take alike."""
    return None if math.isnan(value) else value
