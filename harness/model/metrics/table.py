"""Every metric, stated once: its unit, which direction is better, and how two values of it may be compared."""

from collections.abc import Collection
from typing import Literal

import msgspec

from harness.errors import UsageError
from harness.model.units import choices

ERROR_REACH = 4.0
"""Bins of `error_histogram` lie between this many times the root mean square of the errors below and above zero."""
ERROR_BINS = 32
"""Equal ones, a quarter wide, closed on the left. The outermost two also take what lies beyond them."""
ERROR_WIDTH = 2 * ERROR_REACH / ERROR_BINS
ERROR_EDGES = tuple(-ERROR_REACH + ERROR_WIDTH * number for number in range(ERROR_BINS + 1))
"""Of the bins, from the lowest to the highest; exact in binary."""


class Metric(msgspec.Struct, frozen=True):
    """A quantity. `sampled` values vary from call to call and get intervals; `exact` ones are compared directly.

    For exact metrics two values count as equal within `tolerance` (absolute, in the metric's unit) plus
    `relative_tolerance` times the baseline.
    """

    name: str
    title: str
    unit: Literal["s", "B", "bit", "dB", "1"]
    better: Literal["lower", "higher"]
    assume: Literal["sampled", "exact"]
    tolerance: float = 0.0
    relative_tolerance: float = 0.0
    informative: bool = False
    """Shown, never judged."""
    first_round_only: bool = False
    """Measured once a run: later rounds would find warm compile caches, or would repeat an exact value."""
    machine_dependent: bool = False
    """Exact on one machine, but another's math library sums in another order or takes other scratch space."""
    distribution: bool = False
    """Its values are the shares of a histogram: drawn, and never summarised or compared, as they have no centre."""


_ALL = (
    Metric("latency", "latency of one call", "s", "lower", "sampled"),
    Metric(
        "first_call",
        "first call, compilation included",
        "s",
        "lower",
        "sampled",
        informative=True,
        first_round_only=True,
    ),
    Metric(
        "graphs", "graphs that the first call compiled", "1", "lower", "exact", informative=True, first_round_only=True
    ),
    Metric(
        "graph_breaks", "graph breaks in the first call", "1", "lower", "exact", informative=True, first_round_only=True
    ),
    Metric("prepare", "building the implementation from a layer", "s", "lower", "sampled", informative=True),
    Metric("launch_overhead", "until a call has been queued on the GPU", "s", "lower", "sampled", informative=True),
    Metric("weight_bytes", "stored weight bytes: codes, scales, padding", "B", "lower", "exact"),
    Metric(
        "code_bytes",
        "stored bytes that hold weights themselves: the codes, padding included",
        "B",
        "lower",
        "exact",
        informative=True,  # `weight_bytes`, which they are a part of, is judged
    ),
    Metric("bits_per_weight", "effective bits per weight", "bit", "lower", "exact"),
    Metric("resident_bytes", "bytes kept alive after the first call", "B", "lower", "exact"),
    Metric("peak_forward_bytes", "peak bytes allocated during a call", "B", "lower", "exact", machine_dependent=True),
    Metric(
        "peak_backward_bytes",
        "peak bytes allocated during backward and optimiser step",
        "B",
        "lower",
        "exact",
        machine_dependent=True,
    ),
    Metric(
        "reserved_bytes",
        "bytes that the GPU's allocator took for build and first call",
        "B",
        "lower",
        "sampled",
        informative=True,
        first_round_only=True,
    ),
    Metric(
        "peak_rss", "peak resident set of the worker", "B", "lower", "sampled", informative=True, first_round_only=True
    ),
    Metric(
        "ring_bytes",
        "bytes of the distinct weights that calls rotate through",
        "B",
        "higher",
        "exact",
        informative=True,
        first_round_only=True,
    ),
    Metric("error_sqnr", "quantisation error of the scheme: SQNR", "dB", "higher", "exact", 0.01),
    Metric("error_relative", "quantisation error: relative", "1", "lower", "exact", relative_tolerance=1e-3),
    Metric("error_cosine", "quantisation error: cosine", "1", "higher", "exact", 1e-5),
    Metric("error_max_abs", "quantisation error: largest", "1", "lower", "exact", relative_tolerance=1e-2),
    Metric("error_mse", "quantisation error: mean square", "1", "lower", "exact", relative_tolerance=2e-3),
    Metric("error_worst_channel_sqnr", "quantisation error: worst channel's SQNR", "dB", "higher", "exact", 0.1),
    Metric(
        "error_histogram",
        "quantisation error over its root mean square: share of the outputs in each bin of harness.histogram",
        "1",
        "lower",
        "exact",
        informative=True,
        distribution=True,
    ),
    # Agreement is rounding noise of the matrix product: another summation order moves it, one bit (6 dB) is a change.
    Metric("agreement_sqnr", "agreement with the contract: SQNR", "dB", "higher", "exact", 6.0, machine_dependent=True),
    Metric(
        "agreement_relative",
        "agreement with the contract: relative",
        "1",
        "lower",
        "exact",
        1e-7,
        1.0,
        machine_dependent=True,
    ),
    Metric(
        "agreement_max_abs",
        "agreement with the contract: largest",
        "1",
        "lower",
        "exact",
        1e-6,
        1.0,
        machine_dependent=True,
    ),
    Metric("examples", "examples on which a property holds", "1", "higher", "exact", informative=True),
    Metric("timed_share", "share of wall time inside timed regions", "1", "higher", "sampled"),
    Metric("loop_share", "share of a sample that is the timing loop itself", "1", "lower", "sampled"),
    Metric("report_bytes", "size of the report", "B", "lower", "exact"),
    Metric("weight_gradient_cosine", "gradient of the weight against the twin's: cosine", "1", "higher", "exact", 1e-3),
    Metric("input_gradient_cosine", "gradient of the input against the twin's: cosine", "1", "higher", "exact", 1e-3),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}

KINDS: dict[str, frozenset[str]] = {
    "exact": frozenset(m.name for m in _ALL if m.assume == "exact"),
    "sampled": frozenset(m.name for m in _ALL if m.assume == "sampled"),
    "portable": frozenset(m.name for m in _ALL if m.assume == "exact" and not m.machine_dependent),
}
"""Words that stand for several metrics: `portable` ones may be compared between unlike machines."""


def in_round(name: str, number: int) -> bool:
    """Whether the metric `name` is measured in round `number`."""
    metric = METRICS[name]
    return number == 0 or not (metric.assume == "exact" or metric.first_round_only)


def select_metrics(names: Collection[str]) -> frozenset[str]:
    """The metrics that `names` choose: metric names and the words of KINDS; none means all.

    Raises UsageError for any other name.
    """
    chosen: set[str] = set()
    for name in names:
        if name not in METRICS and name not in KINDS:
            raise UsageError(f"unknown metric {name!r}; {choices(name, (*KINDS, *METRICS))}")
        chosen |= KINDS.get(name, {name})
    return frozenset(chosen or METRICS)


MEMORY_METRICS = frozenset(
    {"resident_bytes", "peak_forward_bytes", "peak_backward_bytes", "reserved_bytes", "peak_rss"}
)
