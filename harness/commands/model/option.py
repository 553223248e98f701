"""The option that names the models of suites about whole models."""

import click

from harness.commands.options import Field
from harness.commands.values import Words
from harness.model.units import parse_names

models = click.option(
    "--model",
    "models",
    type=Words(),
    multiple=True,
    cls=Field,
    read=lambda texts: parse_names("--model", texts),
    metavar="MODEL",
    help="Of suites about whole models: a name, file or reference as `bitbench model` takes it.",
)
