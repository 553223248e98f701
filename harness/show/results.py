"""What a stored run says: a table a contest for people, tidy rows for machines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from harness.analysis import convergence
from harness.analysis.columns import (
    ResultColumn,
    difference_columns,
    effort_columns,
    metric_columns,
    speedup_columns,
    standing_columns,
)
from harness.analysis.prediction import is_off
from harness.analysis.results import Result, contests, varying
from harness.analysis.view import View
from harness.analysis.voided import told
from harness.analysis.whole_model.step import steps
from harness.estimators.looks import CONFIDENCE
from harness.model import Paired, Params
from harness.show import latency_column
from harness.show.ended import ended_early
from harness.show.latency_column import Shown
from harness.show.libraries import origins
from harness.show.model.steps import blocks_of, untold
from harness.show.prediction import OFF_PREDICTION, against_prediction
from harness.show.run_header import describe_extensions, describe_machine, describe_run
from harness.show.table import Block, Cell, Column, Table, html, render

_OF_CEILING = "of ceiling: of what this machine was measured to read or to compute at most, the nearer of the two"
_OF_UNITS = (
    "±: half the 95 % confidence interval over units; vs: mean difference unit by unit with its interval, and whether"
    " it is beyond the metric's tolerance"
)
_LEGENDS = {
    "latency": "±: 95 % confidence interval over rounds; vs: speed-up, paired by round, above 1 is faster",
    "error_sqnr": "error SQNR: the scheme against full precision",
    "agreement_sqnr": "agree SQNR: the implementation against the contract",
    "input_gradient_cosine": "gradient: cosine with the full-precision twin's",
}


@dataclass(frozen=True, repr=False)
class Page:
    """A view for notebooks: what `bitbench show` prints, as HTML or as text."""

    view: View

    def __repr__(self) -> str:
        return render(page(self.view), "text")

    def _repr_html_(self) -> str:
        return html(page(self.view))


def page(view: View, *, bars: bool = True) -> list[Block]:
    """For people: machine, tables, whose code ran, what was not measured and why, doubts; with `bars` of the speed."""
    top = (describe_run(view.stored.run), describe_machine(view.stored.run))
    blocks: list[Block] = ["\n".join((*top, *describe_extensions(view.stored)))]
    of_models = steps(view.stored, view.results)
    blocks += [*untold(view.stored.run.models, of_models), *blocks_of(of_models, view.stored.run.ceilings)]
    for suite in dict.fromkeys(result.case.suite for result in view.results):
        blocks += _suite(view, suite, [result for result in view.results if result.case.suite == suite], bars)
    legend = [_LEGENDS[metric.name] for metric in view.metrics if metric.name in _LEGENDS]
    legend += [_OF_UNITS] * any(isinstance(metric, Paired) for metric in view.metrics)
    if view.is_timed:
        legend += [latency_column.LEGEND, *[latency_column.BARS_LEGEND] * bars]
    legend += [_OF_CEILING] * bool(view.stored.run.ceilings)
    legend += [convergence.LEGEND] * any(found.state for found in view.reached.values())
    blocks += ["\n".join(legend)] * bool(legend)
    blocks += [table for table in (origins(view.results), ended_early(view.results)) if table.rows]
    doubts = warnings(view)
    return [*blocks, "\n".join(["warnings:", *(f"  {doubt}" for doubt in doubts)])] if doubts else blocks


def tidy(view: View) -> Table:
    """For machines: one row a case and metric, in base units; a case without any has one row with its reason.

    `rounds` counts the independent values behind the interval; `n` is a layer's number of output features.
    """
    params = [*varying(view.results)[0], *varying(view.results)[1]]
    headings = ["suite", "case", "implementation", *params, "outcome", "reason"]
    headings += ["metric", "unit", "centre", "lo", "hi", "confidence", "rounds", "state", "samples", "precision"]
    rates = [column for column in standing_columns(view) if column.unit] if view.is_timed else []
    differences = [column for metric in view.metrics for column in difference_columns(view, metric)]
    columns = [*metric_columns(view.metrics), *differences, *rates, *speedup_columns(view, view.baselines)]
    reached = [column for column in effort_columns(view) if column.key in ("state", "samples", "precision")]
    rows = []
    for result in view.results:
        case, end = result.case, result.end
        head: list[Cell] = [case.suite, result.name, case.implementation, *(case.params.get(name) for name in params)]
        head += [end.outcome, end.reason] if end else ["measured", ""]
        rows += [[*head, *numbers] for numbers in _numbers(columns, reached, result) or [[None] * 10]]
    return Table("", tuple(map(Column, headings)), rows)


def warnings(view: View) -> list[str]:
    """Every doubt about the run or one of the numbers shown, each once, with how many cases share it."""
    doubts = Counter(view.stored.doubts)
    for result in view.results:
        texts = {text for record in result.records for text in record.warnings}
        summaries = (result.summary(metric.name) for metric in view.metrics)
        texts.update(text for summary in summaries if summary for text in summary.warnings)
        doubts.update(sorted(texts))
    if lost := told(view.stored.records):
        doubts[lost] = 1
    for suite, aim in view.stored.run.aims.items():
        if short := convergence.advice((one for case, one in view.reached.items() if case.suite == suite), aim):
            doubts[f"{suite}: {short}"] = 1
    if any(map(is_off, view.results)):
        doubts[OFF_PREDICTION] = 1
    return [text if count == 1 else f"{text} ({count} cases)" for text, count in doubts.items()]


def _suite(view: View, suite: str, members: Sequence[Result], bars: bool) -> list[Block]:
    """A table a contest; one table for all where no contest has two members."""
    shared, differing = varying(members)
    rounds = max(len(result.measured) for result in members)
    head = f"{suite}: {_count(len(members), 'case')}, {_count(rounds, 'round')}{convergence.at_most(members[0].aim)}"
    head = f"{head}, all with {_words(shared)}" if shared else head
    if rounds == 0:
        return [head]
    groups = list(contests(members).values())
    rivals = max(map(len, groups)) > 1
    if not rivals and _only_errors(view, members) and all("predicted_sqnr" in result.facts for result in members):
        return [head, against_prediction(members, differing)]
    if not rivals:
        return [head, *_lists(view, members, rounds, bars)]
    timed = [latency_column.latencies(group, rivals=True) for group in groups]
    columns = _filled([_IMPLEMENTATION, *_metric_columns(view, timed, bars), *_effort(view, rounds)], members)
    titles = [_title(group[0].case.params, differing) for group in groups]
    tables = [
        _table(title, latency_column.in_unit(columns, one.unit), group)
        for title, one, group in zip(titles, timed, groups, strict=True)
    ]
    return [head, *(table for table in tables if table.rows)]


def _lists(view: View, members: Sequence[Result], rounds: int, bars: bool) -> list[Table]:
    """Cases without rivals, a row each: one table, or several where some measure other paired metrics than others."""
    alike: dict[tuple[str, ...], list[Result]] = {}
    for result in members:
        shown = [metric for metric in view.metrics if result.has(metric.name)]
        if shown:
            alike.setdefault(tuple(one.name for one in shown if isinstance(one, Paired)), []).append(result)
    everywhere = varying(members)[0]
    tables = []
    for group in alike.values():
        shared, differing = varying(group)
        params = [_param(name) for name in differing]
        timed = latency_column.latencies(group, rivals=False)
        columns = [_IMPLEMENTATION, *params, *_metric_columns(view, [timed], bars), *_effort(view, rounds)]
        title = _words({name: value for name, value in shared.items() if name not in everywhere})
        tables.append(_table(title, latency_column.in_unit(_filled(columns, group), timed.unit), group))
    return tables


def _table(title: str, columns: Sequence[Shown], members: Sequence[Result]) -> Table:
    rows = [[show(result) for _, show in columns] for result in members if result.measured]
    return Table(title, tuple(column for column, _ in columns), rows)


def _only_errors(view: View, members: Sequence[Result]) -> bool:
    measured = {metric for result in members for metric in result.metrics}
    shown = {metric.name for metric in view.metrics if metric in measured}
    return shown in ({"error_sqnr"}, {"error_sqnr", "agreement_sqnr"})


_IMPLEMENTATION: Shown = (Column("implementation"), lambda result: result.case.implementation)


def _param(name: str) -> Shown:
    return Column(name), lambda result: str(result.case.params.get(name, ""))


def _effort(view: View, most: int) -> list[Shown]:
    """Rounds, samples and how a contest ended; where the rounds were fixed, only those of a case that has fewer."""
    if not any(found.state for found in view.reached.values()):
        return [(Column("rounds"), lambda result: f"{len(result.measured)} of {most}" * (len(result.measured) < most))]
    effort = {column.key: column for column in effort_columns(view)}

    def taken(result: Result) -> str:
        return "/".join(filter(None, (_text(effort[key], result) for key in ("rounds", "samples"))))

    return [(Column("rounds/\nsamples", "right"), taken), _shown(effort["state"])]


def _metric_columns(view: View, timed: Sequence[latency_column.Latencies], bars: bool) -> list[Shown]:
    shown: list[Shown] = []
    for metric, column in zip(view.metrics, metric_columns(view.metrics), strict=True):
        if column.key != "latency":
            shown += map(_shown, (column, *difference_columns(view, metric)))
            continue
        shown += latency_column.columns(timed, bars=bars)
        shown += map(_shown, speedup_columns(view, view.baselines))
        shown += [_shown(one) for one in standing_columns(view) if one.key == "ceiling_share"]
    return shown


def _shown(column: ResultColumn) -> Shown:
    return Column(_broken(column.heading), "right" if column.unit else "left"), partial(_text, column)


def _text(column: ResultColumn, result: Result) -> str:
    reading = column.read(result)
    flag = " !" if column.key == "error_sqnr" and is_off(result) else ""
    return f"{reading.text}{flag}" if reading else ""


def _broken(heading: str) -> str:
    """A heading in as many lines as it has words: columns of a terminal are narrow."""
    return heading.replace(" ", "\n").replace("/", "/\n")


def _filled(columns: Sequence[Shown], members: Sequence[Result]) -> list[Shown]:
    """Without the columns that have nothing to show."""
    return [(column, show) for column, show in columns if any(show(result) for result in members if result.measured)]


def _numbers(columns: Sequence[ResultColumn], reached: Sequence[ResultColumn], result: Result) -> list[list[Cell]]:
    """What `tidy` says of each metric, of what follows from a latency, and of the speed-up over each baseline."""
    effort: list[Cell] = [reading.value if (reading := column.read(result)) else None for column in reached]
    rows: list[list[Cell]] = []
    for column in columns:
        if reading := column.read(result):
            numbers: list[Cell] = [reading.value, reading.lo, reading.hi, CONFIDENCE, reading.n]
            rows.append([column.key, column.unit, *numbers, *(effort if column.key == "latency" else [None] * 3)])
    return rows


def _title(params: Params, names: Sequence[str]) -> str:
    """The params of these names that there are: cases of one suite need not have the same ones."""
    return _words({name: params[name] for name in names if name in params})


def _words(params: Params) -> str:
    return " ".join(f"{name}={value}" for name, value in params.items())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
