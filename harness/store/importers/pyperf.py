"""pyperf's JSON: a run is a process, and so a round.

The first run of a benchmark may be a calibration: it has warm-ups and no values, and is no round. Warm-ups never count.
Values are per call: pyperf has divided them by its loops.
"""

import msgspec

from harness.model import Environment, Params
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round, named
from harness.store.importers.quantities import quantity
from harness.store.importers.source import Source, count, unreadable, utc

TOOL = "pyperf"
_UNITS = {"second": "s", "byte": "B", "integer": "1"}


class _Run(msgspec.Struct, frozen=True):
    values: tuple[float, ...] = ()
    metadata: dict[str, object] = {}


class _Benchmark(msgspec.Struct, frozen=True):
    runs: list[_Run]
    metadata: dict[str, object] = {}


class _Document(msgspec.Struct, frozen=True):
    benchmarks: list[_Benchmark]
    metadata: dict[str, object] = {}


def recognises(source: Source) -> bool:
    """Whether this format has such content."""
    match source.content:
        case {"benchmarks": [{"runs": list()}, *_], "version": _}:
            return True
    return False


def read(source: Source) -> ForeignFile:
    """Its benchmarks. Raises StoreError for a file that is not whole."""
    document = source.as_kind(_Document, TOOL)
    everywhere = _told_everywhere(document)
    runs = [run.metadata for one in document.benchmarks for run in one.runs]
    dates = sorted(str(metadata["date"]) for metadata in runs if "date" in metadata)
    return ForeignFile(
        TOOL,
        [_benchmark(one, document, source) for one in document.benchmarks],
        str(everywhere.get("perf_version", "")),
        utc(str(everywhere.get("date", dates[0] if dates else ""))),
        Environment(
            cpu_model=str(everywhere.get("cpu_model_name", "unknown")),
            cores_logical=count(everywhere.get("cpu_count")),
            operating_system=str(everywhere.get("platform", "unknown")).replace("-", " ", 1),
            python=str(everywhere.get("python_version", "unknown")).partition(" ")[0],
        ),
    )


def _told_everywhere(document: _Document) -> dict[str, object]:
    """What pyperf says of all runs it lifts out of them: to the benchmark, and of all benchmarks to the file."""
    first = document.benchmarks[0] if document.benchmarks else _Benchmark([])
    return next((run.metadata for run in first.runs), {}) | first.metadata | document.metadata


def _benchmark(one: _Benchmark, document: _Document, source: Source) -> Benchmark:
    metadata = document.metadata | one.metadata
    name = str(metadata.get("name", ""))
    case, metric = named(name, TOOL)
    unit = str(metadata.get("unit", "second"))
    if unit not in _UNITS:
        raise unreadable(source.path, TOOL, f"{name} has values in {unit!r}, which pyperf does not have")
    measured = quantity(metric, _UNITS[unit])
    rounds = []
    for run in one.runs:
        if run.values:
            loops = run.metadata.get("loops", metadata.get("loops", 1))
            rounds.append(Round({measured.metric: run.values}, loops if type(loops) is int and loops > 0 else 1))
    facts: Params = {"description": str(metadata["description"])} if "description" in metadata else {}
    return Benchmark(case, rounds, facts)
