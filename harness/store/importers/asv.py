"""asv (airspeed velocity): a file `results/MACHINE/COMMIT-ENV.json`, or a folder with one of them.

Units and names of params are in `benchmarks.json`, one folder above the file. The points of a benchmark are the
product of its params in C order. A failed point is null, a skipped one a bare NaN. With `--record-samples` there are
raw values, and else the median. Which process a sample is of is not told: they make one round.
"""

import ast
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import StoreError
from harness.model import Case, Environment, Revision, normalise_value
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round, case_of
from harness.store.importers.quantities import Quantity, quantity
from harness.store.importers.source import Source, beside, checked, count, said_at, unreadable

TOOL = "asv"
_VERSION = 2
"""Of the format of a result."""
_NOT_RESULTS = ("machine.json", "benchmarks.json")
_BY_PREFIX = {"time": "seconds", "timeraw": "seconds", "mem": "bytes", "peakmem": "bytes"}
"""Units of benchmarks that `benchmarks.json` is not there to tell of, by how their names begin."""


class _Declared(msgspec.Struct, frozen=True):
    param_names: list[str] = []
    unit: str = "unit"


class _Document(msgspec.Struct, frozen=True):
    commit_hash: str
    result_columns: list[str]
    results: dict[str, list[Any]]
    version: int
    date: float = 0.0
    params: dict[str, str | None] = {}


class _Row(msgspec.Struct, frozen=True):
    """One benchmark by the names of its columns. Rows are cut off after the last column that says anything."""

    result: list[float | None] | None = None
    params: list[list[str]] = []
    samples: list[list[float] | None] | None = None
    stats_number: list[float | None] | None = None


def recognises(source: Source) -> bool:
    """Whether this format has such content; of a folder, whether asv keeps its results there."""
    if source.is_folder:
        return any(next(source.path.rglob(name), None) for name in _NOT_RESULTS)
    return isinstance(source.content, dict) and {"result_columns", "commit_hash"} <= source.content.keys()


def read(source: Source) -> ForeignFile:
    """Its benchmarks. Raises StoreError for a file that is not whole, and for a folder with several results."""
    if source.is_folder:
        return read(beside(_only_result(source.path), TOOL))
    document = source.as_kind(_Document, TOOL)
    if document.version != _VERSION:
        raise unreadable(source.path, TOOL, f"its version is {document.version}, and {_VERSION} is read")
    declared = _declared(source.path)
    benchmarks: list[Benchmark] = []
    for name, columns in document.results.items():
        said = dict(zip(document.result_columns, columns, strict=False))
        row = checked({key: value for key, value in said.items() if value is not None}, _Row, source.path, TOOL)
        benchmarks += _benchmarks(name, row, declared.get(name), source)
    return ForeignFile(
        TOOL,
        benchmarks,
        started=said_at(datetime.fromtimestamp(document.date / 1000, UTC)) if 0 < document.date < _LAST else "",
        environment=_environment(document.params),
        revision=Revision(document.commit_hash),
    )


_LAST = 253402300799000
"""Milliseconds to the end of the year 9999."""


def _only_result(folder: Path) -> Path:
    found = sorted(path for path in folder.rglob("*.json") if path.name not in _NOT_RESULTS)
    if len(found) != 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found[:5]) or "make one by `asv run`"
        raise StoreError(f"{folder} holds {len(found)} results of asv, and one is read: {names}")
    return found[0]


def _declared(path: Path) -> dict[str, _Declared]:
    """What `benchmarks.json` says by benchmark; nothing where it is not there."""
    file = path.parent.parent / "benchmarks.json"
    if not file.exists():
        return {}
    content = beside(file, TOOL).content
    said = {name: one for name, one in content.items() if isinstance(one, dict)} if isinstance(content, dict) else {}
    return checked(said, dict[str, _Declared], file, TOOL)


def _benchmarks(name: str, row: _Row, declared: _Declared | None, source: Source) -> list[Benchmark]:
    """A benchmark a point of its params."""
    points = list(itertools.product(*row.params))
    results = row.result if row.result is not None else [None] * len(points)  # it failed wholly
    samples = row.samples or [None] * len(points)
    numbers = row.stats_number or [None] * len(points)
    if not len(results) == len(points) == len(samples) == len(numbers):
        raise unreadable(source.path, TOOL, f"{name} has {len(results)} results of {len(points)} points")
    measured = _quantity(name, declared)
    names = declared.param_names if declared else []
    names = [*names, *(f"param{number}" for number in range(len(names) + 1, len(row.params) + 1))]
    return [
        _point(_case(name, dict(zip(names, point, strict=False))), measured, result, taken, number)
        for point, result, taken, number in zip(points, results, samples, numbers, strict=True)
    ]


def _point(
    case: Case, measured: Quantity, result: float | None, samples: Sequence[float] | None, number: float | None
) -> Benchmark:
    if result is None:
        return Benchmark(case, [Round(outcome="failed", reason="asv has null for it: it failed")])
    if math.isnan(result):
        return Benchmark(case, [Round(outcome="skipped", reason="asv has NaN for it: it skipped itself")])
    loops = number or 1
    if samples:
        return Benchmark(case, [Round({measured.metric: tuple(map(measured.of, samples))}, loops)])
    of_calls = measured.metric.unit == "s"  # a number that is tracked, and a peak, are what was measured, once
    return Benchmark(case, [Round({measured.metric: (measured.of(result),)}, loops)], summary="median" * of_calls)


def _case(name: str, params: Mapping[str, str]) -> Case:
    suite, _, function = name.rpartition(".")
    return case_of(suite, function, {key: _value(text) for key, text in params.items()}, TOOL)


def _value(text: str) -> int | float | str:
    """A param of its representation: that of a text loses its quotes, and any other stays as it is."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return normalise_value(value if isinstance(value, str) else text)


def _quantity(name: str, declared: _Declared | None) -> Quantity:
    kind = name.rpartition(".")[2].partition("_")[0]
    unit = declared.unit if declared else _BY_PREFIX.get(kind, "unit")
    if kind in ("mem", "peakmem"):
        return quantity("peak memory" if kind == "peakmem" else "memory", unit)
    return quantity("", unit, counted=kind == "track")


def _environment(said: Mapping[str, str | None]) -> Environment:
    """Without the name that the machine was given, and without folders."""
    return Environment(
        cpu_model=said.get("cpu") or "unknown",
        cores_logical=count(said.get("num_cpu")),
        operating_system=said.get("os") or "unknown",
        python=python if re.fullmatch(r"\d[\w.]*", python := said.get("python") or "") else "unknown",
    )
