"""The text of `go test -bench`, as https://go.dev/design/14313-benchmark-format has it: units stand beside the numbers.

A line a `-count`, all of one process, save in what `bitbench export` wrote: there it is a round and metric.
`/key=value` in a name is a param. The number at the end of a name is GOMAXPROCS, which Go leaves out when it is 1.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from harness.model import Case, Environment, Metric, Value
from harness.model.metrics import METRICS
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round, case_of, named
from harness.store.importers.quantities import Quantity, quantity
from harness.store.importers.source import Source, unreadable

TOOL = "go"
OWN = "Bitbench/suite="
"""How a name begins that `bitbench export` wrote."""
_LINE = re.compile(r"Benchmark(\S*)\s+(\d+)((?:\s+\S+\s+\S+)+)\s*")
_CONFIGURATION = re.compile(r"([a-z][^\sA-Z:]*):[ \t]*(.*?)\s*")
_PROCESSORS = re.compile(r"-(\d+)$")
_UNIT = re.compile(r"Unit\s+(\S+)\s+.*\bbetter=(lower|higher)\b")
_FAILED = re.compile(r"--- (FAIL|SKIP): Benchmark(\S*)")


@dataclass
class _Read:
    """What has been read so far."""

    configuration: dict[str, str] = field(default_factory=dict)
    better: dict[str, str] = field(default_factory=dict)
    lines: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=dict)
    """Iterations and the pairs of number and unit, by package and name."""
    ended: dict[tuple[str, str], str] = field(default_factory=dict)


def recognises(source: Source) -> bool:
    """Whether there is a line with a result."""
    return any(map(_LINE.fullmatch, source.text.splitlines()))


def read(source: Source) -> ForeignFile:
    """Its benchmarks; lines that are no results are passed over, as benchstat does. Raises StoreError for no number."""
    found = _Read()
    for line in source.text.splitlines():
        _take(line, found)
    known = found.configuration
    benchmarks = [_benchmark(key, lines, found, source) for key, lines in found.lines.items()]
    benchmarks += [_ended(key, how) for key, how in found.ended.items() if key not in found.lines]
    system = known.get("goos", "unknown")
    return ForeignFile(
        TOOL, benchmarks, environment=Environment(cpu_model=known.get("cpu", "unknown"), operating_system=system)
    )


def _take(line: str, found: _Read) -> None:
    package = found.configuration.get("pkg", "")
    if match := _LINE.fullmatch(line):
        found.lines.setdefault((package, match[1]), []).append((int(match[2]), match[3]))
    elif match := _UNIT.match(line):
        found.better[match[1]] = match[2]
    elif match := _FAILED.match(line):
        found.ended[package, match[2]] = "failed" if match[1] == "FAIL" else "skipped"
    elif match := _CONFIGURATION.fullmatch(line):
        found.configuration[match[1]] = match[2]


def _benchmark(key: tuple[str, str], lines: Sequence[tuple[int, str]], found: _Read, source: Source) -> Benchmark:
    values: dict[Metric, list[float]] = {}
    for _, pairs in lines:
        for number, unit in _pairs(pairs, key[1], source):
            measured = _quantity(unit, found.better.get(unit, ""))
            values.setdefault(measured.metric, []).append(measured.of(number))
    case, iterations = _case(*key), min(count for count, _ in lines)
    if not key[1].startswith(OWN):
        return Benchmark(case, [Round(values, iterations)])
    rounds = range(max(map(len, values.values())))
    by_round = [{metric: taken[n : n + 1] for metric, taken in values.items() if n < len(taken)} for n in rounds]
    return Benchmark(case, [Round(taken, iterations) for taken in by_round])


def _pairs(text: str, name: str, source: Source) -> Iterator[tuple[float, str]]:
    words = text.split()
    for number, unit in zip(words[::2], words[1::2], strict=True):
        try:
            yield float(number), unit
        except ValueError:
            raise unreadable(source.path, TOOL, f"{number!r} of Benchmark{name} is no number") from None


def _quantity(unit: str, better: str) -> Quantity:
    """Of a unit as the testing package writes it, or as somebody's own `ReportMetric` does."""
    match unit:
        case "ns/op" | "sec/op":
            return quantity("", unit)
        case "B/op" | "allocs/op":
            return quantity({"B/op": "bytes per call", "allocs/op": "allocations"}[unit], unit, "lower", counted=True)
        case "MB/s":
            return quantity("", unit)
        case _ if unit in METRICS:
            return Quantity(METRICS[unit])
    return quantity(unit, unit, "lower" if better == "lower" else "higher" if better == "higher" else "")


def _case(package: str, name: str) -> Case:
    if name.startswith(OWN):
        return named(_PROCESSORS.sub("", name.removeprefix(OWN)), TOOL)[0]
    params: dict[str, Value] = {}
    if processors := _PROCESSORS.search(name):
        params["gomaxprocs"] = int(processors[1])
        name = name[: processors.start()]
    first, *parts = name.split("/")
    words = [first]
    for part in parts:
        key, equals, value = part.partition("=")
        if equals and key:
            params[unquote(key)] = unquote(value)
        else:
            words.append(part)
    return case_of(package, "/".join(words), params, TOOL)


def _ended(key: tuple[str, str], how: str) -> Benchmark:
    reason = f"go test said {'FAIL' if how == 'failed' else 'SKIP'}"
    return Benchmark(_case(*key), [Round(outcome="failed" if how == "failed" else "skipped", reason=reason)])
