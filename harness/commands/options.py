"""Options that several commands share."""

import click

from harness.table import FORMATS

table_format = click.option(
    "--format", "form", type=click.Choice(FORMATS), default="text", show_default=True, help="How to print."
)
metrics = click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Only this metric, or all `exact`, `sampled` or `portable` ones; may be given several times.",
)
margin = click.option(
    "--margin",
    type=click.FloatRange(0, 100, min_open=True),
    default=5.0,
    show_default=True,
    metavar="PERCENT",
    help="Slowdown that is tolerated.",
)
