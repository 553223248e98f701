"""What `bitbench run` does once it is known what is to be measured, in a new run or in one that goes on."""

from collections.abc import Sequence
from pathlib import Path

import click

from harness import store
from harness.errors import NothingMeasuredError
from harness.machine.ceilings import remember
from harness.model import Record, Run
from harness.runner.controller import Controller
from harness.runner.forecast import forecast
from harness.runner.pool import WorkerPool
from harness.runner.progress import watcher


def carry_out(
    controller: Controller, run: Run, writer: store.Writer, directory: Path, made: Sequence[Record] = ()
) -> int:
    """Measure what is not yet `made`, record by record; then print the table and say whether the run is good."""
    records = list(made)
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
        remember(run.environment, ceilings)
    from harness.commands.show import render

    stored = store.load(directory)
    click.echo(render(stored))
    click.echo(directory)
    return _exit_code(stored.records)


def tell(controller: Controller, pool: WorkerPool, made: Sequence[Record] = ()) -> None:
    """Print what would be measured, and measure nothing."""
    controller.continue_from(made)
    for line in forecast(controller, pool.description.unavailable):
        click.echo(line)


def _exit_code(records: Sequence[Record]) -> int:
    outcomes = {record.outcome for record in records}
    if "measured" not in outcomes:
        raise NothingMeasuredError(f"nothing was measured: {records[0].reason if records else 'no case was planned'}")
    return 1 if outcomes & {"failed", "crashed", "timed_out"} else 0
