"""Latencies side by side: one unit a table, decimal points below each other, a bar of the speed, who is fastest."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from harness.analysis.ranking import fastest, has_known_latency, latency
from harness.analysis.results import Result
from harness.analysis.words import in_size
from harness.model.units import suited
from harness.show.table import Column, bar

Shown: TypeAlias = tuple[Column, Callable[[Result], str]]
"""A column, and what it says of a case."""

_LATENCY = Column("latency", "right")
LEGEND = "fastest: of those that quantise; undecided: not told apart from the fastest"
BARS_LEGEND = "speed: calls a second, of which the table's fastest has the longest bar"


class Latencies(NamedTuple):
    """The latencies of one table: their unit, and by name of case the text, the bar, and what is said of it."""

    unit: str
    texts: Mapping[str, str]
    bars: Mapping[str, str]
    notes: Mapping[str, str]


def latencies(members: Sequence[Result], *, rivals: bool) -> Latencies:
    """Of the cases of one table; bars and notes only where they are `rivals`."""
    timed = [result for result in members if math.isfinite(latency(result)) and latency(result) > 0]
    size, unit = suited(statistics.median(map(latency, timed)), "s") if timed else (1.0, "")
    known = [result for result in timed if has_known_latency(result)]
    least = min(map(latency, known), default=math.nan)
    ahead = fastest(members) if rivals else []
    word = "undecided" if len(ahead) > 1 else "fastest"
    bars = {result.name: bar(least / latency(result)) for result in known} if rivals and len(timed) > 1 else {}
    return Latencies(unit, _aligned(members, size), bars, {result.name: word for result in ahead})


def columns(tables: Sequence[Latencies], *, bars: bool) -> list[Shown]:
    """Latency, with `bars` the speed, and who is fastest, of all these tables."""
    chosen = [_looked_up(_LATENCY, [one.texts for one in tables])]
    chosen += [_looked_up(Column("speed"), [one.bars for one in tables])] * bars
    return [*chosen, _looked_up(Column("note"), [one.notes for one in tables])]


def in_unit(shown: Sequence[Shown], unit: str) -> list[Shown]:
    """The columns of one table, with the unit that its latencies have."""
    return [(replace(column, unit=unit) if column == _LATENCY else column, show) for column, show in shown]


def _looked_up(column: Column, words: Sequence[Mapping[str, str]]) -> Shown:
    by_name = {name: word for some in words for name, word in some.items()}
    return column, lambda result: by_name.get(result.name, "")


def _aligned(members: Sequence[Result], size: float) -> dict[str, str]:
    """Number and interval of each, padded so that decimal points and per cents stand below each other."""
    summaries = {result.name: result.summary("latency") for result in members}
    parts = {name: in_size(summary, size) for name, summary in summaries.items() if summary}
    fraction = max((_fraction(number) for number, _ in parts.values()), default=0)
    widest = max((len(spread) for _, spread in parts.values()), default=0)
    return {
        name: f"{number}{' ' * (fraction - _fraction(number))} {spread:>{widest}}"
        for name, (number, spread) in parts.items()
    }


def _fraction(number: str) -> int:
    """Characters from the decimal point on."""
    return len(number) - len(number.partition(".")[0])
