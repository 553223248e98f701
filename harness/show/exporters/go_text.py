"""For benchstat: the text of `go test -bench`, a line a round and metric.

The value is that of the round, its median: benchstat takes every line for an independent one, and samples of one
process are not. A name is `BenchmarkBitbench/suite=S/implementation=I/key=value`, with escapes as in an address.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

from harness.analysis.results import Result
from harness.model import Metric
from harness.model.metrics import LATENCY
from harness.show.exporters.selection import Selection, Written

TOOL = "go"
_PROCESSORS = re.compile(r"-(\d+)$")


def write(selection: Selection) -> Written:
    """One text."""
    at = selection.run.environment
    head = [f"goos: {at.operating_system.partition(' ')[0].lower()}", f"cpu: {at.cpu_model}"]
    metrics = {metric.name: metric for _, metric, _ in selection.values() if metric.name != LATENCY.name}
    head += [f"Unit {_unit(metric)} better={metric.better}" for metric in metrics.values()]
    lines = [line for result, metric, _ in selection.values() for line in _lines(result, metric)]
    return Written({"": "\n".join([*head, "", *lines, ""])} if lines else {})


def _lines(result: Result, metric: Metric) -> Iterator[str]:
    for taken in result.rounds(metric.name).values():
        value = metric.of_round(taken.values)
        yield f"{_name(result)} {taken.iterations} {_number(value, metric)} {_unit(metric)}"


def _name(result: Result) -> str:
    """A number at the end would be taken for GOMAXPROCS: its dash is escaped."""
    name = result.name.replace(" ", "%20")
    return "BenchmarkBitbench/suite=" + _PROCESSORS.sub(r"%2D\1", name)


def _unit(metric: Metric) -> str:
    """Other metrics bear their names, as a line has no other place for them."""
    return "ns/op" if metric.name == LATENCY.name else metric.name


def _number(value: float, metric: Metric) -> str:
    """Nanoseconds are written with all the digits of the seconds, and no other."""
    exact = Decimal(repr(value))
    return format(exact.scaleb(9) if metric.name == LATENCY.name and exact.is_finite() else exact, "f")
