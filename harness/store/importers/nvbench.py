"""NVBench's `--json`: a state is a case, its axis values are its params, its time is that of the GPU, in seconds.

The times of single samples lie in files beside it, as `--jsonbin` writes them: 32-bit floats, little-endian. Without
them there is only the mean. All samples are of one process.
"""

import struct
from pathlib import Path

import msgspec

from harness.errors import StoreError
from harness.model import Case, Environment, Value
from harness.model.metrics import LATENCY
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round, case_of
from harness.store.importers.source import Source, unreadable

TOOL = "nvbench"
_MEAN = "nv/cold/time/gpu/mean"
_SAMPLES = "nv/json/bin:nv/cold/sample_times"


class _Named(msgspec.Struct, frozen=True):
    name: str
    value: str | int | float | None = None


class _Summary(msgspec.Struct, frozen=True):
    tag: str
    data: list[_Named]

    def value(self, name: str) -> str:
        """As text: newer versions write numbers as such; empty where there is none."""
        return next((str(one.value) for one in self.data if one.name == name and one.value is not None), "")


class _State(msgspec.Struct, frozen=True):
    device: int | None = None
    axis_values: list[_Named] | None = None
    summaries: list[_Summary] | None = None
    is_skipped: bool = False
    skip_reason: str = ""


class _Benchmark(msgspec.Struct, frozen=True):
    name: str
    states: list[_State]
    devices: list[int] | None = None


class _Device(msgspec.Struct, frozen=True):
    id: int
    name: str


class _Version(msgspec.Struct, frozen=True):
    string: str = ""


class _Meta(msgspec.Struct, frozen=True):
    version: dict[str, _Version] = {}


class _Document(msgspec.Struct, frozen=True):
    benchmarks: list[_Benchmark]
    devices: list[_Device] = []
    meta: _Meta = _Meta()


def recognises(source: Source) -> bool:
    """Whether this format has such content."""
    match source.content:
        case {"benchmarks": [{"states": _}, *_], "devices": _}:
            return True
    return False


def read(source: Source) -> ForeignFile:
    """Its benchmarks. Raises StoreError for a file that is not whole, or whose samples are not where it says."""
    document = source.as_kind(_Document, TOOL)
    benchmarks = [_benchmark(_case(one, state), state, source) for one in document.benchmarks for state in one.states]
    used = {state.device for one in document.benchmarks for state in one.states}
    names = sorted({device.name for device in document.devices if device.id in used})
    version = document.meta.version.get("nvbench", _Version()).string
    return ForeignFile(TOOL, benchmarks, version, environment=Environment(gpu=", ".join(names) or "none"))


def _case(one: _Benchmark, state: _State) -> Case:
    params: dict[str, Value] = {axis.name: _plain(axis.value) for axis in state.axis_values or ()}
    if len(one.devices or ()) > 1 and state.device is not None:
        params["device"] = state.device
    return case_of(TOOL, one.name, params, TOOL)


def _plain(value: str | int | float | None) -> Value:
    return "" if value is None else value


def _benchmark(case: Case, state: _State, source: Source) -> Benchmark:
    if state.is_skipped:
        return Benchmark(case, [Round(outcome="skipped", reason=f"nvbench said: {state.skip_reason or 'skipped'}")])
    summaries = {one.tag: one for one in state.summaries or ()}
    if _SAMPLES in summaries:
        return Benchmark(case, [Round({LATENCY: _samples(summaries[_SAMPLES], source)})])
    if _MEAN not in summaries:
        return Benchmark(case, [Round(outcome="failed", reason=f"it has no {_MEAN}")])
    text = summaries[_MEAN].value("value")
    try:
        return Benchmark(case, [Round({LATENCY: (float(text),)})], summary="mean")
    except ValueError:
        why = f"{_MEAN} of {case.implementation} is {text!r}, which is no number"
        raise unreadable(source.path, TOOL, why) from None


def _samples(summary: _Summary, source: Source) -> tuple[float, ...]:
    path = source.path.parent / Path(summary.value("filename"))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"cannot read {path}: {error.strerror}; {source.path} names it as its samples, so copy it there"
        ) from error
    size = summary.value("size")
    if str(len(data) // 4) != size or len(data) % 4:
        raise unreadable(source.path, TOOL, f"{path.name} has {len(data)} bytes and should have {size} samples of 4")
    return struct.unpack(f"<{size}f", data)
