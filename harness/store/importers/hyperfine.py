"""hyperfine's `--export-json`: every time is that of one process, and so a round. User and system time are means there.

With `--ignore-failure` the times of failed processes are among the others: they are no times of the command.
"""

import msgspec

from harness.model.metrics import LATENCY
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round, case_of, named
from harness.store.importers.quantities import quantity
from harness.store.importers.source import Source

TOOL = "hyperfine"
_MEMORY = quantity("peak memory", "B")


class _Result(msgspec.Struct, frozen=True):
    command: str
    mean: float
    times: tuple[float, ...] | None = None
    exit_codes: tuple[int | None, ...] | None = None
    memory_usage_byte: tuple[float, ...] | None = None
    parameters: dict[str, str | int | float] = {}


class _Document(msgspec.Struct, frozen=True):
    results: list[_Result]


def recognises(source: Source) -> bool:
    """Whether this format has such content."""
    match source.content:
        case {"results": [{"command": _}, *_]}:
            return True
    return False


def read(source: Source) -> ForeignFile:
    """Its commands. Raises StoreError for a file that is not whole."""
    return ForeignFile(TOOL, [_benchmark(one) for one in source.as_kind(_Document, TOOL).results])


def _benchmark(one: _Result) -> Benchmark:
    ours, _ = named(one.command, TOOL)
    case = case_of(ours.suite, ours.implementation, ours.params | one.parameters, TOOL)
    if not one.times:
        return Benchmark(case, [Round({LATENCY: (one.mean,)})], summary="mean")
    return Benchmark(case, [_round(one, number) for number in range(len(one.times))])


def _round(one: _Result, number: int) -> Round:
    codes = one.exit_codes or ()
    code = codes[number] if number < len(codes) else 0
    if code != 0:
        how = "a signal ended it" if code is None else f"its exit code was {code}"
        return Round(outcome="failed", reason=how)
    assert one.times is not None, "its reader has looked"
    memory = one.memory_usage_byte or ()
    more = {_MEMORY.metric: (memory[number],)} if number < len(memory) else {}
    return Round({LATENCY: (one.times[number],), **more})
