"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from harness.rules import Rules, read
from harness.table import FORMATS

PLACES = ("--out", "--rules")

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
rules_file = click.option(
    "--rules",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FILE",
    help="Margins, tolerances and their reasons; default gate.toml, if it is here.",
)
margin = click.option(
    "--margin",
    type=click.FloatRange(0, 100, min_open=True),
    default=None,
    metavar="PERCENT",
    help="Slowdown of a case that is tolerated; default 3, or what the rules say.",
)


def rules_of(path: Path | None, margin: float | None) -> Rules:
    """The rules of a file, with the margin of the command line if there is one. Raises UsageError as `rules.read`."""
    rules = read(path)
    return rules if margin is None else msgspec.structs.replace(rules, margin=margin / 100)


def as_recorded(arguments: Sequence[str]) -> tuple[str, ...]:
    """The command less --out, --rules and --resume: none of them matters to what is measured."""
    kept = ["bitbench"]
    words = iter(arguments)
    for word in words:
        if word in PLACES:
            next(words, None)
        elif word != "--resume" and not word.startswith(tuple(f"{name}=" for name in PLACES)):
            kept.append(word)
    return tuple(kept)
