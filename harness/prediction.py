"""Quantisation errors beside what theory predicts: a difference is flagged, as the code or the theory is then wrong."""

import math
from collections.abc import Sequence

from harness.metric import METRICS
from harness.results import Result
from harness.table import Column, Table

PREDICTION_TOLERANCE = 0.3
"""dB: a quantisation error further than this from what theory predicts is flagged, unless the fact
`prediction_tolerance` of the case allows more; that is infinite where theory promises nothing."""

OFF_PREDICTION = (
    f"rows marked ! are more than {PREDICTION_TOLERANCE} dB from what theory predicts, and further than so small a "
    "sample explains: check the quantiser"
)


def off_prediction(result: Result) -> float:
    """Measured less predicted quantisation error, in dB; NaN where one of them is missing or not finite."""
    summary = result.summary(METRICS["error_sqnr"])
    predicted = float(result.facts.get("predicted_sqnr", math.nan))
    difference = summary.centre - predicted if summary else math.nan
    return difference if math.isfinite(difference) else math.nan


def is_off(result: Result) -> bool:
    """Whether the measured error is to be flagged."""
    return abs(off_prediction(result)) > float(result.facts.get("prediction_tolerance", PREDICTION_TOLERANCE))


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
    summary = result.summary(METRICS["error_sqnr"])
    if summary is None:
        return ""
    predicted = float(result.facts["predicted_sqnr"])
    return f"{summary.centre:.2f} ({predicted:.2f}){'!' if is_off(result) else ' '}"
