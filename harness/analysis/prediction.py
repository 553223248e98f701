"""Quantisation errors beside what theory predicts: a difference is flagged, as the code or the theory is then wrong."""

import math

from harness.analysis.results import Result

PREDICTION_TOLERANCE = 0.3
"""dB: a quantisation error further than this from what theory predicts is flagged, unless the fact
`prediction_tolerance` of the case allows more; that is infinite where theory promises nothing."""


def off_prediction(result: Result) -> float:
    """Measured less predicted quantisation error, in dB; NaN where one of them is missing or not finite."""
    summary = result.summary("error_sqnr")
    predicted = float(result.facts.get("predicted_sqnr", math.nan))
    difference = summary.centre - predicted if summary else math.nan
    return difference if math.isfinite(difference) else math.nan


def is_off(result: Result) -> bool:
    """Whether the measured error is to be flagged."""
    return abs(off_prediction(result)) > float(result.facts.get("prediction_tolerance", PREDICTION_TOLERANCE))
