"""`bitbench env`: what a run started now would record of its machine and revision."""

from typing import get_args

import click
import msgspec

from harness.commands import options
from harness.errors import InvalidEnvironmentError
from harness.machine import checkup
from harness.machine.environment import combine, machine
from harness.machine.revision import revision
from harness.model import Environment, Revision
from harness.model.environment import labels_in_words
from harness.model.units import amount
from harness.runner.process import describe_torch
from harness.show.table import Cell, Column, Format, Table, pretty_json

SEVERITIES = get_args(checkup.Severity)


@click.command("env", cls=options.Command)
@click.option("--check", is_flag=True, help="Say instead what makes this machine noisy, and how to quiet it.")
@options.table_format
def command(check: bool, form: Format) -> None:
    """Print what machine and software this is, as every run records it. No host name, user name or path is in it.

    With --check, exit code 4 says that measuring here would be meaningless; what is only noisy gives 0.
    """
    if check:
        _check(form)
        return
    environment = combine(machine(), describe_torch())
    code = revision()
    if form == "json":
        content = {"environment": msgspec.to_builtins(environment), "revision": msgspec.to_builtins(code)}
        click.echo(pretty_json(content))
        return
    _print(Table("", (Column("what"), Column("value")), _rows(environment, code)), form)


def _check(form: Format) -> None:
    """The noisiest first. Raises InvalidEnvironmentError where measuring would be meaningless."""
    findings = sorted(checkup.check(), key=lambda finding: SEVERITIES.index(finding.severity))
    columns = (Column("what"), Column("state"), Column("found"), Column("to quiet it"))
    _print(Table("", columns, [(one.topic, one.severity, one.what, one.cure) for one in findings]), form)
    worst = [finding for finding in findings if finding.severity == SEVERITIES[0]]
    if worst:
        raise InvalidEnvironmentError(f"measuring here would be meaningless: {worst[0].what}; {worst[0].cure}")


def _print(table: Table, form: Format) -> None:
    prints = {"text": table.text, "markdown": table.markdown, "csv": table.csv, "json": table.json}
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
        ("machine", here.machine or "not known"),
        ("labels", labels_in_words(here) or "none"),
        ("variables", " ".join(f"{name}={value}" for name, value in here.variables.items()) or "none that matter"),
        ("revision", _words(code)),
    ]


def _words(code: Revision) -> str:
    if not code.commit:
        return "not from a git commit"
    return code.commit + (", with uncommitted changes" if code.dirty else "")
