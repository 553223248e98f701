"""`bitbench fleet scheduler` and `worker`: the processes of Dask, as quiet as they have to be beside what is timed."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import click

from harness.commands import options
from harness.commands.run import die_with_parent, labels
from harness.commands.values import Place, Whole, Words
from harness.errors import UsageError
from harness.machine.identity import LABELLED
from harness.runner.fleet import quiet
from harness.runner.fleet.cluster import require_dask


@click.command("scheduler", cls=options.Command)
@click.option("--host", type=Words(), default="127.0.0.1", show_default=True, help="The address to be reached at.")
@click.option("--port", type=Whole(0, 65535), default=8786, show_default=True, help="0 for any that is free.")
@click.option("--file", type=Place(), default=None, metavar="FILE", help="Write down there where it can be reached.")
@die_with_parent
def scheduler(host: str, port: int, file: Path | None) -> NoReturn:
    """Start the scheduler of a fleet here, and serve until it is ended.

    Anybody who reaches its port can run any code on its machines: keep it inside a network that you trust.
    """
    require_dask()
    _become(quiet.scheduler_words(host, port, str(file) if file else ""), quiet.as_variables(quiet.QUIET, quiet.STRICT))


@click.command("worker", cls=options.Command)
@click.argument("address", type=Words(), required=False)
@click.option("--scheduler-file", type=Place(), default=None, metavar="FILE", help="Instead of ADDRESS; see scheduler.")
@labels
@die_with_parent
def worker(address: str | None, scheduler_file: Path | None, labels: dict[str, str]) -> NoReturn:
    """Offer this machine to the scheduler at ADDRESS, as in tcp://host:8786, and make its runs until it is ended.

    One at a time. Suites of the user's own are found from the current folder.
    """
    if (address is None) == (scheduler_file is None):
        raise UsageError(
            "say where the scheduler is: `bitbench fleet worker tcp://host:8786`, or --scheduler-file FILE"
        )
    require_dask()
    there = [address] if address else ["--scheduler-file", str(scheduler_file)]
    told = {LABELLED: ",".join(f"{name}={value}" for name, value in labels.items())} if labels else {}
    _become(quiet.worker_words(there), quiet.as_variables(quiet.QUIET) | told)


def _become(words: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Nothing of ours stays beside it."""
    os.execve(words[0], list(words), {**os.environ, **variables})
