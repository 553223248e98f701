"""`bitbench report`: one self-contained HTML file from runs."""

from dataclasses import replace
from pathlib import Path

import click

from harness.commands import options
from harness.commands.values import Folder, NewFile, Place
from harness.errors import NothingMeasuredError
from harness.gate.runs import is_gate, sides
from harness.model import StoredRun, known_metrics
from harness.model.suite import DEFAULT_MODULE, Registry
from harness.store import load


@click.command("report", cls=options.ReadingCommand)
@click.argument("runs", nargs=-1, required=True, type=Place(), metavar="RUN...")
@click.option("-o", "--output", type=NewFile(), required=True, help="The HTML file to write.")
@click.option("--figures", type=Folder(), help="Also save each figure here, as SVG and PNG.")
@options.rules_file
@options.margin
def command(runs: tuple[Path, ...], output: Path, figures: Path | None, rules: Path | None, margin: str | None) -> None:
    """Write one HTML file about RUN..., readable offline: answers, tables, figures, method and data.

    The directory of a gate stands for its two runs, which are judged by the rules. Prints the file's path.
    """
    each = [path for run in runs for path in (sides(run) if is_gate(run) else (run,))]
    stored = [_without_path(path) for path in each]
    tolerated = options.rules_of(rules, margin, known_metrics(*(one.run for one in stored)))
    if not any(record.outcome == "measured" for run in stored for record in run.records):
        raise NothingMeasuredError("nothing was measured in these runs; `bitbench show RUN` prints the reasons")
    from harness.show.report import write  # late: pandas and matplotlib take a second to import

    write(stored, output, figures, tolerated, Registry.load(DEFAULT_MODULE).usage)
    click.echo(output)


def _without_path(path: Path) -> StoredRun:
    """The run, with warnings that do not name its file: the page is to be the same wherever the run lies."""
    return replace(load(path), file="")
