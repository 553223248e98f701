"""The report as one HTML page: everything inline, nothing fetched, readable without JavaScript."""

import base64
import gzip
import hashlib
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import jinja2
import pandas as pd
from markupsafe import Markup

from harness.environment import differences
from harness.report import rivals, schemes
from harness.report.answers import Answer, Card, headlines
from harness.report.gates import GatePart
from harness.report.tables import Sheet, answers_sheet, ended_sheet, environment_rows, origins_sheet, results_sheet
from harness.result_table import View, describe_machine, describe_run, warnings
from harness.results import Result, contests
from harness.wording import titles

CARDS = 12
"""Contests of a suite that get a card each; beyond it they get a row each."""
ROWS = 3500
"""Result rows that all suites share: beyond them a page is no longer read, and grows past 1.5 MB."""
DATA_ROWS = 10_000
"""Most rows of the data file, a case and metric each, that is put into the page."""


@dataclass(frozen=True)
class SuitePart:
    """One suite of one run: its headline answers, then a card or a row for every contest, and its results."""

    name: str
    headlines: Sequence[Answer]
    cards: Sequence[Card]
    answers: Sheet | None
    results: Sheet


@dataclass(frozen=True)
class Figure:
    """A drawn figure, or the reason why there is none."""

    name: str
    title: str
    caption: str
    svg: Markup
    missing: str = ""


@dataclass(frozen=True)
class RunPart:
    """All that the page says of one run."""

    name: str
    identity: str
    machine: str
    order: str
    command: str
    warnings: Sequence[str]
    suites: Sequence[SuitePart]
    origins: Sheet
    ended: Sheet
    figures: Sequence[Figure]


def render(
    views: Sequence[View],
    figures: Mapping[str, Sequence[Figure]],
    summary: pd.DataFrame,
    gates: Sequence[GatePart] = (),
) -> str:
    """The page for runs and the gates between them, `figures` by name of run or gate, and the frame that becomes its
    data file.
    """
    package = files("harness.report")
    style, script = (package.joinpath(name).read_text("utf-8") for name in ("report.css", "report.js"))
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(package.joinpath("report.html.j2").read_text("utf-8"))
    sheets = sum(len({result.case.suite for result in view.results}) for view in views)
    runs = [_run_part(view, figures.get(view.stored.run.id, ()), ROWS // max(1, sheets)) for view in views]
    suites = dict.fromkeys(suite.name for run in runs for suite in run.suites)
    return template.render(
        title=f"BitLinear: {', '.join(suites)}",
        runs=runs,
        gates=[(gate, figures.get(gate.name, ())) for gate in gates],
        environment=environment_rows([view.stored.run.environment for view in views]),
        unlike=_unlike(views),
        data=_data(summary),
        style=Markup(style),
        script=Markup(script),
        style_hash=_source_hash(style),
        script_hash=_source_hash(script),
    )


def doubts(view: View) -> list[str]:
    """What to know before believing the run, each with its cure."""
    run = view.stored.run
    texts = warnings(view)
    if run.revision.dirty:
        texts.append("the checkout had uncommitted changes: commit them, so that the run can be repeated")
    at = run.environment
    if at.load_average > 0.75 * (at.affinity or at.cores_logical or math.inf):  # an installation just before is less
        texts.append(f"the load average was {at.load_average:.2f} at the start: stop other work and measure again")
    return texts


def _run_part(view: View, figures: Sequence[Figure], rows: int) -> RunPart:
    run = view.stored.run
    return RunPart(
        name=run.id,
        identity=describe_run(run),
        machine=describe_machine(run.environment),
        order=run.order,
        command=shlex.join(run.argv),
        warnings=doubts(view),
        suites=_suite_parts(view, rows),
        origins=origins_sheet(view),
        ended=ended_sheet(view),
        figures=figures,
    )


def _suite_parts(view: View, rows: int) -> list[SuitePart]:
    parts = []
    for suite in dict.fromkeys(result.case.suite for result in view.results):
        measured = [result for result in view.results if result.case.suite == suite and result.measured]
        if measured:
            cards = _cards(measured, view)
            sheet = answers_sheet(f"answers-{suite}", cards, rows // 3) if len(cards) > CARDS else None
            results = results_sheet(view, suite, cards, rows)
            parts.append(SuitePart(suite, headlines(cards), [] if sheet else cards, sheet, results))
    return parts


def _cards(measured: Sequence[Result], view: View) -> list[Card]:
    """A card a contest; where only error was measured there are no contests, and schemes compete at each point."""
    names = {metric.name for result in measured for metric in result.metrics}
    if "error_sqnr" in names and not names & {"latency", "weight_bytes"}:
        return [Card("", place, schemes.answers(group)) for place, group in schemes.points(measured).items()]
    words = titles(measured)
    return [Card(name, words[name], rivals.answers(group, view.ratios)) for name, group in contests(measured).items()]


def _unlike(views: Sequence[View]) -> list[str]:
    """Why latencies of the first run may not be compared with those of the others."""
    first, *others = [view.stored.run.environment for view in views]
    return list(dict.fromkeys(text for other in others for text in differences(first, other)))


def _data(summary: pd.DataFrame) -> Markup | None:
    """The summary frame as a data address of a gzipped CSV file; None where it would be too large for a page."""
    if len(summary) > DATA_ROWS:
        return None
    text = summary.drop(columns=["contest", "title"]).to_csv(index=False, float_format="%.9g")
    packed = base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()
    return Markup(f"data:application/gzip;base64,{packed}")


def _source_hash(text: str) -> str:
    """What the page's Content-Security-Policy calls `text`."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
