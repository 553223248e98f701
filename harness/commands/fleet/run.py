"""`bitbench fleet run`: one run on each of many machines, and all of them in one place."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from harness import store
from harness.commands import options
from harness.commands.options import Asked
from harness.commands.run import measuring
from harness.commands.values import Place, Whole, Words
from harness.errors import InvalidEnvironmentError, UsageError
from harness.machine.revision import revision
from harness.model.units import parse_duration
from harness.runner.fleet.cluster import FORMS, opened
from harness.runner.fleet.fleet import Fleet
from harness.runner.fleet.hub import Hub, Job
from harness.runner.fleet.machines import parse_tags
from harness.runner.packages import registry_for
from harness.runner.plan import check_names
from harness.runner.session import with_chosen_metrics
from harness.show.kinds import sentences
from harness.show.table import Column, Table
from harness.store.places import FLEETS, new_name

OURS = ("--cluster", "--on", "--out", "--patience", "--machines")
"""Options that say where is measured; all others are for the runs."""
MOST_MACHINES = 10_000


@click.command("run", cls=options.Command)
@measuring
@click.option("--cluster", type=Words(), required=True, metavar="SPEC", help=f"{FORMS}.")
@click.option(
    "--on",
    type=Words(),
    multiple=True,
    metavar="NAME=VALUE",
    help="Only machines that are like this: cpu=EPYC, gpu=h200, isa=amx_int8, or a label; may be given several times.",
)
@click.option("--out", type=Place(), default=None, metavar="HUB", help="The folder in which the runs come together.")
@click.option("--go-on", is_flag=True, help="Begin the fleet in --out, or go on with what is there of it.")
@click.option("--patience", type=Words(), default="2m", show_default=True, metavar="TIME", help="Wait so long for one.")
@click.option("--machines", type=Whole(1, MOST_MACHINES), default=1, show_default=True, help="Begin with so many.")
def run_command(
    asked: Asked, cluster: str, on: tuple[str, ...], out: Path | None, go_on: bool, patience: str, machines: int
) -> int:
    """Measure SUITE... once on every machine of a cluster, or on those that are meant by --on.

    Each makes one whole `bitbench run` of the same code with all its cores and nothing else beside it. The records
    come while they are made: HUB/MACHINE is a run that can be read at any time. A run that is cut off goes on where it
    was begun, and begins anew on another machine of the same kind if its own is gone for longer than --patience. The
    same command with --go-on --out HUB goes on whatever ended it.

    The exit code is that of the worst run, and 4 where a machine is missing.
    """
    request = asked.request
    if not request.suites:
        raise UsageError("name at least one suite, as in `bitbench fleet run quick --cluster local:1`")
    if go_on and out is None:
        raise UsageError("--go-on needs --out HUB, the folder of the fleet to go on with")
    registry = registry_for(request.suites, request.package)
    check_names(with_chosen_metrics(request, registry), registry)
    tags, seconds = parse_tags(on), parse_duration(patience)
    with Hub(out or _new_place(), _for_runs(sys.argv[1:]), tags, go_on) as hub:
        try:
            with opened(cluster) as there:
                Fleet(there, hub, seconds, lambda line: click.echo(line, err=True), machines).carry_out()
        except KeyboardInterrupt as stop:
            stop.add_note(f"interrupted: what came is in {hub.directory}; go on by the same command with --go-on")
            raise
        return _told(hub)


def _new_place() -> Path:
    store.make_unseen(FLEETS)
    return FLEETS / new_name(datetime.now(UTC), "fleet", revision())


def _for_runs(arguments: list[str]) -> tuple[str, ...]:
    """The words of this command that every `bitbench run` of the fleet is told."""
    own = arguments[arguments.index("fleet") + 2 :]
    return tuple(options.without(own, OURS, ("--go-on",)))


def _told(hub: Hub) -> int:
    """Print what became of every run; the exit code. Raises InvalidEnvironmentError where one has no machine."""
    jobs = hub.plan.jobs
    columns = (Column("machine"), Column("records", "right"), Column("ended"))
    rows = [(job.words, _records(hub, job), f"{job.state}{f': {job.reason}' * bool(job.reason)}") for job in jobs]
    click.echo(Table("", columns, rows).text())
    for line in sentences(store.load(hub.directory / job.name) for job in jobs if job.state == "done"):
        click.echo(line)
    click.echo(hub.directory)
    if unplaced := [job for job in jobs if job.state == "unplaced"]:
        raise InvalidEnvironmentError(unplaced[0].reason)
    failed = [job.code or InvalidEnvironmentError.exit_code for job in jobs if job.state == "failed"]
    return max(failed, default=max((job.code for job in jobs), default=0))


def _records(hub: Hub, job: Job) -> str:
    place = hub.directory / job.name
    return str(len(store.load(place).records)) if store.is_begun(place) else ""
