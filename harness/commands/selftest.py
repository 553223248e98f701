"""`bitbench selftest`: the harness measured against contestants whose cost is known."""

from pathlib import Path
from typing import get_args

import click

from harness.analysis.results import results
from harness.commands import options
from harness.commands.options import Asked, Field
from harness.commands.values import Place, Whole, Words
from harness.errors import UsageError
from harness.judge.known_costs import ALLOWED, CostFinding, exit_code, find
from harness.model import Record, Request
from harness.model.injection import InjectionKind
from harness.model.metrics import METRICS
from harness.model.suite import Registry
from harness.model.units import amount, parse_duration
from harness.runner.progress import watcher
from harness.runner.session import opened
from harness.show.table import Column, Format, Table, pretty_json, render

MODULE = "suites.special.selftest"
"""The package of suites whose contestants have a known cost. It is not among those that `bitbench run` knows."""
MOST_GATES = 1000
"""Each takes minutes."""
OF_INJECTIONS = frozenset(("times", "kind", "everywhere"))
WORDS = {0: "every metric is right", 1: "a metric is wrong", 4: "the machine is too noisy to tell: end what else runs"}


@click.group("selftest", cls=options.Group)
def command() -> None:
    """Let the harness prove on this machine that what it reports is so."""


@command.command("metrics", cls=options.Command)
@options.table_format
def metrics(form: Format) -> int:
    """Measure contestants of known cost and compare what is reported with what is so, in about ten seconds.

    Time must be right within 2 %, bytes exactly, and double the work must be reported as double. Exit codes: 0 every
    metric is right, 1 one is wrong, 4 the machine is too noisy to tell.
    """
    findings = find(results(_measure()).values())
    code = exit_code(findings)
    if form == "json":
        rows = _table(findings, human=False).as_dicts()
        click.echo(pretty_json({"exit_code": code, "verdict": WORDS[code], "findings": rows}))
    elif form == "csv":
        click.echo(_table(findings, human=False).csv())
    else:
        click.echo(render([_table(findings, human=True), WORDS[code]], form))
    return code


@command.command("gate", cls=options.Command)
@click.option("--aa", "same", type=Whole(0, MOST_GATES), default=0, metavar="N", help="So many gates of the same code.")
@click.option(
    "--inject",
    "shares",
    type=Words(),
    multiple=True,
    metavar="P",
    help="Gates of a slowdown by P, as in 5%, in one case.",
)
@click.option("--times", type=Whole(1, MOST_GATES), default=5, show_default=True, help="Gates for each --inject.")
@click.option(
    "--with",
    "kind",
    type=click.Choice(get_args(InjectionKind)),
    default="spin",
    show_default=True,
    help="Spin for a share of each call, or do that share of more work.",
)
@click.option("--everywhere", is_flag=True, help="Inject into every case and not into one at random.")
@options.request_options(
    options.implementations,
    options.axes,
    options.keyword_option("Only such cases; for injections six by default."),
    options.device,
    click.option(
        "--budget",
        type=Words(),
        default="5m",
        cls=Field,
        read=parse_duration,
        show_default=True,
        metavar="TIME",
        help="Of each gate.",
    ),
)
@click.option("--out", type=Place(), default=None, metavar="DIR", help="Keep the gates here, in 1, 2, 3 ...")
@options.rules_file
@options.margin
@options.table_format
def gate(
    same: int,
    shares: tuple[str, ...],
    times: int,
    kind: InjectionKind,
    everywhere: bool,
    asked: Asked,
    out: Path | None,
    rules: Path | None,
    margin: str | None,
    form: Format,
) -> int:
    """Hold gates whose right answer is known, and print how often the gate was right.

    What it learns of this machine's noise is kept: a gate whose margin is below what can be resolved here says so.
    Exit codes: 0 no case was red that had not been slowed down and none called ok that had, else 1.
    """
    from harness.commands.selftest_gate import Planned, measure, tell

    aimless = [one.opts[0] for one in options.given(click.get_current_context()) if one.name in OF_INJECTIONS]
    if aimless and not shares:
        raise UsageError(f"{', '.join(aimless)}: says how to inject; give --inject 5% too, or leave it out")
    tolerated = options.rules_of(rules, margin)
    planned = Planned(same, shares, times, kind, everywhere)
    _, trials = measure(planned, asked.request, tolerated, out)
    return tell(trials, tolerated, form)


def _measure() -> list[Record]:
    """Through the same controller and workers as any run."""
    registry = Registry.load(MODULE)
    with opened(registry, Request(suites=tuple(registry.suites))) as session:
        return session.records(watcher())


def _table(findings: list[CostFinding], *, human: bool) -> Table:
    columns = (
        Column("contestant"),
        Column("metric"),
        Column("expected", "right"),
        Column("reported", "right"),
        Column("error", "right"),
        Column("within", "right"),
        Column("ok"),
    )
    rows = [_for_people(one) if human else _for_machines(one) for one in findings]
    return Table("", columns, rows)


def _for_people(one: CostFinding) -> tuple[str, ...]:
    unit = METRICS[one.metric].unit if one.metric in METRICS and not one.is_ratio else "1"
    expected, reported = (amount(value, unit, digits=4) for value in (one.expected, one.reported))
    within = f"{100 * ALLOWED:g} %" if one.allowed else "exact"
    return one.contestant, one.metric, expected, reported, f"{100 * one.error:+.3g} %", within, one.word


def _for_machines(one: CostFinding) -> tuple[str | float, ...]:
    return one.contestant, one.metric, one.expected, one.reported, one.error, one.allowed, one.word
