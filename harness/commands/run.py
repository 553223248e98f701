"""`bitbench run`: measure suites and keep the records."""

import sys
from pathlib import Path

import click
import msgspec

from harness import store
from harness.commands import options
from harness.commands.model.option import models
from harness.commands.options import Asked, Field
from harness.commands.values import Place, Whole, Words
from harness.errors import NothingMeasuredError, UsageError
from harness.machine import parent
from harness.machine.environment import LEAST_MEMORY, available_memory
from harness.machine.identity import parse_labels
from harness.model import StoredRun
from harness.model.units import parse_duration, parse_share, parse_size
from harness.runner.packages import package_of, registry_for
from harness.runner.progress import watcher
from harness.runner.session import OpenRun, RunSession, opened, resumed


def _memory_limit(text: str | None) -> float:
    """Bytes. Raises UsageError for so few that nothing could be measured, as of a number without its unit."""
    if text is None:
        return available_memory()
    size = parse_size(text)
    if 0 < size < LEAST_MEMORY:
        raise UsageError(
            f"--memory-limit {text!r} is {size:.0f} B, and no case can do with it; write 4GiB, 500MB or none"
        )
    return size


measuring = options.request_options(
    options.suites,
    options.package,
    options.implementations,
    options.axes,
    models,
    options.keyword,
    options.requested_metrics,
    options.device,
    options.threads,
    click.option(
        "--rounds",
        type=Whole(1, options.MOST_ROUNDS),
        default=None,
        cls=Field,
        read=int,
        otherwise=0,
        metavar="N",
        help="Exactly so many fresh workers, however precise; beside --precision at most so many.",
    ),
    click.option(
        "--precision",
        type=Words(),
        default=None,
        cls=Field,
        read=parse_share,
        otherwise=0.0,
        metavar="P",
        help="Go on until ratios are known to P either side, as in 2%, in 20 rounds at most, or as --rounds says.",
    ),
    click.option(
        "--budget",
        type=Words(),
        default=None,
        cls=Field,
        read=parse_duration,
        otherwise=0.0,
        metavar="TIME",
        help="Begin no new contest after this long, as in 5m.",
    ),
    options.case_limit,
    click.option(
        "--memory-limit",
        type=Words(),
        default=None,
        cls=Field,
        read=_memory_limit,
        metavar="SIZE",
        help="End a case that takes more, as in 4GiB; default 3/4 of what is free.",
    ),
    click.option("--full", is_flag=True, help="The large grid of each suite."),
    options.seed,
)
"""What is asked of a run, wherever it is made."""
labels = click.option(
    "--label",
    "labels",
    type=Words(),
    multiple=True,
    callback=lambda _context, _option, texts: parse_labels(texts),
    metavar="NAME=VALUE",
    help="Say something of this machine in the run, as in rack=3; may be given several times.",
)


def _die_with_parent(wanted: bool) -> None:
    if wanted and not parent.can_die_with_parent():
        raise UsageError("--die-with-parent: only Linux can be asked for it; leave it out here")
    if wanted:
        parent.die_with_parent(parent.told_parent())


die_with_parent = click.option(
    "--die-with-parent",
    is_flag=True,
    expose_value=False,
    callback=lambda _context, _option, wanted: _die_with_parent(wanted),
    help="End at once when the process ends that started this one (Linux).",
)


@click.command("run", cls=options.Command)
@measuring
@labels
@click.option("--out", type=Place(), default=None, metavar="DIR", help="The run's directory.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, or extend it: see above.")
@click.option("--go-on", is_flag=True, help="Begin the run in --out, or resume it: whatever is there of it.")
@die_with_parent
@click.option("--dry-run", is_flag=True, help="Measure nothing: list the cases, the rounds, and the time at most.")
def command(
    asked: Asked,
    labels: dict[str, str],
    out: Path | None,
    resume: bool,
    go_on: bool,
    dry_run: bool,
) -> int:
    """Measure SUITE... and keep every record as it is made. Prints the table, and last the run's directory.

    Rounds are fresh processes. A contest has as many as its suite says, --rounds N exactly so many, and with
    --precision as many as it takes, --rounds at most.

    With --resume --out DIR a run goes on from what is there. --precision, --rounds and --budget beside it extend the
    run, and are written down in it; all else that it was begun with stays.

    The same command with --go-on --out DIR may be given again and again, whatever ended it before: it begins the run
    where there is none, or no more than a cut-off first line, and goes on with it otherwise.
    """
    request, argv = asked.request, options.as_recorded(sys.argv[1:])
    if resume or go_on:
        if out is None:
            option = "--resume" if resume else "--go-on"
            raise UsageError(f"{option} needs --out DIR, the directory of the run to go on with")
        if resume or store.is_begun(out):
            with resumed(out, request.suites, request, asked.options, argv, labels=labels, to_look=dry_run) as run:
                return _foretell(run.session) if dry_run else _carry_out(run)
    if not request.suites:
        raise UsageError("name at least one suite, as in `bitbench run quick`; `bitbench list` shows them all")
    registry = registry_for(request.suites, request.package)
    with opened(registry, msgspec.structs.replace(request, package=package_of(registry)), labels) as session:
        if dry_run:
            return _foretell(session)
        for doubt in session.doubts:
            click.echo(f"bitbench: {doubt}", err=True)
        if go_on and out is not None:
            store.remove_unbegun(out)
        with session.begin(out, argv) as run:
            return _carry_out(run)


def _foretell(session: RunSession) -> int:
    for line in session.forecast():
        click.echo(line)
    return 0


def _carry_out(run: OpenRun) -> int:
    """Measure; then print the table and say whether the run is good."""
    if limit := run.session.time_limit:
        click.echo(f"{' '.join(run.run.request.suites)}: {limit}", err=True)
    stored = run.carry_out(watcher())
    from harness.commands.show import render

    click.echo(render(stored))
    click.echo(run.directory)
    return _exit_code(stored)


def _exit_code(stored: StoredRun) -> int:
    outcomes = {record.outcome for record in stored.records}
    if "measured" not in outcomes:
        first = stored.records[0].reason if stored.records else "no case was planned"
        raise NothingMeasuredError(f"nothing was measured: {first}")
    return 1 if outcomes & {"failed", "crashed", "timed_out"} else 0
