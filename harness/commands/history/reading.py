"""The series that a command is asked about."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.values import Place, Words
from harness.errors import NothingMeasuredError, UsageError
from harness.model.filters import parse
from harness.model.units import choices
from harness.store.history import arrow_field, read
from harness.store.places import HISTORY

if TYPE_CHECKING:
    from harness.analysis.history.series import Series

USUAL, ALL = "latency", "all"
"""The metric that is shown unless others are asked for and it was measured, and the word for all of them."""


def selection(function: Callable[..., Any]) -> Callable[..., Any]:
    """The folder, and which of its series."""
    for option in (
        click.option("--machine", type=Words(), default=None, metavar="KIND", help="Only this kind of machine."),
        click.option("-k", "keyword", type=Words(), default=None, metavar="EXPR", help="Only cases with such names."),
        click.option(
            "--metric",
            "metrics",
            type=Words(),
            multiple=True,
            metavar="NAME",
            help="Only this metric, or `all`; default latency; may be given several times.",
        ),
        click.argument("folder", type=Place(), default=HISTORY, metavar="[FOLDER]"),
    ):
        function = option(function)
    return function


def chosen_series(folder: Path, metrics: Sequence[str], keyword: str | None, machine: str | None) -> "list[Series]":
    """Those of the history in `folder`. Raises UsageError for a metric or machine that it does not have.

    Raises NothingMeasuredError where no case has such a name, StoreError for what is no history.
    """
    _require_ruptures()
    from harness.analysis.history.series import COLUMNS, series_of  # late: pandas takes a second to import

    matches = parse(keyword or "")
    frame = read(folder, COLUMNS, _where(metrics or (USUAL,), machine))
    if frame.empty:
        _require_known(folder, metrics, machine)
        frame = read(folder, COLUMNS, _where(metrics or (ALL,), machine))
    series = [one for one in series_of(frame) if matches(one.case)]
    if not series:
        raise NothingMeasuredError(f"{folder} has no series of these cases; leave out -k, --metric or --machine")
    return series


def _where(metrics: Sequence[str], machine: str | None) -> Any:
    """The rows that are wanted, as an expression of pyarrow."""
    field = arrow_field()
    where = field("is_first")
    if ALL not in metrics:
        where &= field("metric").isin(list(metrics))
    return where & (field("machine_kind") == machine) if machine else where


def _require_known(folder: Path, metrics: Sequence[str], machine: str | None) -> None:
    held = read(folder, ("metric", "machine_kind"))
    measured, kinds = (sorted(held[name].dropna().astype(str).unique()) for name in ("metric", "machine_kind"))
    for metric in metrics:
        if metric not in (*measured, ALL):
            raise UsageError(f"--metric {metric!r} is not in this history; {choices(metric, [*measured, ALL])}")
    if machine and machine not in kinds:
        raise UsageError(f"--machine {machine!r} is not in this history; {choices(machine, kinds)}")


def _require_ruptures() -> None:
    from importlib.util import find_spec

    if find_spec("ruptures") is None:
        raise UsageError("change points need ruptures: pip install 'bitlinear-bench[history]'")
