"""Metrics: their kinds, and the project's own."""

from harness.model.metrics.kinds import Exact, Metric, Sampled
from harness.model.metrics.paired import Paired
from harness.model.metrics.table import (
    ERROR_BINS,
    ERROR_EDGES,
    ERROR_REACH,
    ERROR_SQNR,
    ERROR_WIDTH,
    LATENCY,
    MEMORY_METRICS,
    METRICS,
    in_kinds,
    judged,
    select_metrics,
)

__all__ = [
    "ERROR_BINS",
    "ERROR_EDGES",
    "ERROR_REACH",
    "ERROR_SQNR",
    "ERROR_WIDTH",
    "LATENCY",
    "MEMORY_METRICS",
    "METRICS",
    "Exact",
    "Metric",
    "Paired",
    "Sampled",
    "in_kinds",
    "judged",
    "select_metrics",
]
