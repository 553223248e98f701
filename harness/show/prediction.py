"""Quantisation errors beside what theory predicts, as a table."""

from collections.abc import Sequence

from harness.analysis.prediction import PREDICTION_TOLERANCE, is_off
from harness.analysis.results import Result
from harness.show.table import Column, Table

OFF_PREDICTION = (
    f"rows marked ! are more than {PREDICTION_TOLERANCE} dB from what theory predicts, and further than so small a "
    "sample explains: check the quantiser"
)


def against_prediction(members: Sequence[Result], differing: Sequence[str]) -> Table:
    """A row for all that varies but the distribution, which gives the columns; each cell is measured and predicted."""
    keys = [name for name in differing if name != "distribution"]
    kinds: dict[str, None] = {}
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for result in members:
        params = result.case.params
        kind = str(params.get("distribution", "error SQNR"))
        kinds[kind] = None
        key = (result.case.implementation, *(str(params.get(name, "")) for name in keys))
        rows.setdefault(key, {})[kind] = _beside_prediction(result)
    columns = (Column("implementation"), *map(Column, keys), *(Column(kind, "right") for kind in kinds))
    cells = [[*key, *(row.get(kind, "") for kind in kinds)] for key, row in rows.items()]
    return Table("error SQNR in dB, measured (predicted)", columns, cells)


def _beside_prediction(result: Result) -> str:
    summary = result.summary("error_sqnr")
    if summary is None:
        return ""
    predicted = float(result.facts["predicted_sqnr"])
    return f"{summary.centre:.2f} ({predicted:.2f}){'!' if is_off(result) else ' '}"
