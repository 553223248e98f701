"""`bitbench export`: a run in the format of another benchmark tool."""

from pathlib import Path

import click

from harness.commands import options
from harness.commands.values import NewFile, Place
from harness.errors import NothingMeasuredError, StoreError, UsageError
from harness.model import known_metrics
from harness.model.metrics import select_metrics
from harness.show.exporters.registry import EXPORTERS
from harness.show.exporters.selection import Selection
from harness.store import files, load


@click.command("export", cls=options.ReadingCommand)
@click.argument("run", type=Place())
@click.option("--as", "tool", type=click.Choice(tuple(EXPORTERS)), required=True, help="The tool that is to read it.")
@click.option(
    "-o", "--output", type=NewFile(), help="The file to write; by default it is printed, if the format is of one file."
)
@options.metrics
def command(run: Path, tool: str, output: Path | None, metrics: tuple[str, ...]) -> None:
    """Write the stored run in directory RUN as another tool's file, and print the file's path.

    Only cases that were measured to their end are written; the others are named on stderr. The exit code is 5 when no
    case was.
    """
    stored = load(run)
    selection = Selection.of(stored, select_metrics(metrics, known_metrics(stored.run)))
    written = EXPORTERS[tool](selection)
    for why in (*selection.left_out, *written.left_out):
        click.echo(f"left out: {why}", err=True)
    if not written.documents or not selection.results:
        raise NothingMeasuredError(f"{run} has nothing that {tool} can read; `bitbench show` says what it has")
    if output is None:
        if any(written.documents):
            raise UsageError(f"--as {tool} writes a file for each direction that is better: name them by -o FILE")
        click.echo(written.documents[""])
        return
    for end, text in written.documents.items():
        path = output.with_name(f"{output.stem}{end}{output.suffix}")
        try:
            files.replace(path, text.encode())
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}; choose another place with -o") from error
        click.echo(path)
