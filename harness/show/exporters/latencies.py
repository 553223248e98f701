"""Latencies alone, for formats that know no other metric."""

from collections.abc import Iterator, Mapping, Sequence

from harness.analysis.results import Result
from harness.model import Measurement
from harness.model.metrics import LATENCY
from harness.show.exporters.selection import Selection


def latencies(selection: Selection) -> Iterator[tuple[Result, Mapping[int, Measurement]]]:
    """Every result that was timed, with its raw values by round, without voided blocks."""
    if LATENCY.name in selection.metrics:
        yield from ((one, one.rounds(LATENCY.name)) for one in selection.results if one.has(LATENCY.name))


def untimed(selection: Selection, tool: str) -> list[str]:
    """In words: what is left out because `tool` knows nothing but times."""
    others = {metric.name for _, metric, _ in selection.values()} - {LATENCY.name}
    told = [f"{', '.join(sorted(others))}: {tool} has times only"] if others else []
    missing: Sequence[Result] = [one for one in selection.results if not one.has(LATENCY.name)]
    return [*told, *(f"{one.name}: it has no latency" for one in missing)]
