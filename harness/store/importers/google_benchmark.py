"""Google Benchmark's `--benchmark_out` in JSON: a row a repetition, each the mean over its iterations, in its own unit.

Aggregates stand among the rows, and are left out where there are raw rows: the one of `cv` bears a unit of time and is
a share. A row of an error says 0 seconds. All repetitions are of one process, save in what `bitbench export` wrote:
there a row is a round.
"""

import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from harness.model import Case, Environment, Metric, Value
from harness.model.metrics import METRICS
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round, case_of, own_case
from harness.store.importers.quantities import quantity
from harness.store.importers.source import Source, checked, utc

TOOL = "google-benchmark"
_FIELDS = (
    *("name", "run_name", "run_type", "family_index", "per_family_instance_index", "repetitions", "repetition_index"),
    *("threads", "iterations", "real_time", "cpu_time", "time_unit", "label", "error_occurred", "error_message"),
    *("skipped", "skip_message", "aggregate_name", "aggregate_unit"),
)
_RATES = {"bytes_per_second": "B/s", "items_per_second": "1/s"}
_OF_MEASURING = ("repeats", "iterations", "min_time", "min_warmup_time")
"""Parts of a name that say how it is measured, and not what."""
_PARAM = re.compile(r"([^\W\d]\w*):([^:].*)")


class _Row(msgspec.Struct, frozen=True):
    name: str
    run_name: str = ""
    run_type: str = "iteration"
    aggregate_name: str = ""
    iterations: float = 1
    real_time: float = math.nan
    cpu_time: float = math.nan
    time_unit: str = "ns"
    error_occurred: bool = False
    error_message: str = ""
    skipped: bool = False
    skip_message: str = ""


class _Context(msgspec.Struct, frozen=True):
    date: str = ""
    num_cpus: int = 0
    library_build_type: str = ""
    library_version: str = ""


class _Document(msgspec.Struct, frozen=True):
    context: _Context
    benchmarks: list[dict[str, object]]


def recognises(source: Source) -> bool:
    """Whether this format has such content."""
    return isinstance(source.content, dict) and {"context", "benchmarks"} <= source.content.keys()


def read(source: Source) -> ForeignFile:
    """Its benchmarks. Raises StoreError for a file that is not whole."""
    document = source.as_kind(_Document, TOOL)
    groups: dict[str, list[tuple[_Row, Mapping[str, object]]]] = {}
    for number, said in enumerate(document.benchmarks):
        row = checked(said, _Row, source.path, f"{TOOL} (row {number})")
        groups.setdefault(row.run_name or row.name, []).append((row, said))
    context = document.context
    return ForeignFile(
        TOOL,
        [one for name, rows in groups.items() if (one := _benchmark(name, rows, context.library_build_type))],
        context.library_version.removeprefix("v"),
        utc(context.date),
        Environment(cores_logical=max(context.num_cpus, 0)),
    )


def _benchmark(name: str, rows: Sequence[tuple[_Row, Mapping[str, object]]], build: str) -> Benchmark | None:
    """None for the group of an aggregate alone that is no mean, such as a complexity."""
    own = own_case(name)
    case = own or _case(name)
    facts: dict[str, Value] = {"library_build": build} if build else {}
    raw = [(row, said) for row, said in rows if row.run_type != "aggregate"]
    if not raw:
        means = [(row, said) for row, said in rows if row.aggregate_name == "mean"]
        return Benchmark(case, [_round(means[:1])], facts, "mean") if means else None
    groups = [[one] for one in raw] if own else [raw]
    return Benchmark(case, [_round(group, is_own=own is not None) for group in groups], facts)


def _case(name: str) -> Case:
    """`BM_a/n:8/64` has the params n=8 and arg1=64; a part that is neither belongs to the implementation."""
    first, *parts = name.split("/")
    words, params = [first], dict[str, Value]()
    for number, part in enumerate(parts):
        match = _PARAM.fullmatch(part)
        if match and match[1] not in _OF_MEASURING:
            params[match[1]] = match[2]
        elif not match and re.fullmatch(r"-?\d+", part):
            params[f"arg{number}"] = part
        elif not match:
            words.append(part)
    return case_of(TOOL, "/".join(words), params, TOOL)


def _round(rows: Sequence[tuple[_Row, Mapping[str, object]]], *, is_own: bool = False) -> Round:
    for row, _ in rows:
        if row.error_occurred:
            return Round(outcome="failed", reason=f"its benchmark said: {row.error_message or 'an error'}")
        if row.skipped:
            return Round(outcome="skipped", reason=f"its benchmark said: {row.skip_message or 'skipped'}")
    values: dict[Metric, list[float]] = {}
    for row, said in rows:
        time = quantity("", row.time_unit)
        values.setdefault(time.metric, []).append(time.of(row.real_time))
        if not math.isnan(row.cpu_time):
            values.setdefault(_CPU, []).append(time.of(row.cpu_time))
        for name, value in said.items():
            if name not in _FIELDS and isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(_counter(name, is_own), []).append(float(value))
    return Round(values, rows[0][0].iterations)


def _counter(name: str, is_own: bool) -> Metric:
    """What a counter counts; one of ours is the metric of its name."""
    if is_own and name in METRICS:
        return METRICS[name]
    return quantity(name, _RATES.get(name, "")).metric


_CPU = msgspec.structs.replace(quantity("cpu time", "s").metric, informative=True)
