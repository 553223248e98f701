"""Options that several commands share."""

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from harness.errors import UsageError
from harness.rules import Rules, read
from harness.spelling import parse_share
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
    default=None,
    metavar="P",
    help="Slowdown of a case that is tolerated, as in 5%; default 3%, or what the rules say.",
)


def rules_of(path: Path | None, margin: str | None) -> Rules:
    """The rules of a file, with the margin of the command line if there is one.

    Raises UsageError as `rules.read`, and for what is no share.
    """
    rules = read(path)
    if margin is None:
        return rules
    try:
        return msgspec.structs.replace(rules, margin=parse_share(margin))
    except UsageError as error:
        raise UsageError(f"--margin {error}") from error


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
