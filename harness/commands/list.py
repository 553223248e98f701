"""`bitbench list`: what can be run."""

import click

from harness.commands import options
from harness.model.suite import DEFAULT_MODULE, Registry, Suite
from harness.runner.process import WorkerProcess
from harness.show.table import Column, Table


@click.command("list", cls=options.Command)
def command() -> None:
    """Suites with their axes, and implementations with one line each."""
    registry = Registry.load(DEFAULT_MODULE)
    worker = WorkerProcess(registry.module)
    try:
        description = worker.describe()
    finally:
        worker.close()
    suites = [[suite.name, suite.summary, _axes(suite)] for suite in registry.suites.values()]
    implementations = [
        [name, summary + (f" (not here: {description.unavailable[name]})" if name in description.unavailable else "")]
        for name, summary in description.implementations.items()
    ]
    click.echo(Table("suites", (Column("suite"), Column("what it measures"), Column("default axes")), suites).text())
    click.echo(Table("implementations", (Column("implementation"), Column("what it is")), implementations).text())
    for doubt in description.doubts:
        click.echo(f"bitbench: {doubt}", err=True)


def _axes(suite: Suite) -> str:
    return " ".join(f"{axis.name}={','.join(map(str, axis.values))}" for axis in suite.axes)
