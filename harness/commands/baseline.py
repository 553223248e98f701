"""`bitbench baseline`: which run changes are gated against, and why it was accepted."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from harness.commands import options
from harness.commands.values import Place
from harness.judge.baseline import Accepted, accept, accepted, default_place
from harness.show.run_header import describe_run
from harness.show.table import Block, Column, Format, Table, pretty_json, render
from harness.store import load


@click.group("baseline", cls=options.Group)
def command() -> None:
    """Keep the run that changes are gated against, with the reason why it was accepted."""


@command.command("accept", cls=options.Command)
@click.argument("run", type=Place())
@click.option("--as", "place", type=Place(), metavar="DIR", help="Default results/baselines/SUITES.")
@click.option("--reason", required=True, metavar="TEXT", help="Why the numbers moved.")
@click.option("--allow-dirty", is_flag=True, help="Accept a run of a checkout with changes that were not committed.")
def accept_command(run: Path, place: Path | None, reason: str, allow_dirty: bool) -> None:
    """Make RUN the baseline in DIR, and write down why in accepted.jsonl beside it.

    The run is copied whole or not at all. One in which a case failed or crashed is refused, and one that measured
    nothing.
    """
    target = place or default_place(load(run))
    when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    line = accept(run, target, reason=reason, when=when, allow_dirty=allow_dirty)
    against = f" against {line.previous}: {_counts(line.changes)}" if line.previous else ", the first"
    click.echo(f"{target}: accepted {line.run}{against}")


@command.command("show", cls=options.Command)
@click.argument("place", metavar="DIR", type=Place())
@options.table_format
def show_command(place: Path, form: Format) -> None:
    """Print which run is the baseline in DIR, what it holds, and when and why each was accepted."""
    stored = load(place)
    log = accepted(place)
    table = _table(log)
    outcomes = Counter(record.outcome.replace("_", " ") for record in stored.records)
    if form == "csv":
        click.echo(table.csv())
    elif form == "json":
        click.echo(pretty_json({"run": stored.run, "outcomes": outcomes, "accepted": log}))
    else:
        lines = [describe_run(stored.run), f"records: {_counts(outcomes)}"]
        if not log:
            lines.append("nobody wrote down why it was accepted; `bitbench baseline accept` does")
        elif log[-1].run != stored.run.id:
            lines.append(f"warning: the last one accepted is {log[-1].run}, so that this one was put here otherwise")
        blocks: list[Block] = ["\n".join(lines)]
        click.echo(render([*blocks, table] if log else blocks, form))


def _table(log: list[Accepted]) -> Table:
    """The last one first."""
    columns = tuple(map(Column, ("when", "run", "commit", "against the one before", "reason")))
    rows = [
        [
            line.when,
            line.run,
            line.revision.commit[:7] + " with changes" * line.revision.dirty,
            _counts(line.changes) if line.previous else "the first",
            line.reason,
        ]
        for line in reversed(log)
    ]
    return Table("", columns, rows)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {word.replace('_', ' ')}" for word, count in counts.items()) or "nothing to compare"
