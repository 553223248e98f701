"""`bitbench compare`: two stored runs row by row."""

from pathlib import Path

import click

from harness.commands import options
from harness.commands.values import Place
from harness.errors import NothingMeasuredError
from harness.judge.judge import judge_runs
from harness.model import known_metrics
from harness.model.metrics import select_metrics
from harness.show.table import Format, pretty_json, render
from harness.show.verdicts import comparison_page, content, tidy
from harness.store import load


@click.command("compare", cls=options.ReadingCommand)
@click.argument("base", type=Place())
@click.argument("head", type=Place())
@options.metrics
@options.rules_file
@options.margin
@options.table_format
def command(
    base: Path, head: Path, metrics: tuple[str, ...], rules: Path | None, margin: str | None, form: Format
) -> None:
    """Print every row of the stored runs BASE and HEAD side by side, with its change and its verdict.

    The exit code does not judge: it is 0 when something was compared and 5 when nothing was. `bitbench gate` judges.
    """
    baseline, candidate = load(base), load(head)
    known = known_metrics(baseline.run, candidate.run)
    tolerated = options.rules_of(rules, margin, known)
    judgement = judge_runs(baseline, candidate, select_metrics(metrics, known), tolerated)
    if not judgement.pairs:
        raise NothingMeasuredError(f"neither {base} nor {head} measured any of the metrics asked for")
    if form == "csv":
        click.echo(tidy(judgement).csv())
    elif form == "json":
        click.echo(pretty_json(content(baseline, candidate, judgement)))
    else:
        click.echo(render(comparison_page(baseline, candidate, judgement), form))
    if not any(pair.comparison for pair in judgement.pairs):
        raise NothingMeasuredError(f"{base} and {head} share no case that both measured; run the same suites for both")
