"""`bitbench env`: what a run started now would record of its machine and revision."""

import click
import msgspec

from harness.commands import options
from harness.environment import combine, machine, revision
from harness.model import Environment, Revision
from harness.process import describe_torch
from harness.quantity import amount
from harness.table import Cell, Column, Format, Table, pretty_json


@click.command("env")
@options.table_format
def command(form: Format) -> None:
    """Print what machine and software this is, as every run records it. No host name, user name or path is in it."""
    environment = combine(machine(), describe_torch())
    code = revision()
    if form == "json":
        content = {"environment": msgspec.to_builtins(environment), "revision": msgspec.to_builtins(code)}
        click.echo(pretty_json(content))
        return
    table = Table("", (Column("what"), Column("value")), _rows(environment, code))
    prints = {"text": table.text, "markdown": table.markdown, "csv": table.csv}
    click.echo(prints[form]())


def _rows(here: Environment, code: Revision) -> list[tuple[Cell, Cell]]:
    return [
        ("processor", here.cpu_model),
        ("instruction sets", " ".join(here.instruction_sets) or "none known"),
        ("cores", f"{here.cores_physical} physical, {here.cores_logical} logical, {here.affinity} usable"),
        ("frequency governor", here.governor),
        ("memory", amount(here.memory_bytes, "B")),
        ("operating system", here.operating_system),
        ("python", here.python),
        ("torch", here.torch),
        ("BLAS", here.blas),
        ("torch threads", here.torch_threads),
        ("GPU", here.gpu),
        ("GPU driver", here.driver),
        ("load average", f"{here.load_average:.2f}"),
        ("revision", _words(code)),
    ]


def _words(code: Revision) -> str:
    if not code.commit:
        return "not from a git commit"
    return code.commit + (", with uncommitted changes" if code.dirty else "")
