"""`bitbench run`: measure suites and keep the records."""

import re
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from harness import store
from harness.analysis.convergence import in_words
from harness.analysis.voided import RULE
from harness.commands import options as shared
from harness.commands.carrying_out import carry_out, tell
from harness.commands.going_on import go_on
from harness.commands.options import parse_axes
from harness.commands.values import Place, Whole, Words
from harness.errors import UsageError
from harness.machine.environment import LEAST_MEMORY, available_memory, combine, machine
from harness.machine.revision import revision
from harness.model import Environment, Request, Revision, Run
from harness.model.metrics import Metric, select_metrics
from harness.model.suite import DEFAULT_MODULE, Registry
from harness.model.units import parse_duration, parse_names, parse_share, parse_size
from harness.runner.controller import Controller
from harness.runner.plan import Contest, aims_of, check_names, make_plan, metrics_of, require_devices
from harness.runner.pool import WorkerPool
from harness.runner.schedule import ORDER
from harness.store.places import RUNS


@click.command("run", cls=shared.Command)
@click.argument("suites", nargs=-1, metavar="SUITE...")
@shared.implementations
@shared.axes
@shared.keyword
@shared.metrics
@shared.device
@shared.threads
@click.option(
    "--rounds",
    type=Whole(1, shared.MOST_ROUNDS),
    default=None,
    metavar="N",
    help="Exactly so many fresh workers, however precise; beside --precision at most so many.",
)
@click.option(
    "--precision",
    type=Words(),
    default=None,
    metavar="P",
    help="Go on until ratios are known to P either side, as in 2%, in 20 rounds at most, or as --rounds says.",
)
@click.option(
    "--budget", type=Words(), default=None, metavar="TIME", help="Begin no new contest after this long, as in 5m."
)
@shared.case_limit
@click.option(
    "--memory-limit",
    type=Words(),
    default=None,
    metavar="SIZE",
    help="End a case that takes more, as in 4GiB; default 3/4 of what is free.",
)
@click.option("--full", is_flag=True, help="The large grid of each suite.")
@shared.seed
@click.option("--out", type=Place(), default=None, metavar="DIR", help="The run's directory.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out, or extend it: see above.")
@click.option("--dry-run", is_flag=True, help="Measure nothing: list the cases, the rounds, and the time at most.")
@click.pass_context
def command(
    ctx: click.Context, /, suites: tuple[str, ...], out: Path | None, resume: bool, dry_run: bool, **options: object
) -> int:
    """Measure SUITE... and keep every record as it is made. Prints the table, and last the run's directory.

    Rounds are fresh processes. A contest has as many as its suite says, --rounds N exactly so many, and with
    --precision as many as it takes, --rounds at most.

    With --resume --out DIR a run goes on from what is there. --precision, --rounds and --budget beside it extend the
    run, and are written down in it; all else that it was begun with stays.
    """
    registry = Registry.load(DEFAULT_MODULE)
    if resume:
        changes = {str(one.name): one.opts[0] for one in shared.given(ctx) if one.name in options}
        asked = partial(_request, options=options, known=registry.metrics)
        return go_on(registry, out, suites, asked, changes, dry_run=dry_run, now=_now())
    request = _request(suites, options, registry.metrics)
    check_names(request, registry)
    if dry_run:
        return _foretell(registry, request)
    return _measure(registry, request, out)


def _request(suites: tuple[str, ...], options: Mapping[str, object], known: Mapping[str, Metric]) -> Request:
    if not suites:
        raise UsageError("name at least one suite, as in `bitbench run quick`; `bitbench list` shows them all")
    return Request(
        suites=tuple(dict.fromkeys(suites)),
        implementations=parse_names("--impl", options["implementations"]),  # type: ignore[arg-type]  # as below
        axes=parse_axes(options["axes"]),  # type: ignore[arg-type]  # click's options arrive untyped
        keyword=str(options["keyword"] or ""),
        device=str(options["device"]),
        threads=int(str(options["threads"] or 0)),
        full=bool(options["full"]),
        metrics=_metrics(options["metrics"], known),  # type: ignore[arg-type]  # click's options arrive untyped
        rounds=int(str(options["rounds"] or 0)),
        precision=parse_share(str(options["precision"])) if options["precision"] else 0.0,
        budget=parse_duration(str(options["budget"])) if options["budget"] else 0.0,
        case_limit=parse_duration(str(options["case_limit"])),
        memory_limit=_memory_limit(str(options["memory_limit"])) if options["memory_limit"] else available_memory(),
        seed=int(str(options["seed"])),
    )


def _memory_limit(text: str) -> float:
    """Bytes. Raises UsageError for so few that nothing could be measured, as of a number without its unit."""
    size = parse_size(text)
    if 0 < size < LEAST_MEMORY:
        raise UsageError(
            f"--memory-limit {text!r} is {size:.0f} B, and no case can do with it; write 4GiB, 500MB or none"
        )
    return size


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _metrics(names: Collection[str], known: Mapping[str, Metric]) -> tuple[str, ...]:
    """In one order, so that equal requests are equal; empty when none is named."""
    return tuple(sorted(select_metrics(names, known))) if names else ()


def _measure(registry: Registry, request: Request, out: Path | None) -> int:
    pool = WorkerPool(registry, request.memory_limit)
    try:
        contests = make_plan(request, registry, pool.description)
        require_devices(contests, pool.description)
        pool.require(request.implementations)
        for doubt in pool.description.doubts:
            click.echo(f"bitbench: {doubt}", err=True)
        run = _header(request, pool, registry, contests)
        directory, writer = (out, store.create(out, run)) if out else store.create_in(RUNS, run)
        with writer:
            return carry_out(Controller(contests, request, pool.start, ceilings=run.ceilings), run, writer, directory)
    finally:
        pool.close()


def _foretell(registry: Registry, request: Request) -> int:
    pool = WorkerPool(registry, request.memory_limit)
    try:
        contests = make_plan(request, registry, pool.description)
        require_devices(contests, pool.description)
        pool.require(request.implementations)
        tell(Controller(contests, request, pool.start), pool)
    finally:
        pool.close()
    return 0


def _header(request: Request, pool: WorkerPool, registry: Registry, contests: Sequence[Contest]) -> Run:
    environment: Environment = combine(machine(), pool.description.environment)
    started = _now()
    aims = aims_of(request, registry)
    code: Revision = revision()
    commit = f"-{code.commit[:7]}" + ("-dirty" if code.dirty else "") if code.commit else ""
    return Run(
        id=f"{re.sub('[-:]', '', started)}-{'-'.join(request.suites)}{commit}",
        started=started,
        request=request,
        order=ORDER,
        rules=(*(in_words(name, aim) for name, aim in aims.items()), RULE),
        aims=aims,
        metrics=metrics_of(contests),
        ceilings=pool.ceilings(contests, environment),
        environment=environment,
        revision=code,
        argv=shared.as_recorded(sys.argv[1:]),
    )
