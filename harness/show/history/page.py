"""A history as one HTML page in the look of the report: everything inline, readable without JavaScript."""

from collections.abc import Sequence
from importlib.resources import files

from markupsafe import Markup

from harness.analysis.history.series import Series
from harness.errors import NothingMeasuredError
from harness.show.history.figure import small_multiples
from harness.show.history.table import changes_table, series_table
from harness.show.plots import svg
from harness.show.report.page import source_hash, templates
from harness.show.report.sections import PageFigure
from harness.show.report.tables import Heading, Sheet, SheetRow
from harness.show.report.terms import explanations
from harness.show.table import Table

_ROWS = 1000
"""Rows of a table; nobody reads more of them."""


def render(series: Sequence[Series]) -> str:
    """The page of these series. Raises NothingMeasuredError where there are none."""
    if not series:
        raise NothingMeasuredError("the history holds nothing of these cases and metrics")
    style, script = (
        files("harness.show.report").joinpath(name).read_text("utf-8") for name in ("report.css", "report.js")
    )
    changes = [change for one in series for change in one.changes]
    runs = {run for one in series for run in one.runs}
    return (
        templates("harness.show.history")
        .get_template("history.html.j2")
        .render(
            changes=_sheet(changes_table(series), "changes", "Changes"),
            worse=sum(change.is_worse for change in changes),
            better=sum(not change.is_worse for change in changes),
            figure=_figure(series),
            every=_sheet(series_table(series), "series", "Every series"),
            machines=sorted({one.machine_kind: one.machine for one in series}.items()),
            counts=f"{len(runs)} runs, {len(series)} series",
            terms=explanations(),
            style=Markup(style),
            script=Markup(script),
            style_hash=source_hash(style),
            script_hash=source_hash(script),
        )
    )


def _figure(series: Sequence[Series]) -> PageFigure | None:
    """None where no series has runs enough to draw."""
    try:
        figure, _ = small_multiples(series)
    except NothingMeasuredError:
        return None
    title, caption = figure.get_suptitle(), str(figure.get_label())
    return PageFigure("series", title, caption, Markup(svg.inline(figure, "f1-series")))


def _sheet(table: Table, name: str, title: str) -> Sheet:
    headings = tuple(Heading(column.heading, words=column.align == "left") for column in table.columns)
    rows = [SheetRow(["" if cell is None else str(cell) for cell in row]) for row in table.rows[:_ROWS]]
    left_out = len(table.rows) - len(rows)
    note = f"{left_out} further rows: `bitbench history show --format csv` prints them all." if left_out else ""
    return Sheet(name, title, note, headings, [rows])
