"""The report as one HTML page: everything inline, nothing fetched, readable without JavaScript."""

import base64
import hashlib
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from harness.analysis.naming import titles
from harness.analysis.results import Result, contests
from harness.analysis.view import View
from harness.analysis.whole_model.step import layers_of
from harness.model.metrics import Paired
from harness.show.model.steps import LEGEND
from harness.show.report import machine_summary
from harness.show.report.answers import contest, schemes
from harness.show.report.answers.questions import Card, ContestAnswer, headlines
from harness.show.report.answers.sentences import Sentence, Usage, sentences
from harness.show.report.changes import ChangePart
from harness.show.report.data import island, saved
from harness.show.report.decision import decision_table
from harness.show.report.failures import Failures, failures
from harness.show.report.gates import GatePart
from harness.show.report.kept_scores import score_answers
from harness.show.report.sections import PageFigure, parts
from harness.show.report.tables import Sheet, answers_sheet, ended_sheet, origins_sheet, results_sheet
from harness.show.report.terms import explained, explanations
from harness.show.report.verdict_sentence import Headline
from harness.show.report.whole_models import ModelAnswer, model_answers
from harness.show.run_header import describe_rules, describe_run

SENTENCES, MOST_SENTENCES = 6, 48
"""Layers of a suite whose answer is in sight, and those that have one at all; the table of decisions has every one."""
CARDS = 12
"""Contests of a suite that get a card each; beyond it they get a row each."""
ANSWERED = {"latency", "weight_bytes", "bits_per_weight", "error_sqnr"}
"""Metrics that the three questions are about."""
WARNINGS = 3
"""Warnings of a run that are in sight."""
ROWS = 1000
"""Result rows that all suites share: nobody reads more of them, and a page of 5,000 is to stay below 1.5 MB."""


@dataclass(frozen=True)
class SuitePart:
    """One suite of one run: a sentence a layer, headlines, a card or a row for every contest, and its results."""

    name: str
    failures: Failures | None
    models: Sequence[ModelAnswer]
    sentences: Sequence[Sentence]
    more: Sequence[Sentence]
    """Those that are folded."""
    headlines: Sequence[ContestAnswer]
    """Where there are no sentences."""
    cards: Sequence[Card]
    answers: Sheet | None
    results: Sheet
    fastest: Mapping[str, ContestAnswer]
    """By contest."""


@dataclass(frozen=True)
class RunPart:
    """All that the page says of one run."""

    name: str
    identity: str
    order: str
    command: str
    rules: Sequence[str]
    chips: Sequence[machine_summary.SummaryChip]
    warnings: Sequence[str]
    suites: Sequence[SuitePart]
    origins: Sheet
    ended: Sheet


def render(
    views: Sequence[View],
    figures: Callable[[], Mapping[str, Sequence[PageFigure]]],
    summary: pd.DataFrame,
    gates: Sequence[GatePart] = (),
    changes: Sequence[ChangePart] = (),
    usage: Usage = lambda *_: "",
) -> str:
    """The page for runs, for the gates and the changes between them, and the frame that becomes its data files.

    `views` have the baseline of all of them as the first of their baselines (`ranking.led`). `figures`, which
    is asked last, gives them by the name of a run, a gate or a change; those of all runs by no name. `usage` is the
    line of code that uses an implementation.
    """
    sheets = sum(len({result.case.suite for result in view.results}) for view in views)
    runs = [_run_part(view, ROWS // max(1, sheets), usage) for view in views]
    fastest = {(run.name, name): one for run in runs for suite in run.suites for name, one in suite.fastest.items()}
    suites = dict.fromkeys(suite.name for run in runs for suite in run.suites)
    between = {gate.name for gate in gates} | {change.name for change in changes}
    style, script = (
        files("harness.show.report").joinpath(name).read_text("utf-8") for name in ("report.css", "report.js")
    )
    verdict = _gravest(gates)
    words = {
        "title": f"{verdict.sign} {verdict.words}" if verdict else f"BitLinear: {', '.join(suites)}",
        "verdict": verdict,
        "is_gate_alone": bool(gates) and len(views) == 2 * len(gates),
        "warnings_shown": WARNINGS,
        "terms": explanations(),
        "legend_of_models": LEGEND.replace("\n", " "),
        "runs": runs,
        "decision": decision_table(views, fastest),
        "environment": machine_summary.environment_rows([view.stored.run.environment for view in views]),
        "unlike": machine_summary.unlike(views),
        "saved": saved(summary),
        "headers": island(view.stored.run for view in views),
        "style": Markup(style),
        "script": Markup(script),
        "style_hash": source_hash(style),
        "script_hash": source_hash(script),
    }
    template = templates().get_template("page.html.j2")
    drawn = figures()
    return template.render(
        words,
        gates=[(gate, drawn.get(gate.name, ())) for gate in gates],
        changes=[(change, drawn.get(change.name, ())) for change in changes],
        sections=parts(one for name, several in drawn.items() if name not in between for one in several),
    )


def _gravest(gates: Sequence[GatePart]) -> Headline | None:
    """The verdict that the page is about; None where there is no gate."""
    return min(
        (gate.headline for gate in gates), key=lambda one: ("bad", "doubt", "good").index(one.mood), default=None
    )


def templates(*packages: str) -> jinja2.Environment:
    """Those of the report, whose look other pages share, and those of further `packages`."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(name) for name in (*packages, "harness.show.report")]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = _prose
    environment.filters["explained"] = explained
    return environment


def _prose(text: str) -> Markup:
    """What stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _run_part(view: View, rows: int, usage: Usage) -> RunPart:
    run = view.stored.run
    return RunPart(
        name=run.id,
        identity=describe_run(run),
        order=run.order,
        command=shlex.join(run.argv),
        rules=describe_rules(view.stored),
        chips=machine_summary.chips(view),
        warnings=machine_summary.doubts(view),
        suites=_suite_parts(view, rows, usage),
        origins=origins_sheet(view),
        ended=ended_sheet(view),
    )


def _suite_parts(view: View, rows: int, usage: Usage = lambda *_: "") -> list[SuitePart]:
    found = []
    for suite in dict.fromkeys(result.case.suite for result in view.results):
        everyone = [result for result in view.results if result.case.suite == suite]
        measured = [result for result in everyone if result.measured]
        if measured:
            layers = layers_of(measured)
            cards = [] if _is_scored(measured) else _cards(layers or measured, view)
            sheet = answers_sheet(f"answers-{suite}", cards, rows // 3) if len(cards) > CARDS else None
            results = results_sheet(view, suite, cards, rows)
            fastest = {card.contest: card.fastest for card in cards if card.contest}
            said = sentences(layers, view, fastest, usage)
            found.append(
                SuitePart(
                    name=suite,
                    failures=failures(everyone),
                    models=[*model_answers(view, suite), *score_answers(view, suite)],
                    sentences=said[:SENTENCES],
                    more=said[SENTENCES:MOST_SENTENCES],
                    headlines=[] if said or _is_scored(measured) else headlines(cards, next(iter(view.baselines), "")),
                    cards=[] if sheet else cards,
                    answers=sheet,
                    results=results,
                    fastest=fastest,
                )
            )
    return found


def _is_scored(measured: Sequence[Result]) -> bool:
    """Whether scores unit by unit were measured, and nothing that the three questions are about."""
    metrics = [metric for result in measured for metric in result.metrics]
    return any(isinstance(one, Paired) for one in metrics) and not any(one.name in ANSWERED for one in metrics)


def _cards(measured: Sequence[Result], view: View) -> list[Card]:
    """A card a contest; where only error was measured there are no contests, and schemes compete at each point."""
    names = {metric.name for result in measured for metric in result.metrics}
    if "error_sqnr" in names and not names & {"latency", "weight_bytes"}:
        of_schemes = ((place, *schemes.answers(group)) for place, group in schemes.points(measured).items())
        return [Card("", place, first, partial(tuple, rest)) for place, first, *rest in of_schemes]
    words = titles(measured)
    return [
        Card(
            name,
            words[name],
            contest.speed_answer(group, view.ratios, view.baselines),
            partial(contest.other_answers, group),
        )
        for name, group in contests(measured).items()
    ]


def source_hash(text: str) -> str:
    """What the page's Content-Security-Policy calls `text`."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
