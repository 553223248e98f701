"""The section on bytes: what is stored, what stays resident, what a call allocates, exactly."""

from pathlib import Path

from harness.analysis.results import Result, of_run
from harness.model.units import amount
from harness.show.table import Cell, Column, Table
from suites.device_check.section import FAILED, Section, run_in, told

METRICS = ("weight_bytes", "bits_per_weight", "resident_bytes", "peak_forward_bytes", "reserved_bytes")
PLACE = ("scheme", "m", "n", "k")


def section(out: Path, name: str) -> Section:
    """Of the run with this name, as far as it came."""
    run = run_in(out, name)
    results = list(of_run(run).values()) if run else []
    known = {metric.name: metric for result in results for metric in result.metrics}
    metrics = [known[metric] for metric in METRICS if metric in known]
    columns = (
        Column("contestant"),
        Column("scheme"),
        Column("M", "right"),
        Column("N x K"),
        *(Column(metric.heading or metric.name.replace("_", " "), "right") for metric in metrics),
    )
    rows = [_row(one, [metric.name for metric in metrics]) for one in results if one.measured]
    ends = [result.end for result in results if result.end]
    doubts = sorted({text for result in results for record in result.records for text in record.warnings})
    return Section(
        "Bytes",
        [Table("", columns, rows), *(["\n".join(doubts)] if doubts else [])] if rows else [],
        [told(end, *PLACE) for end in ends if end.outcome in FAILED],
        [told(end, *PLACE) for end in ends if end.outcome == "skipped"],
        bool(rows),
    )


def _row(result: Result, metrics: list[str]) -> list[Cell]:
    params = result.case.params
    head: list[Cell] = [result.case.implementation, params["scheme"], params["m"], f"{params['n']} x {params['k']}"]
    return [*head, *(_cell(result, metric) for metric in metrics)]


def _cell(result: Result, metric: str) -> str:
    summary = result.summary(metric)
    return amount(summary.centre, result.known[metric].unit, 4) if summary else ""
