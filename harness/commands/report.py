"""`bitbench report`: one self-contained HTML file from runs."""

from pathlib import Path

import click

from harness.errors import NothingMeasuredError
from harness.store import FILE_NAME, StoredRun, load


@click.command("report")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="RUN...")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The HTML file to write.")
@click.option("--figures", type=click.Path(path_type=Path), help="Also save each figure here, as SVG and PNG.")
def command(runs: tuple[Path, ...], output: Path, figures: Path | None) -> None:
    """Write one HTML file about RUN..., readable offline: answers, tables, figures, method and data.

    Prints the file's path.
    """
    stored = [_without_path(path) for path in runs]
    if not any(record.outcome == "measured" for run in stored for record in run.records):
        raise NothingMeasuredError("nothing was measured in these runs; `bitbench show RUN` prints the reasons")
    from harness.report import write  # late: pandas and seaborn take two seconds to import

    write(stored, output, figures)
    click.echo(output)


def _without_path(path: Path) -> StoredRun:
    """The run, with warnings that do not name its file: the page is to be the same wherever the run lies."""
    stored = load(path)
    file = path / FILE_NAME if path.is_dir() else path
    return StoredRun(stored.run, stored.records, tuple(text.removeprefix(f"{file}: ") for text in stored.warnings))
