"""The tables of the report: one unit a column, so that cells are bare numbers that sort as they read."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import NamedTuple

from harness.analysis.columns import ResultColumn, effort_columns, metric_columns, speedup_columns, standing_columns
from harness.analysis.prediction import is_off, off_prediction
from harness.analysis.results import Result, contests, varying
from harness.analysis.view import View
from harness.model import known_metrics
from harness.model.metrics import Paired
from harness.model.units import NOT_KNOWN, figure, suited
from harness.show.ended import ended_early
from harness.show.libraries import origins
from harness.show.report.answers.questions import FASTEST, QUESTIONS, Card
from harness.show.table import Table

_FURTHER = {
    "graphs", "graph_breaks", "code_bytes",
    "peak_rss", "reserved_bytes", "error_relative", "error_cosine", "error_max_abs", "error_mse",
    "error_worst_channel_sqnr", "agreement_relative", "agreement_max_abs",
}  # fmt: skip
"""Metrics that only the data file has: they say in other words what the table says."""


@dataclass(frozen=True)
class Heading:
    """A column's heading, the unit of its cells, and whether they are words or numbers."""

    text: str
    unit: str = ""
    words: bool = False


class SheetRow(NamedTuple):
    """The cells of one row, and whether it is to be marked as the winner of its contest."""

    cells: Sequence[str]
    marked: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table: blocks of rows (a contest each). `left_out` rows are not shown."""

    name: str
    title: str
    note: str
    headings: tuple[Heading, ...]
    blocks: Sequence[Sequence[SheetRow]]
    left_out: int = 0

    @property
    def shown(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.blocks))


Show = Callable[[Result], str]


def results_sheet(view: View, suite: str, cards: Sequence[Card], rows: int) -> Sheet:
    """The first `rows` cases of one suite, contest by contest, the fastest first, with what `cards` say of them."""
    members = [result for result in view.results if result.case.suite == suite and result.measured]
    shared, differing = varying(members)
    notes = _Notes(cards, max((len(result.measured) for result in members), default=0))
    columns = [_words("implementation", lambda result: result.case.implementation), _words("notes", notes.words)]
    columns += [_param(name, members) for name in differing]
    columns += _scheme_parts(members)
    known = sorted(known_metrics(view.stored.run).values(), key=lambda metric: metric.informative)
    for column in metric_columns(one for one in known if one.name not in _FURTHER):
        if any(result.has(column.key) for result in members):
            columns += _metric(column, members, view)
    columns = [(heading, show) for heading, show in columns if any(map(show, members))]
    blocks = [
        [
            SheetRow([show(result) for _, show in columns], notes.marked(result))
            for result in sorted(group, key=_latency)
        ]
        for group in _limited(_groups(members), rows)
    ]
    return Sheet(
        name=f"results-{suite}",
        title=suite,
        note=f"All with {', '.join(f'{key} {value}' for key, value in shared.items())}." if shared else "",
        headings=tuple(heading for heading, _ in columns),
        blocks=blocks,
        left_out=len(members) - sum(map(len, blocks)),
    )


def answers_sheet(name: str, cards: Sequence[Card], rows: int) -> Sheet:
    """The three answers, a row a contest: for when there are too many for a card each."""
    headings = (Heading("contest", words=True), *(Heading(q.lower(), words=True) for q in QUESTIONS))
    shown = [
        SheetRow([card.title, *(f"{a.verdict} {a.amount}".strip() for a in card.answers)]) for card in cards[:rows]
    ]
    return Sheet(name, "Every contest", "", headings, [shown], len(cards) - len(shown))


def ended_sheet(view: View) -> Sheet:
    """What was not measured, or not in every round, and why; equal reasons of one implementation are counted."""
    return _sheet("ended", "Not measured", ended_early(view.results))


def origins_sheet(view: View) -> Sheet:
    """Whose code ran: the libraries behind peers."""
    return _sheet("origins", "Other people’s libraries", origins(view.results))


def _sheet(name: str, title: str, table: Table) -> Sheet:
    headings = tuple(Heading(column.heading, words=column.align == "left") for column in table.columns)
    return Sheet(name, title, "", headings, [[SheetRow(list(map(str, row))) for row in table.rows]])


def _groups(members: Sequence[Result]) -> list[list[Result]]:
    """The contests; all in one group where no contest has two members."""
    groups = list(contests(members).values())
    return groups if max(map(len, groups), default=0) > 1 else [list(members)]


def _limited(groups: Sequence[list[Result]], rows: int) -> list[list[Result]]:
    """The first `rows` results, by group."""
    counts = accumulate(map(len, groups), initial=0)
    return [group[: rows - before] for group, before in zip(groups, counts, strict=False) if before < rows]


def _words(heading: str, show: Show) -> tuple[Heading, Show]:
    return Heading(heading, words=True), show


def _param(name: str, members: Sequence[Result]) -> tuple[Heading, Show]:
    words = any(isinstance(result.case.params.get(name), str) for result in members)
    return Heading(name, words=words), lambda result: str(result.case.params.get(name, ""))


def _scheme_parts(members: Sequence[Result]) -> list[tuple[Heading, Show]]:
    """What the scheme's name stands for, to sort by, where the suite is about schemes."""
    if not any("predicted_sqnr" in result.facts for result in members):
        return []
    return [(Heading(name.replace("_", " ")), _fact(name)) for name in ("weight_bits", "activation_bits", "groups")]


def _fact(name: str) -> Show:
    return lambda result: f"{float(result.facts[name]):g}" if name in result.facts else ""


def _metric(column: ResultColumn, members: Sequence[Result], view: View) -> list[tuple[Heading, Show]]:
    """The metric's column, and what belongs beside it: intervals and speed-ups, or the prediction."""
    summaries = (result.summary(column.key) for result in members)
    values = [one.centre for one in summaries if one and math.isfinite(one.centre)]
    size, unit = suited(statistics.median(map(abs, values)) if values else 1.0, column.unit)
    heading = Heading(column.heading, "" if unit == "1" else unit.replace("us", "µs"))
    is_latency, declared = column.key == "latency", members[0].known[column.key]
    digits = 4 if is_latency or isinstance(declared, Paired) else 3

    def show(result: Result) -> str:
        reading = column.read(result)
        if reading is None or (is_latency and reading.spread == NOT_KNOWN):
            return ""  # the column beside it says so
        return figure(float(reading.value) / size, digits)

    columns: list[tuple[Heading, Show]] = [(heading, show)]
    if declared.has_interval and not declared.informative:
        columns.append((Heading("±"), partial(_spread, column)))
    if is_latency:
        columns += [shown for one in speedup_columns(view, view.baselines) for shown in _speedup(one)]
        columns += map(_derived, standing_columns(view)) if view.stored.run.ceilings else ()
        columns += _effort(view) if any(found.state for found in view.reached.values()) else ()
    if column.key == "error_sqnr":
        columns += [(Heading("predicted", "dB"), _predicted), (Heading("off by", "dB"), _off)]
    return columns


def _number(column: ResultColumn, result: Result) -> float:
    reading = column.read(result)
    return float(reading.value) if reading else math.nan


def _spread(column: ResultColumn, result: Result) -> str:
    reading = column.read(result)
    return reading.spread if reading else ""


def _speedup(column: ResultColumn) -> list[tuple[Heading, Show]]:
    def ratio(result: Result) -> str:
        value = _number(column, result)
        return "" if math.isnan(value) or _spread(column, result) == NOT_KNOWN else f"{figure(value, column.digits)}×"

    return [(Heading(column.heading), ratio), (Heading("±"), partial(_spread, column))]


def _derived(column: ResultColumn) -> tuple[Heading, Show]:
    """A column of words, or of numbers in the unit that people read them in."""

    def show(result: Result) -> str:
        reading = column.read(result)
        if reading is None or isinstance(reading.value, str):
            return reading.text if reading else ""
        return "" if math.isnan(reading.value) else figure(reading.value / column.size, column.digits)

    return Heading(column.heading, column.unit_for_people, words=not column.unit), show


def _effort(view: View) -> list[tuple[Heading, Show]]:
    """Rounds and samples taken, and how the contest ended; nothing where the rounds were fixed beforehand."""
    effort = {column.key: column for column in effort_columns(view)}

    def shown(key: str) -> tuple[Heading, Show]:
        def show(result: Result) -> str:
            reading = effort[key].read(result) if effort["state"].read(result) else None
            return reading.text if reading else ""

        return Heading(effort[key].heading, words=not effort[key].unit), show

    return [shown(key) for key in ("rounds", "samples", "state")]


def _predicted(result: Result) -> str:
    predicted = result.facts.get("predicted_sqnr")
    return figure(float(predicted), 3) if predicted is not None else ""


def _off(result: Result) -> str:
    off = off_prediction(result)
    return "" if math.isnan(off) else f"{off:+.2f}".replace("-", "−")


class _Notes:
    """Words about a case: which questions it wins, and doubts about it."""

    def __init__(self, cards: Sequence[Card], rounds: int) -> None:
        self._rounds = rounds
        self._cards = {card.contest: card for card in cards}

    def words(self, result: Result) -> str:
        """What is said of `result`."""
        words = self._won(result)
        words += ["! off prediction"] * is_off(result)
        missing = len(result.measured) < self._rounds and not result.aim.precision
        return ", ".join(words + [f"{len(result.measured)} of {self._rounds} rounds"] * missing)

    def marked(self, result: Result) -> bool:
        """Whether it alone is the fastest."""
        return FASTEST.lower() in self._won(result)

    def _won(self, result: Result) -> list[str]:
        card = self._cards.get(result.contest)
        won = (
            (one for one in card.answers if result.case.implementation in one.winners and not one.alike) if card else ()
        )
        return ["undecided" if answer.undecided else answer.question.lower() for answer in won]


def _latency(result: Result) -> float:
    summary = result.summary("latency")
    return summary.centre if summary and not math.isnan(summary.centre) else math.inf
