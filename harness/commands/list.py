"""`bitbench list`: what can be run."""

import click

from harness.commands import options
from harness.model.suite import Suite
from harness.runner.packages import declared_suites, registry_for
from harness.runner.process import WorkerProcess
from harness.show.table import Column, Table


@click.command("list", cls=options.Command)
@options.package
def command(package: str) -> None:
    """Suites with their axes, and implementations with one line each."""
    registry = registry_for((), package)
    worker = WorkerProcess(registry.module)
    try:
        description = worker.describe()
    finally:
        worker.close()
    suites = [[suite.name, suite.summary, _axes(suite)] for suite in registry.suites.values()]
    found, doubts = ({}, ()) if package else declared_suites()
    suites += [[name, one.summary, ""] for name, one in found.items()]
    implementations = [
        [name, summary + (f" (not here: {description.unavailable[name]})" if name in description.unavailable else "")]
        for name, summary in description.implementations.items()
    ]
    click.echo(Table("suites", (Column("suite"), Column("what it measures"), Column("default axes")), suites).text())
    click.echo(Table("implementations", (Column("implementation"), Column("what it is")), implementations).text())
    for doubt in (*doubts, *description.doubts):
        click.echo(f"bitbench: {doubt}", err=True)


def _axes(suite: Suite) -> str:
    return " ".join(f"{axis.name}={','.join(map(str, axis.values))}" for axis in suite.axes)
