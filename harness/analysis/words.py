"""Latencies and their ratios as people read them: no more digits than the interval supports, and the interval."""

from harness.estimators.intervals import Comparison, Summary
from harness.model.units import NOT_KNOWN, figure, is_known, spread, supported_digits


def in_size(summary: Summary, size: float) -> tuple[str, str]:
    """The centre in a unit of this size, without digits that the interval does not support, and the interval.

    `not known` and nothing where the interval says nothing.
    """
    if not is_known(summary.centre, summary.hi):
        return NOT_KNOWN, ""
    digits = supported_digits(summary.centre, summary.hi)
    return figure(float(f"{summary.centre / size:.{digits}g}"), digits), spread(summary.centre, summary.hi)


def speedup(ratio: Comparison) -> str:
    """One over a ratio of latencies: `2.31x ±2.4%`; `1x` for the baseline itself, `not known` as of `is_known`."""
    if not ratio.ratio > 0:
        return "?"
    if not is_known(ratio.ratio, ratio.hi):
        return NOT_KNOWN
    if ratio.lo == ratio.hi == 1:
        return "1x"
    return f"{figure(ratio.inverse[0], 3 if ratio.ratio <= 1 else 2)}x {spread(ratio.ratio, ratio.hi)}"
