"""`bitbench gate`: judge a run against a baseline; the exit code is the verdict."""

from pathlib import Path
from typing import get_args

import click

from harness.commands import options
from harness.errors import UsageError
from harness.gate import Policy, exit_code, judge_runs
from harness.metric import METRICS, select_metrics
from harness.store import load
from harness.table import Format, pretty_json, render
from harness.verdict_table import content, gate_page, tidy


@click.command("gate")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("head", type=click.Path(path_type=Path))
@options.metrics
@options.margin
@click.option(
    "--policy",
    type=click.Choice(get_args(Policy)),
    default="release",
    show_default=True,
    help="pr: an inconclusive row is shown and does not fail; release: it fails with exit code 3.",
)
@options.table_format
def command(base: Path, head: Path, metrics: tuple[str, ...], margin: float, policy: Policy, form: Format) -> int:
    """Judge the stored run HEAD against the stored run BASE.

    Exit codes, the first that applies: 1 something regressed or is wrong, 5 something in BASE was not measured in
    HEAD or nothing was judged, 2 latencies come from machines that are not alike (--metric exact gates the rest),
    3 inconclusive, 0 all judged rows are ok or improved.
    """
    chosen = select_metrics(metrics)
    if all(METRICS[name].informative for name in chosen):
        raise UsageError(f"--metric {', '.join(sorted(chosen))}: shown, never judged; name a metric that is judged")
    baseline, candidate = load(base), load(head)
    judgement = judge_runs(baseline, candidate, chosen, margin / 100)
    code = exit_code(judgement.judged, policy)
    if form == "csv":
        click.echo(tidy(judgement).csv())
    elif form == "json":
        click.echo(pretty_json({"exit_code": code, "policy": policy, **content(baseline, candidate, judgement)}))
    else:
        click.echo(render(gate_page(baseline, candidate, judgement, policy), form))
    return code
