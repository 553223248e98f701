"""Numbers as people read them: a unit, no more digits than the interval supports, and the interval."""

import math

from harness.analysis.intervals import Comparison, Summary
from harness.model.metrics import Metric
from harness.model.units import amount, figure

WIDEST = 1.0
"""Half width of an interval, relative, beyond which a number is not known."""
NOT_KNOWN = "not known"


def is_known(centre: float, hi: float) -> bool:
    """Whether an interval leaves something to say: beyond ±100 % it holds both half and double."""
    return not hi > (1 + WIDEST) * centre


def spread(centre: float, hi: float) -> str:
    """Half an interval on the log scale, as the benchmark world writes it: `±1.2%`; `±?` where there is none.

    `not known` where it says nothing (`is_known`).
    """
    if not is_known(centre, hi):
        return NOT_KNOWN
    if not math.isfinite(hi):
        return "±?"
    percent = 100 * (hi / centre - 1)
    return f"±{percent:.{0 if percent >= 10 else 1}f}%"


def with_spread(summary: Summary, metric: Metric) -> str:
    """`458 us ±1.2%` for a sampled metric, the bare amount for an exact one or one that is taken once a run.

    `not known` for one whose interval says nothing.
    """
    if metric.assume == "exact" or metric.first_round_only:
        return amount(summary.centre, metric.unit)
    if not is_known(summary.centre, summary.hi):
        return NOT_KNOWN
    return f"{amount(summary.centre, metric.unit, _digits(summary))} {spread(summary.centre, summary.hi)}"


def in_size(summary: Summary, size: float) -> tuple[str, str]:
    """The centre in a unit of this size, without digits that the interval does not support, and the interval.

    `not known` and nothing where the interval says nothing.
    """
    if not is_known(summary.centre, summary.hi):
        return NOT_KNOWN, ""
    digits = _digits(summary)
    return figure(float(f"{summary.centre / size:.{digits}g}"), digits), spread(summary.centre, summary.hi)


def speedup(ratio: Comparison) -> str:
    """One over a ratio of latencies: `2.31x ±2.4%`; `1x` for the baseline itself, `not known` as of `is_known`."""
    if not ratio.ratio > 0:
        return "?"
    if not is_known(ratio.ratio, ratio.hi):
        return NOT_KNOWN
    if ratio.lo == ratio.hi == 1:
        return "1x"
    return f"{figure(1 / ratio.ratio, 3 if ratio.ratio <= 1 else 2)}x {spread(ratio.ratio, ratio.hi)}"


def change(ratio: Comparison, metric: Metric) -> str:
    """What became of a value, head against base: a percentage, for decibels a difference, empty where nothing changed.

    Negative is less: faster, smaller.
    """
    before, after = ratio.baseline.centre, ratio.candidate.centre
    if metric.assume == "sampled":
        return percent_change(ratio.ratio - 1, ratio.lo - 1, ratio.hi - 1)
    if before == after:
        return ""
    if metric.unit == "dB" or not math.isfinite(ratio.ratio):
        return f"{after - before:+.3g} {metric.unit}".removesuffix(" 1")
    percent = 100 * (ratio.ratio - 1)
    return f"{'-' if percent < 0 else '+'}{figure(abs(percent), 2)} %"


def percent_change(share: float, lo: float = math.nan, hi: float = math.nan) -> str:
    """`-8.0 % [-9.9, -6.1]`: a change with its interval, if it has one; a share of 0.03 is 3 % more."""
    interval = f" [{_signed(lo)}, {_signed(hi)}]" if math.isfinite(lo) and math.isfinite(hi) else ""
    return f"{_signed(share)} %{interval}"


def _signed(share: float) -> str:
    """In percent; there is no -0.0."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def _digits(summary: Summary) -> int:
    """As many significant digits as make the last one a tenth of the interval's half width: two to four."""
    relative = summary.hi / summary.centre - 1 if math.isfinite(summary.hi) else math.nan
    if not relative > 0:
        return 4 if relative == 0 else 3
    return min(4, max(2, math.ceil(-math.log10(relative)) + 1))
