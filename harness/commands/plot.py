"""`bitbench plot`: one figure of runs as a file, or its numbers."""

from pathlib import Path
from typing import Literal

import click

from harness.commands import options
from harness.commands.values import NewFile, Place
from harness.errors import StoreError, UsageError
from harness.model.units import choices
from harness.store import files, load

KINDS: tuple[Literal["svg", "png", "pdf", "csv"], ...] = ("svg", "png", "pdf", "csv")


@click.command("plot", cls=options.ReadingCommand)
@click.argument("name")
@click.argument("runs", nargs=-1, required=True, type=Place(), metavar="RUN...")
@click.option("-o", "--output", type=NewFile(), required=True, help=f"The file to write: {', '.join(KINDS)}.")
def command(name: str, runs: tuple[Path, ...], output: Path) -> None:
    """Draw the figure NAME of RUN... and print the file's path.

    A file that ends in .csv holds the numbers that are drawn.

    The names are those of the report's figures; any other name is answered with all of them.
    """
    kind = next((kind for kind in KINDS if output.suffix.lower() == f".{kind}"), None)
    if kind is None:
        raise UsageError(f"cannot write {output}: choose a name that ends in {', '.join(f'.{one}' for one in KINDS)}")
    stored = [load(run) for run in runs]
    from harness.show.plots import PLOTS, draw, svg  # late: pandas and matplotlib take a second to import

    if name not in PLOTS:
        raise UsageError(f"unknown figure {name!r}; {choices(name, PLOTS)}")
    figure, frame = draw(name, stored)
    content = svg.render(figure, kind) if kind != "csv" else frame.to_csv(index=False, lineterminator="\n").encode()
    try:
        files.replace(output, content)
    except OSError as error:
        raise StoreError(f"cannot write {output}: {error.strerror}; choose another place with -o") from error
    click.echo(output)
