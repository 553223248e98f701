"""Bandwidth, throughput, intensity and the share of the ceiling, as tables of results show them."""

from collections.abc import Sequence

from harness.ceiling import standing
from harness.metric import METRICS
from harness.model import Ceilings
from harness.quantity import figure
from harness.results import Result

LEGEND = "of ceiling: of what this machine was measured to read or to compute at most, the nearer of the two"


def words(result: Result, ceilings: Sequence[Ceilings]) -> str:
    """`71% memory`, or nothing where it is not known."""
    found = standing(result, ceilings)
    return f"{figure(100 * found.share, 2)}% {found.ceiling}" if found and found.ceiling else ""


def rates(result: Result, ceilings: Sequence[Ceilings]) -> list[tuple[str, str, float, float, float, float, int]]:
    """Name, unit, centre, lower and upper bound, confidence and rounds of all that follows from a latency.

    All but the intensity have the latency's interval, upside down. Nothing where it is not known.
    """
    found, latency = standing(result, ceilings), result.summary(METRICS["latency"])
    if found is None or latency is None:
        return []
    low, high = latency.centre / latency.hi, latency.centre / latency.lo
    rows = (
        ("bandwidth", "B/s", found.bandwidth, low, high),
        ("throughput", "1/s", found.throughput, low, high),
        ("intensity", "1/B", found.intensity, 1.0, 1.0),
        ("ceiling_share", "1", found.share, low, high),
    )
    end = latency.confidence, latency.n
    return [(name, unit, centre, centre * lo, centre * hi, *end) for name, unit, centre, lo, hi in rows]
