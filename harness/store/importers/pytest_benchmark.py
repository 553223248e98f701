"""pytest-benchmark 5.x: what `--benchmark-json`, `--benchmark-save` and `--benchmark-autosave` write.

Values are seconds of one call: the plugin has divided the time of a round by its iterations. All rounds of a test are
of one process, unless `bitbench export` says otherwise in `extra_info`. A test that failed after it was timed is in the
file like any other.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from harness.model import Case, Environment, Metric, Params, Revision, normalise_value
from harness.model.metrics import LATENCY
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round, case_of
from harness.store.importers.source import Source, count, unreadable, utc

TOOL = "pytest-benchmark"
ROUNDS = "bitbench_rounds"
"""In `extra_info`: how many values each process gave, in their order."""
IDENTIFIER = "pytest_id"
"""The param that stands for those that have no text of their own, or that another test has, too."""
_OPAQUE = re.compile(r"UNSERIALIZABLE\[(.*)\]", re.DOTALL)
_NUMPY = re.compile(r"np\.\w+\((.*)\)")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class _Stats(msgspec.Struct, frozen=True):
    mean: float
    data: tuple[float, ...] | None = None
    iterations: int = 1


class _Entry(msgspec.Struct, frozen=True):
    name: str
    stats: _Stats
    fullname: str = ""
    group: str | None = None
    param: str | None = None
    params: dict[str, object] | None = None
    extra_info: dict[str, object] = {}


class _Document(msgspec.Struct, frozen=True):
    benchmarks: list[_Entry]
    version: str = ""
    datetime: str = ""
    machine_info: dict[str, object] = {}
    commit_info: dict[str, object] = {}


def recognises(source: Source) -> bool:
    """Whether this format has such content."""
    return isinstance(source.content, dict) and {"machine_info", "benchmarks"} <= source.content.keys()


def read(source: Source) -> ForeignFile:
    """Its benchmarks. Raises StoreError for a file that is not whole."""
    document = source.as_kind(_Document, TOOL)
    names = Counter(_case(entry).name for entry in document.benchmarks)
    benchmarks = [_benchmark(entry, names[_case(entry).name] > 1, source) for entry in document.benchmarks]
    commit = str(document.commit_info.get("id"))
    return ForeignFile(
        TOOL,
        benchmarks,
        document.version,
        utc(document.datetime),
        _environment(document.machine_info),
        Revision(commit, document.commit_info.get("dirty") is True) if _COMMIT.fullmatch(commit) else Revision(),
    )


def _case(entry: _Entry, *, by_id: bool = False) -> Case:
    """By node id: names alone repeat from class to class and from file to file."""
    suite, colons, test = entry.fullname.partition("::")
    if not colons:
        suite, test = "", entry.fullname or entry.name
    params, is_told = _params(entry.params or {})
    if entry.param is not None:
        test = test.removesuffix(f"[{entry.param}]")
        if by_id or not is_told or not entry.params:
            params[IDENTIFIER] = entry.param
    if ROUNDS in entry.extra_info and suite:  # of ours: its names are as they were
        return Case.of(suite, test, params)
    return case_of(suite, test, params, TOOL)


def _params(given: dict[str, object]) -> tuple[Params, bool]:
    """The params that have a text, and whether all have."""
    texts = {name: _text(value) for name, value in given.items()}
    return {name: normalise_value(text) for name, text in texts.items() if text is not None}, None not in texts.values()


def _text(value: object) -> object:
    """A param as its axis has it; None for an object whose text tells where in memory it lies."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    match = _OPAQUE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return str(value) if value is None or isinstance(value, bool) else value
    number = _NUMPY.fullmatch(match[1])
    return number[1] if number else None if " at 0x" in match[1] else match[1]


def _benchmark(entry: _Entry, is_shared: bool, source: Source) -> Benchmark:
    case = _case(entry, by_id=is_shared)
    facts: Params = {"group": entry.group} if entry.group else {}
    if not entry.stats.data:
        return Benchmark(case, [Round({LATENCY: (entry.stats.mean,)})], facts, "mean")
    if entry.stats.iterations < 1:
        raise unreadable(source.path, TOOL, f"{entry.fullname} has {entry.stats.iterations} iterations")
    rounds = [_round(values, entry.stats.iterations) for values in _by_process(entry, entry.stats.data)]
    return Benchmark(case, rounds, facts)


def _round(values: Sequence[float], iterations: int) -> Round:
    measured: dict[Metric, Sequence[float]] = {LATENCY: values}
    return Round(measured, iterations)


def _by_process(entry: _Entry, data: Sequence[float]) -> list[Sequence[float]]:
    sizes = entry.extra_info.get(ROUNDS)
    is_told = isinstance(sizes, list) and all(type(size) is int and size > 0 for size in sizes)
    if not isinstance(sizes, list) or not is_told or sum(sizes) != len(data):
        return [data]
    ends = [sum(sizes[: number + 1]) for number in range(len(sizes))]
    return [data[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _environment(machine: dict[str, object]) -> Environment:
    """Without the name of the host."""
    cpu = machine.get("cpu")
    cpu = cpu if isinstance(cpu, dict) else {}
    system = f"{machine.get('system', '')} {machine.get('release', '')}".strip()
    return Environment(
        cpu_model=str(cpu.get("brand_raw") or cpu.get("brand") or "unknown"),
        cores_logical=count(cpu.get("count")),
        operating_system=system or "unknown",
        python=str(machine.get("python_version", "unknown")),
    )
