"""`bitbench fleet`: the same suites on many machines."""

import click

from harness.commands import options
from harness.commands.fleet.processes import scheduler, worker
from harness.commands.fleet.run import run_command


@click.group("fleet", cls=options.Group)
def command() -> None:
    """Measure on many machines at once, by Dask (pip install bitlinear-bench[fleet])."""


command.add_command(run_command)
command.add_command(scheduler)
command.add_command(worker)
