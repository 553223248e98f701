"""`bitbench history`: keep runs, and show, draw and report their series."""

from pathlib import Path
from typing import get_args

import click

from harness.commands import options
from harness.commands.history.adding import add_runs
from harness.commands.history.reading import chosen_series, selection
from harness.commands.values import NewFile, Place
from harness.errors import StoreError, UsageError
from harness.show.table import Format, pretty_json, render
from harness.store import files
from harness.store.places import HISTORY

KINDS = ("svg", "png", "pdf", "csv")


@click.group("history", cls=options.Group)
def command() -> None:
    """Keep months of runs in a folder of Parquet files, and tell when a case became slower or faster.

    Needs pyarrow and ruptures: pip install 'bitlinear-bench[history]'.
    """


@command.command("add", cls=options.ReadingCommand)
@click.argument("runs", nargs=-1, required=True, type=Place(), metavar="RUN...")
@click.option("--to", "folder", type=Place(), default=HISTORY, show_default=True, metavar="FOLDER")
def add_command(runs: tuple[Path, ...], folder: Path) -> None:
    """Add RUN... to the history in FOLDER, a Parquet file each; prints what became of each.

    The directory of a gate stands for its two runs. A run counts once however often it is added; one that went on
    is brought up to date. The files of the runs stay as they are.
    """
    for line in add_runs(runs, folder):
        click.echo(line)


@command.command("show", cls=options.ReadingCommand)
@selection
@click.option("--changes", "only_changes", is_flag=True, help="Only the changes.")
@options.table_format
def show_command(
    folder: Path, metrics: tuple[str, ...], keyword: str | None, machine: str | None, only_changes: bool, form: Format
) -> None:
    """Print the series of the history in FOLDER, and where each changed, with commits, size and interval."""
    series = chosen_series(folder, metrics, keyword, machine)
    from harness.show.history.table import changes_table, page, series_table

    for_people = form in ("text", "markdown")
    changes, everything = (make(series, for_people=for_people) for make in (changes_table, series_table))
    table = changes if only_changes else everything
    if form == "csv":
        click.echo(table.csv())
    elif form == "json":
        rest = {} if only_changes else {"series": everything.as_dicts()}
        click.echo(pretty_json({"changes": changes.as_dicts(), **rest}))
    elif only_changes:
        click.echo(render([changes if changes.rows else "no changes"], form))
    else:
        click.echo(render(page(series), form))


@command.command("plot", cls=options.ReadingCommand)
@selection
@click.option("-o", "--output", type=NewFile(), required=True, help=f"The file to write: {', '.join(KINDS)}.")
def plot_command(
    folder: Path, metrics: tuple[str, ...], keyword: str | None, machine: str | None, output: Path
) -> None:
    """Draw the series that changed most, a panel each, and print the file's path. A .csv holds the numbers."""
    kind = output.suffix.lower().removeprefix(".")
    if kind not in KINDS:
        raise UsageError(f"cannot write {output}: choose a name that ends in {', '.join(f'.{one}' for one in KINDS)}")
    series = chosen_series(folder, metrics, keyword, machine)
    from harness.show.history.figure import small_multiples
    from harness.show.plots import svg

    figure, frame = small_multiples(series)
    drawable = next((one for one in get_args(svg.Kind) if one == kind), None)
    numbers = frame.to_csv(index=False, lineterminator="\n").encode()
    _write(output, svg.render(figure, drawable) if drawable else numbers)


@command.command("report", cls=options.ReadingCommand)
@selection
@click.option("-o", "--output", type=NewFile(), required=True, help="The HTML file to write.")
def report_command(
    folder: Path, metrics: tuple[str, ...], keyword: str | None, machine: str | None, output: Path
) -> None:
    """Write one HTML file of the history, readable offline: changes, small multiples, every series."""
    series = chosen_series(folder, metrics, keyword, machine)
    from harness.show.history.page import render as render_page

    _write(output, render_page(series).encode())


def _write(output: Path, content: bytes) -> None:
    try:
        files.replace(output, content)
    except OSError as error:
        raise StoreError(f"cannot write {output}: {error.strerror}; choose another place with -o") from error
    click.echo(output)
