"""criterion (Rust): `target/criterion`, or one `estimates.json` in it. Its own files, and no promised format.

`sample.json` beside the estimates has the raw times, in nanoseconds of all calls of a sample; without it there is only
the mean. `benchmark.json` has the names. All samples are of one process.
"""

from pathlib import Path

import msgspec

from harness.model import Case, Metric
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round, case_of
from harness.store.importers.quantities import quantity
from harness.store.importers.source import Source, beside, checked, unreadable

TOOL = "criterion"
_ESTIMATES = "estimates.json"
_TIME = quantity("", "ns")


class _Estimate(msgspec.Struct, frozen=True):
    point_estimate: float


class _Estimates(msgspec.Struct, frozen=True):
    mean: _Estimate


class _Sample(msgspec.Struct, frozen=True):
    iters: tuple[float, ...]
    times: tuple[float, ...]


class _Names(msgspec.Struct, frozen=True):
    group_id: str
    function_id: str | None = None
    value_str: str | None = None


def recognises(source: Source) -> bool:
    """Whether this format has such content; of a folder, whether there is a newest result somewhere below."""
    if source.is_folder:
        return any(source.path.rglob(f"new/{_ESTIMATES}"))
    match source.content:
        case {"mean": {"point_estimate": _}, "median": {"point_estimate": _}}:
            return True
    return False


def read(source: Source) -> ForeignFile:
    """Its benchmarks. Raises StoreError for a file that is not whole."""
    if not source.is_folder:
        return ForeignFile(TOOL, [_benchmark(source, source.path.parent.parent)])
    found = sorted(source.path.rglob(f"new/{_ESTIMATES}"))
    return ForeignFile(TOOL, [_benchmark(beside(path, TOOL), source.path) for path in found])


def _benchmark(source: Source, top: Path) -> Benchmark:
    estimates, case = source.as_kind(_Estimates, TOOL), _case(source.path, top)
    path = source.path.with_name("sample.json")
    if not path.exists():
        mean = _TIME.of(estimates.mean.point_estimate)
        return Benchmark(case, [Round({_TIME.metric: (mean,)})], summary="mean")
    sample = checked(beside(path, TOOL).content, _Sample, path, TOOL)
    if len(sample.iters) != len(sample.times) or not all(count >= 1 for count in sample.iters):
        raise unreadable(path, TOOL, f"{len(sample.times)} times of {len(sample.iters)} numbers of calls, or none")
    calls = [_TIME.of(time / count) for time, count in zip(sample.times, sample.iters, strict=True)]
    values: dict[Metric, list[float]] = {_TIME.metric: calls}
    return Benchmark(case, [Round(values, min(sample.iters, default=1))])


def _case(path: Path, top: Path) -> Case:
    """By `benchmark.json`; without it by the folders, which criterion names after the benchmark."""
    names = path.with_name("benchmark.json")
    if not names.exists():
        folder = path.parent.parent
        return case_of(TOOL, str(folder.relative_to(top)) if folder != top else folder.name, {}, TOOL)
    told = checked(beside(names, TOOL).content, _Names, names, TOOL)
    params = {"value": told.value_str} if told.value_str is not None else {}
    return case_of(told.group_id, told.function_id or told.group_id, params, TOOL)
