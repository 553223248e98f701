"""`bitbench import`: files of other benchmark tools become a run."""

from pathlib import Path

import click

from harness.commands import options
from harness.commands.values import Folder, Place
from harness.store import create, create_in
from harness.store.importers.assembly import imported
from harness.store.importers.registry import FORMATS
from harness.store.places import RUNS


@click.command("import", cls=options.ReadingCommand)
@click.argument("files", nargs=-1, required=True, type=Place(), metavar="FILE...")
@click.option("--out", type=Folder(), help="The folder of the run; by default results/runs/ID.")
@click.option(
    "--from", "tool", type=click.Choice(tuple(FORMATS)), help="The tool that wrote them; by default told by content."
)
def command(files: tuple[Path, ...], out: Path | None, tool: str | None) -> None:
    """Make one run of FILE..., which another benchmark tool wrote, and print its directory.

    Several files are several processes of one set of benchmarks, on one machine and commit: their rounds follow each
    other. A folder is one of asv or criterion.
    """
    run, records = imported(files, tool or "")
    place, writer = (out, create(out, run)) if out else create_in(RUNS, run)
    with writer:
        writer.append_all(records)
    ended = sum(record.outcome != "measured" for record in records)
    if ended:
        click.echo(f"{ended} of {len(records)} rounds were not measured; `bitbench show` has the reasons", err=True)
    click.echo(place)
