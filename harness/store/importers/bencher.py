"""Bencher Metric Format, by https://bencher.dev/docs/reference/bencher-metric-format: a value a benchmark and measure.

The unit is the measure's, and not in the file: `latency` is in nanoseconds and `throughput` in operations a second, as
in every new project of Bencher. What another measure counts is not known: it is shown and not judged.
"""

import msgspec

from harness.model import Metric
from harness.model.metrics import METRICS
from harness.store.importers.benchmark import Benchmark, ForeignFile, Round, named
from harness.store.importers.quantities import Quantity, quantity
from harness.store.importers.source import Source

TOOL = "bencher"


class _Value(msgspec.Struct, frozen=True):
    value: float


def recognises(source: Source) -> bool:
    """Whether every benchmark has measures with a value. Asked last: it is the shape of a name, and no more."""
    content = source.content
    if not isinstance(content, dict) or not content:
        return False
    return all(isinstance(measures, dict) and measures and _have_values(measures) for measures in content.values())


def _have_values(measures: dict[str, object]) -> bool:
    return all(isinstance(value, dict) and "value" in value for value in measures.values())


def read(source: Source) -> ForeignFile:
    """Its benchmarks. Raises StoreError for a file that is not whole."""
    content = source.as_kind(dict[str, dict[str, _Value]], TOOL)
    return ForeignFile(TOOL, [_benchmark(name, measures) for name, measures in content.items()])


def _benchmark(name: str, measures: dict[str, _Value]) -> Benchmark:
    values: dict[Metric, tuple[float]] = {}
    for measure, said in measures.items():
        measured = _quantity(measure)
        values[measured.metric] = (measured.of(said.value),)
    return Benchmark(named(name.removesuffix("-bencher-ignore"), TOOL)[0], [Round(values)], summary="mean")


def _quantity(measure: str) -> Quantity:
    match measure:
        case "latency":
            return quantity("", "ns")
        case "throughput":
            return quantity("throughput", "ops/s")
        case _ if measure in METRICS:
            return Quantity(METRICS[measure])
    return quantity(measure, "")
