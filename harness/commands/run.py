"""`bitbench run`: measure suites and keep the records."""

import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from harness import ceiling_cache, store
from harness.commands import options as shared
from harness.commands.values import Place, Whole, Words
from harness.convergence import in_words
from harness.environment import combine, differences, machine, revision
from harness.errors import IncomparableError, NothingMeasuredError, UsageError
from harness.measure import ORDER
from harness.metric import select_metrics
from harness.model import Environment, Record, Request, Revision, Run
from harness.plan import Contest, aim_of, check_names, make_plan, require_devices
from harness.progress import watcher
from harness.run import Controller
from harness.spelling import parse_axes, parse_duration, parse_names, parse_share, parse_size
from harness.staff import Staff
from harness.suite import DEFAULT_MODULE, Registry
from harness.voiding import RULE

RUNS = Path("results", "runs")
"""Where runs lie that are given no directory."""


def available_memory() -> float:
    """Three quarters of the bytes that programs may take now: what remains keeps the machine alive."""
    import psutil

    return float(psutil.virtual_memory().available * 3 // 4)


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
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
def command(suites: tuple[str, ...], out: Path | None, resume: bool, **options: object) -> int:
    """Measure SUITE... and keep every record as it is made. Prints the table, and last the run's directory."""
    registry = Registry.load(DEFAULT_MODULE)
    if resume:
        return _resume(registry, suites, out)
    request = _request(suites, options)
    check_names(request, registry)
    return _measure(registry, request, out)


def _request(suites: tuple[str, ...], options: Mapping[str, object]) -> Request:
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
        metrics=_metrics(options["metrics"]),  # type: ignore[arg-type]  # click's options arrive untyped
        rounds=int(str(options["rounds"] or 0)),
        precision=parse_share(str(options["precision"])) if options["precision"] else 0.0,
        budget=parse_duration(str(options["budget"])) if options["budget"] else 0.0,
        case_limit=parse_duration(str(options["case_limit"])),
        memory_limit=parse_size(str(options["memory_limit"])) if options["memory_limit"] else available_memory(),
        seed=int(str(options["seed"])),
    )


def _metrics(names: Collection[str]) -> tuple[str, ...]:
    """In one order, so that equal requests are equal; empty when none is named."""
    return tuple(sorted(select_metrics(names))) if names else ()


def _measure(registry: Registry, request: Request, out: Path | None) -> int:
    staff = Staff(registry, request.memory_limit)
    try:
        contests = make_plan(request, registry, staff.description)
        require_devices(contests, staff.description)
        staff.require(request.implementations)
        for doubt in staff.description.doubts:
            click.echo(f"bitbench: {doubt}", err=True)
        run = _header(request, staff, registry, contests)
        directory, writer = (out, store.create(out, run)) if out else store.create_in(RUNS, run)
        with writer:
            return _carry_out(contests, run, staff, writer, directory, [])
    finally:
        staff.close()


def _resume(registry: Registry, suites: tuple[str, ...], out: Path | None) -> int:
    if out is None:
        raise UsageError("--resume needs --out DIR, the directory of the run to go on with")
    run, records, writer = store.resume(out)
    if suites and suites != run.request.suites:
        raise UsageError(f"the run in {out} is of {' '.join(run.request.suites)}; give --resume --out {out} alone")
    staff = Staff(registry, run.request.memory_limit)
    try:
        with writer:
            here = combine(machine(), staff.description.environment)
            if changed := differences(run.environment, here):
                raise IncomparableError(f"the run in {out} was begun on another machine: {'; '.join(changed)}")
            contests = make_plan(run.request, registry, staff.description)
            return _carry_out(contests, run, staff, writer, out, records)
    finally:
        staff.close()


def _carry_out(
    contests: list[Contest], run: Run, staff: Staff, writer: store.Writer, directory: Path, made: list[Record]
) -> int:
    """Measure what is not yet made, record by record; then print the table and say whether the run is good."""
    records = list(made)
    controller = Controller(contests, run.request, staff.hire, ceilings=run.ceilings)
    controller.continue_from(records)
    with watcher() as progress:
        try:
            for batch in controller.batches(progress):
                writer.append_all(batch)
                records += batch
                for record in batch:
                    progress.recorded(record)
        except KeyboardInterrupt:
            click.echo(
                f"\ninterrupted: {len(records)} finished records are in {directory};"
                f" go on with: bitbench run --resume --out {directory}",
                err=True,
            )
            raise
    for ceilings in controller.ceilings:
        ceiling_cache.store(run.environment, ceilings)
    from harness.commands.show import render

    click.echo(render(store.load(directory)))
    click.echo(directory)
    return _exit_code(records)


def _exit_code(records: list[Record]) -> int:
    outcomes = {record.outcome for record in records}
    if "measured" not in outcomes:
        raise NothingMeasuredError(f"nothing was measured: {records[0].reason if records else 'no case was planned'}")
    return 1 if outcomes & {"failed", "crashed", "timed_out"} else 0


def _header(request: Request, staff: Staff, registry: Registry, contests: Sequence[Contest]) -> Run:
    environment: Environment = combine(machine(), staff.description.environment)
    started = datetime.now(UTC)
    aims = {name: aim_of(registry.suite(name), request) for name in request.suites}
    code: Revision = revision()
    commit = f"-{code.commit[:7]}" + ("-dirty" if code.dirty else "") if code.commit else ""
    return Run(
        id=f"{started:%Y%m%dT%H%M%SZ}-{'-'.join(request.suites)}{commit}",
        started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
        request=request,
        order=ORDER,
        rules=(*(in_words(name, aim) for name, aim in aims.items()), RULE),
        aims=aims,
        ceilings=staff.ceilings(contests, environment),
        environment=environment,
        revision=code,
        argv=shared.as_recorded(sys.argv[1:]),
    )
