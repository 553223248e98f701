"""`bitbench gate`: two revisions, measured now, or two stored runs; the exit code is the verdict."""

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import click
import msgspec

from harness.commands import options
from harness.commands.model.option import models
from harness.commands.options import Asked, Field
from harness.commands.pytest_project.option import AskedTests, tests_options
from harness.commands.values import Place, Words
from harness.errors import UsageError
from harness.gate.checkouts import HERE, Checkouts
from harness.gate.progress import Narrator
from harness.gate.pytest_benchmark.session import TestGate
from harness.gate.runs import is_gate, remember
from harness.gate.session import GateResult, Session
from harness.judge.judge import judge_runs
from harness.judge.policy import Policy
from harness.machine.environment import available_memory
from harness.model import Request, known_metrics
from harness.model.metrics import Metric, judged, select_metrics
from harness.model.units import parse_duration
from harness.runner.packages import package_of, registry_for
from harness.runner.plan import check_names
from harness.show.ci import errors_told, holds_verdict, write
from harness.show.ci.verdict_file import told
from harness.show.table import Format, pretty_json, render
from harness.show.verdicts import content, gate_page, tidy
from harness.store import load

SUITE = "gate"
"""What a live gate measures that is told nothing else."""
LIVE = frozenset(("head", "build", "pytest_paths"))
"""Options that say what to measure, beside those that say how."""


@dataclass(frozen=True)
class Live:
    """What to measure now: two revisions, each after it was built."""

    base: str
    head: str
    build: str
    resume: bool


@click.command("gate", cls=options.Command)
@click.argument("what", nargs=-1, metavar="[BASE_RUN HEAD_RUN | SUITE...]")
@click.option(
    "--base", type=Words(), metavar="REV", help="Measure this revision of the repository here, and --head, now."
)
@click.option(
    "--head", type=Words(), default=HERE, show_default=True, metavar="REV", help="`.` is the working tree as it is."
)
@click.option("--build", type=Words(), metavar="COMMAND", help="Run in either checkout before anything is measured.")
@tests_options
@options.request_options(
    options.package,
    options.implementations,
    options.axes,
    models,
    options.keyword,
    options.device,
    options.threads,
    click.option(
        "--budget",
        type=Words(),
        default="5m",
        cls=Field,
        read=lambda text: 0.0 if text == "0" else parse_duration(text),
        show_default=True,
        metavar="TIME",
        help="End after this long; 0: no limit.",
    ),
    options.case_limit,
    options.seed,
    options.requested_metrics,
)
@click.option("--out", type=Place(), default=None, help="Directory for the runs and the verdict.")
@click.option("--resume", is_flag=True, help="Go on with the gate in --out, given the command that began it.")
@options.rules_file
@options.margin
@click.option(
    "--policy",
    type=click.Choice(get_args(Policy)),
    default="release",
    show_default=True,
    help="pr: an inconclusive row is shown and does not fail; release: it fails with exit code 3.",
)
@options.table_format
def command(
    what: tuple[str, ...],
    asked: Asked,
    tests: AskedTests,
    base: str | None,
    head: str,
    build: str | None,
    rules: Path | None,
    margin: str | None,
    policy: Policy,
    form: Format,
    out: Path | None,
    resume: bool,
) -> int:
    """Did a change make it slower, bigger or less accurate?

    With --base, measure that revision and the working tree turn by turn, by the suites named or by `gate`, or by the
    tests of --pytest. Without, judge the stored run HEAD_RUN against BASE_RUN.

    Exit codes, the first that applies: 1 something regressed or is wrong, 4 code that cannot differ has moved, 5
    something of base was not measured in head or nothing was judged, 2 latencies come from machines that are not alike
    (--metric exact gates the rest), 3 inconclusive, 0 all judged rows are ok or improved.
    """
    with errors_told(out, policy):
        if resume and (base is None or out is None):
            raise UsageError("--resume needs --base REV and --out DIR, as in the command that began the gate")
        if not tests.paths:
            tests.refuse()
        if base is None:
            _refuse_live_options(asked)
            outcome = _stored(what, out, asked.request.metrics, rules, margin)
        elif tests.paths:
            outcome = _of_tests(Live(base, head, build or "", resume), tests, what, asked, out, rules, margin)
        else:
            outcome = _live(Live(base, head, build or "", resume), _request(what, asked), out, rules, margin)
        verdict = told(outcome.base, outcome.head, outcome.judgement, policy, outcome.notes)
        write(verdict, outcome.directory)
    remember(*outcome.runs)
    _print(outcome, verdict.exit_code, policy, form)
    if base is not None and form in ("text", "markdown"):
        click.echo(outcome.directory)
    return verdict.exit_code


def _refuse_live_options(asked: Asked) -> None:
    """Two stored runs are measured already: how is too late to say. Raises UsageError."""
    late = [option for field, option in asked.options.items() if field != "metrics"]
    late += [one.opts[0] for one in options.given(click.get_current_context()) if one.name in LIVE]
    if late:
        raise UsageError(f"{', '.join(late)}: for what is measured now; give --base REV, or leave it out")


def _stored(
    what: tuple[str, ...], out: Path | None, metrics: Collection[str], rules: Path | None, margin: str | None
) -> GateResult:
    runs = _two_runs(what)
    baseline, candidate = map(load, runs)
    known = known_metrics(baseline.run, candidate.run)
    chosen, tolerated = _judged_metrics(metrics, known), options.rules_of(rules, margin, known)
    return GateResult(out, runs, baseline, candidate, judge_runs(baseline, candidate, chosen, tolerated), ())


def _live(live: Live, request: Request, out: Path | None, rules: Path | None, margin: str | None) -> GateResult:
    try:
        registry = registry_for(request.suites, request.package)
    except UsageError:
        if stored := [name for name in request.suites if Path(name).exists()]:
            raise UsageError(
                f"--base measures suites now, and {stored[0]} is a path: name a suite, or leave --base out"
            ) from None
        raise
    if out is not None and not live.resume:
        _require_free(out)
    chosen = tuple(sorted(_judged_metrics(request.metrics, registry.metrics)))
    tolerated = options.rules_of(rules, margin, registry.metrics)
    request = msgspec.structs.replace(request, package=package_of(registry), metrics=chosen)
    check_names(request, registry)
    command_line = options.as_recorded(sys.argv[1:])
    with Checkouts(live.base, live.head, live.build) as checkouts:
        session = Session(registry, request, tolerated, request.metrics, command_line, resume=live.resume)
        return session.of_checkouts(checkouts, out, Narrator(lambda line: click.echo(line, err=True)))


def _of_tests(
    live: Live,
    tests: AskedTests,
    what: tuple[str, ...],
    asked: Asked,
    out: Path | None,
    rules: Path | None,
    margin: str | None,
) -> GateResult:
    project, request = tests.project(asked, what)
    if out is not None and not live.resume:
        _require_free(out)
    argv = options.as_recorded(sys.argv[1:])
    gate = TestGate(project, request, options.rules_of(rules, margin), argv, live.resume)
    with Checkouts(live.base, live.head, live.build) as checkouts:
        return gate.of_checkouts(checkouts, out, Narrator(lambda line: click.echo(line, err=True)))


def _request(suites: tuple[str, ...], asked: Asked) -> Request:
    return msgspec.structs.replace(
        asked.request,
        suites=tuple(dict.fromkeys(suites)) or (SUITE,),
        memory_limit=available_memory(),
    )


def _judged_metrics(names: Collection[str], known: Mapping[str, Metric]) -> frozenset[str]:
    chosen = select_metrics(names, known)
    if not chosen & judged(known):
        raise UsageError(f"--metric {', '.join(sorted(chosen))}: shown, never judged; name a metric that is judged")
    return chosen if names else judged(known)


def _require_free(out: Path) -> None:
    """Raise UsageError for a directory that holds a gate: before anything is measured, and nothing of it is lost."""
    if holds_verdict(out):
        raise UsageError(f"{out} holds the verdict of an earlier gate: choose another --out")
    if is_gate(out):
        raise UsageError(f"{out} holds a gate already: go on with it by --resume, or choose another --out")


def _two_runs(what: tuple[str, ...]) -> tuple[Path, Path]:
    """The runs that are named. Raises UsageError that says what was meant by what is none."""
    paths = tuple(map(Path, what))
    suites = [name for name, path in zip(what, paths, strict=True) if not path.exists() and _is_suite(name)]
    if suites:
        raise UsageError(f"{suites[0]} is a suite: add --base REV to measure it in two revisions now")
    if len(paths) == 1 and is_gate(paths[0]):
        raise UsageError(
            f"{paths[0]} is the directory of a gate: judge it once more by `bitbench gate {paths[0]}/base"
            f" {paths[0]}/head`, or read `bitbench explain CASE --gate {paths[0]}`"
        )
    if len(paths) != 2:
        given = f"{len(what)} words" if len(what) > 1 else what[0] if what else "nothing"
        raise UsageError(
            f"given {given}: give two stored runs, BASE_RUN and HEAD_RUN, or --base REV to measure two revisions now"
        )
    base, head = paths
    if base.resolve() == head.resolve():
        raise UsageError(f"{base} is given twice, and a run does not differ from itself: give BASE_RUN and HEAD_RUN")
    return base, head


def _is_suite(name: str) -> bool:
    try:
        return name in registry_for((name,)).suites
    except UsageError:  # nobody's, or two packages'
        return False


def _print(outcome: GateResult, code: int, policy: Policy, form: Format) -> None:
    sides, judgement = (outcome.base, outcome.head), outcome.judgement
    if form == "csv":
        click.echo(tidy(judgement).csv())
    elif form == "json":
        click.echo(pretty_json({"exit_code": code, "policy": policy, **content(*sides, judgement)}))
    else:
        page = gate_page(*sides, judgement, policy)
        click.echo(render([*page, "\n".join(outcome.notes)] if outcome.notes else page, form))
