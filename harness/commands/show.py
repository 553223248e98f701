"""`bitbench show`: the result table of a stored run."""

from collections.abc import Collection, Sequence
from pathlib import Path

import click
import msgspec

from harness.analysis.ranking import led
from harness.analysis.view import View
from harness.analysis.whole_model.step import steps
from harness.commands import options
from harness.commands.values import Place, Words
from harness.errors import NothingMeasuredError, UsageError
from harness.model import StoredRun, known_metrics
from harness.model.metrics import select_metrics
from harness.show.ended import failures, failures_page, failures_table
from harness.show.model.steps import as_row
from harness.show.results import page, tidy, warnings
from harness.show.table import Format, pretty_json
from harness.show.table import render as render_blocks
from harness.store import load


@click.command("show", cls=options.ReadingCommand)
@click.argument("run", type=Place())
@options.metrics
@click.option(
    "--baseline",
    "baselines",
    type=Words(),
    multiple=True,
    metavar="IMPL",
    help="Show the speed-up over this; may be given several times; default the run's baselines, the fastest first.",
)
@click.option("--failures", "failed", is_flag=True, help="Only what failed: why, and where in whose code.")
@options.table_format
def command(run: Path, metrics: tuple[str, ...], baselines: tuple[str, ...], failed: bool, form: Format) -> None:
    """Print what the stored run in directory RUN measured, grouped by contest."""
    stored = load(run)
    if failed:
        click.echo(render_failures(stored, form))
        return
    _check(baselines, stored)
    _require_measured(metrics, stored)
    chosen = select_metrics(metrics, known_metrics(stored.run)) if metrics else ()
    click.echo(render(stored, form, chosen, baselines))
    if not any(record.outcome == "measured" for record in stored.records):
        raise NothingMeasuredError(
            f"{run}: no case was measured; run the suite again once what is printed above is mended"
        )


def _check(baselines: Sequence[str], stored: StoredRun) -> None:
    present = sorted({record.case.implementation for record in stored.records})
    for name in baselines:
        if name not in present:
            raise UsageError(f"--baseline {name!r} is not in this run; it has: {', '.join(present)}")


def render_failures(stored: StoredRun, form: Format) -> str:
    """What failed in a run, in any format."""
    found = failures(stored.records)
    if form == "text" or form == "markdown":
        return render_blocks(failures_page(found), form)
    table = failures_table(found)
    return table.csv() if form == "csv" else table.json()


def _require_measured(metrics: Sequence[str], stored: StoredRun) -> None:
    """Raise UsageError for a metric, or a word for several, of which there is nothing to show."""
    measured = {m.metric for record in stored.records for m in record.measurements if record.outcome == "measured"}
    known = known_metrics(stored.run)
    shown = [name for name, metric in known.items() if name in measured and not metric.distribution]
    for name in metrics if shown else ():
        if not select_metrics((name,), known) & set(shown):
            raise UsageError(f"--metric {name!r} was not measured in this run; it has: {', '.join(shown)}")


def render(
    stored: StoredRun, form: Format = "text", metrics: Collection[str] = (), baselines: Sequence[str] = ()
) -> str:
    """The result table of a run in any format. No `metrics` means the usual ones for people, all for machines.

    Without `baselines` they are those of the run, and the fastest of them comes first, as in the report.
    """
    for_people = form == "text" or form == "markdown"
    view = View.of(stored, metrics or (() if for_people else known_metrics(stored.run)), baselines)
    if not baselines:
        (view,) = led([view])
    if form == "text" or form == "markdown":
        return render_blocks(page(view, bars=form == "text"), form)
    if form == "csv":
        return tidy(view).csv()
    run = msgspec.to_builtins(stored.run)
    later = {"extensions": msgspec.to_builtins(stored.extensions)} if stored.extensions else {}
    of_models = [as_row(step) for step in steps(stored, view.results)]
    whole = {"steps": of_models} if of_models else {}
    return pretty_json({"run": run, **later, "warnings": warnings(view), **whole, "rows": tidy(view).as_dicts()})
