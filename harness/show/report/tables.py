"""The tables of the report: one unit a column, so that cells are bare numbers that sort as they read."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from harness.analysis.convergence import Convergence
from harness.analysis.prediction import is_off, off_prediction
from harness.analysis.results import Result, contests, varying
from harness.analysis.roofline import Standing, standing
from harness.analysis.view import View
from harness.model import known_metrics
from harness.model.metrics import Metric
from harness.model.units import figure, is_known, spread, suited
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
    for metric in sorted(known_metrics(view.stored.run).values(), key=lambda metric: metric.informative):
        if metric.name not in _FURTHER and any(result.has(metric.name) for result in members):
            columns += _metric(metric, members, view)
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


def _metric(metric: Metric, members: Sequence[Result], view: View) -> list[tuple[Heading, Show]]:
    """The metric's column, and what belongs beside it: intervals and speed-ups, or the prediction."""
    values = [summary.centre for result in members if (summary := result.summary(metric.name))]
    typical = statistics.median([abs(value) for value in values if math.isfinite(value)] or [1.0])
    size, unit = suited(typical, metric.unit)
    heading = Heading(metric.label, "" if unit == "1" else unit.replace("us", "µs"))

    def show(result: Result) -> str:
        summary = result.summary(metric.name)
        if not summary or (metric.name == "latency" and not is_known(summary.centre, summary.hi)):
            return ""  # the column beside it says so
        return figure(summary.centre / size, 4 if metric.name == "latency" else 3)

    columns: list[tuple[Heading, Show]] = [(heading, show)]
    if metric.name == "latency":
        columns.append((Heading("±"), _latency_spread))
        columns += [column for base in view.baselines for column in _speedup(view, base)]
        columns += _standing(view)
        columns += _effort(view)
    if metric.name == "error_sqnr":
        columns += [(Heading("predicted", "dB"), _predicted), (Heading("off by", "dB"), _off)]
    return columns


def _latency_spread(result: Result) -> str:
    summary = result.summary("latency")
    return spread(summary.centre, summary.hi) if summary else ""


def _speedup(view: View, base: str) -> list[tuple[Heading, Show]]:
    def ratio(result: Result) -> str:
        found = view.ratios.get((result.name, base))
        known = found and found.ratio > 0 and is_known(found.ratio, found.hi)
        return f"{figure(1 / found.ratio, 3)}×" if found and known else ""

    def bounds(result: Result) -> str:
        found = view.ratios.get((result.name, base))
        own = result.case.implementation == base
        return spread(found.ratio, found.hi) if found and found.ratio > 0 and not own else ""

    return [(Heading(f"vs {base}"), ratio), (Heading("±"), bounds)]


def _standing(view: View) -> list[tuple[Heading, Show]]:
    """What the latency means in bytes and operations, and how near that is to what the machine can do."""

    def column(heading: Heading, show: Callable[[Standing], str]) -> tuple[Heading, Show]:
        return heading, lambda result: show(found) if (found := standing(result, view.stored.run.ceilings)) else ""

    return [
        column(Heading("reads", "GB/s"), lambda found: figure(found.bandwidth / 1e9, 3)),
        column(Heading("computes", "GFLOP/s"), lambda found: figure(found.throughput / 1e9, 3)),
        column(Heading("intensity", "FLOP/B"), lambda found: figure(found.intensity, 3)),
        column(Heading("of ceiling", "%"), lambda found: figure(100 * found.share, 2) if found.ceiling else ""),
        column(Heading("ceiling", words=True), lambda found: found.ceiling),
    ]


def _effort(view: View) -> list[tuple[Heading, Show]]:
    """Rounds and samples taken, and how the contest ended; nothing where the rounds were fixed beforehand."""

    def column(heading: Heading, show: Callable[[Convergence], str]) -> tuple[Heading, Show]:
        return heading, lambda result: show(found) if (found := view.reached.get(result.case)) and found.state else ""

    return [
        column(Heading("rounds"), lambda found: str(found.rounds)),
        column(Heading("samples"), lambda found: str(found.samples)),
        column(Heading("ended", words=True), lambda found: found.state),
    ]


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
        self._won: dict[tuple[str, str], list[str]] = {}
        for card in cards:
            for answer in card.answers:
                for name in () if answer.alike else answer.winners:
                    word = "undecided" if answer.undecided else answer.question.lower()
                    self._won.setdefault((card.contest, name), []).append(word)

    def words(self, result: Result) -> str:
        """What is said of `result`."""
        words = list(self._won.get((result.contest, result.case.implementation), ()))
        words += ["! off prediction"] * is_off(result)
        missing = len(result.measured) < self._rounds and not result.aim.precision
        return ", ".join(words + [f"{len(result.measured)} of {self._rounds} rounds"] * missing)

    def marked(self, result: Result) -> bool:
        """Whether it alone is the fastest."""
        return FASTEST.lower() in self._won.get((result.contest, result.case.implementation), ())


def _latency(result: Result) -> float:
    summary = result.summary("latency")
    return summary.centre if summary and not math.isnan(summary.centre) else math.inf
