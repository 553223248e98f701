"""The project's own metrics, each stated once: its unit, which direction is better, and what counts as equal.

A suite may bring others. Which a stored run knows says `harness.model.run.known_metrics`.
"""

from collections.abc import Callable, Collection, Mapping

from harness.errors import UsageError
from harness.model.metrics.declaration import KIND_WORDS
from harness.model.metrics.kinds import Exact, Metric, Sampled
from harness.model.metrics.paired import Paired
from harness.model.units import choices

ERROR_REACH = 4.0
"""Bins of `error_histogram` lie between this many times the root mean square of the errors below and above zero."""
ERROR_BINS = 32
"""Equal ones, a quarter wide, closed on the left. The outermost two also take what lies beyond them."""
ERROR_WIDTH = 2 * ERROR_REACH / ERROR_BINS
ERROR_EDGES = tuple(-ERROR_REACH + ERROR_WIDTH * number for number in range(ERROR_BINS + 1))
"""Of the bins, from the lowest to the highest; exact in binary."""

LATENCY = Sampled(name="latency", title="latency of one call", unit="s", better="lower")
ERROR_SQNR = Exact(
    name="error_sqnr",
    title="quantisation error of the scheme: SQNR",
    heading="error SQNR",
    unit="dB",
    better="higher",
    tolerance=0.01,
)

_ALL: tuple[Metric, ...] = (
    LATENCY,
    Sampled(
        name="first_call",
        title="first call, compilation included",
        heading="first call",
        unit="s",
        better="lower",
        informative=True,
        first_round_only=True,
    ),
    Exact(name="graphs", title="graphs that the first call compiled", better="lower", informative=True),
    Exact(name="graph_breaks", title="graph breaks in the first call", better="lower", informative=True),
    Sampled(
        name="prepare", title="building the implementation from a layer", unit="s", better="lower", informative=True
    ),
    Sampled(
        name="launch_overhead",
        title="until a call has been queued on the GPU",
        unit="s",
        better="lower",
        informative=True,
    ),
    Exact(
        name="weight_bytes",
        title="stored weight bytes: codes, scales, padding",
        heading="weight bytes",
        unit="B",
        better="lower",
    ),
    # `weight_bytes`, which `code_bytes` are a part of, is judged.
    Exact(
        name="code_bytes",
        title="stored bytes that hold weights themselves: the codes, padding included",
        unit="B",
        better="lower",
        informative=True,
    ),
    Exact(name="bits_per_weight", title="effective bits per weight", heading="bits/weight", unit="bit", better="lower"),
    Exact(
        name="resident_bytes",
        title="bytes kept alive after the first call",
        heading="resident bytes",
        unit="B",
        better="lower",
    ),
    Exact(
        name="peak_forward_bytes",
        title="peak bytes allocated during a call",
        heading="peak forward",
        unit="B",
        better="lower",
        machine_dependent=True,
    ),
    Exact(
        name="peak_backward_bytes",
        title="peak bytes allocated during backward and optimiser step",
        heading="peak backward",
        unit="B",
        better="lower",
        machine_dependent=True,
    ),
    Sampled(
        name="reserved_bytes",
        title="bytes that the GPU's allocator took for build and first call",
        unit="B",
        better="lower",
        informative=True,
        first_round_only=True,
    ),
    Sampled(
        name="peak_rss",
        title="peak resident set of the worker",
        unit="B",
        better="lower",
        informative=True,
        first_round_only=True,
    ),
    Exact(
        name="ring_bytes",
        title="bytes of the distinct weights that calls rotate through",
        unit="B",
        better="higher",
        informative=True,
    ),
    ERROR_SQNR,
    Exact(name="error_relative", title="quantisation error: relative", better="lower", relative_tolerance=0.001),
    Exact(name="error_cosine", title="quantisation error: cosine", better="higher", tolerance=1e-05),
    Exact(name="error_max_abs", title="quantisation error: largest", better="lower", relative_tolerance=0.01),
    Exact(name="error_mse", title="quantisation error: mean square", better="lower", relative_tolerance=0.002),
    Exact(
        name="error_worst_channel_sqnr",
        title="quantisation error: worst channel's SQNR",
        unit="dB",
        better="higher",
        tolerance=0.1,
    ),
    Exact(
        name="error_histogram",
        title="quantisation error over its root mean square: share of the outputs in each bin of harness.histogram",
        better="lower",
        informative=True,
        distribution=True,
    ),
    # Agreement is rounding noise of the matrix product: another summation order moves it, one bit (6 dB) is a change.
    Exact(
        name="agreement_sqnr",
        title="agreement with the contract: SQNR",
        heading="agree SQNR",
        unit="dB",
        better="higher",
        tolerance=6.0,
        machine_dependent=True,
    ),
    Exact(
        name="agreement_relative",
        title="agreement with the contract: relative",
        better="lower",
        tolerance=1e-07,
        relative_tolerance=1.0,
        machine_dependent=True,
    ),
    Exact(
        name="agreement_max_abs",
        title="agreement with the contract: largest",
        better="lower",
        tolerance=1e-06,
        relative_tolerance=1.0,
        machine_dependent=True,
    ),
    Exact(name="examples", title="examples on which a property holds", better="higher", informative=True),
    Sampled(name="timed_share", title="share of wall time inside timed regions", better="higher"),
    Sampled(name="loop_share", title="share of a sample that is the timing loop itself", better="lower"),
    Exact(name="report_bytes", title="size of the report", unit="B", better="lower"),
    Exact(
        name="weight_gradient_cosine",
        title="gradient of the weight against the twin's: cosine",
        heading="weight gradient",
        better="higher",
        tolerance=0.001,
    ),
    Exact(
        name="input_gradient_cosine",
        title="gradient of the input against the twin's: cosine",
        heading="input gradient",
        better="higher",
        tolerance=0.001,
    ),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}

MEMORY_METRICS = frozenset(
    {"resident_bytes", "peak_forward_bytes", "peak_backward_bytes", "reserved_bytes", "peak_rss"}
)
"""Those that a second build is counted for."""


def in_kinds(known: Mapping[str, Metric]) -> dict[str, frozenset[str]]:
    """The words that stand for several metrics, each with the names that it stands for among those `known`."""
    chosen: dict[str, Callable[[Metric], bool]] = {
        "exact": lambda metric: isinstance(metric, Exact),
        "sampled": lambda metric: isinstance(metric, Sampled),
        "paired": lambda metric: isinstance(metric, Paired),
        "portable": lambda metric: metric.portable,
    }
    return {word: frozenset(name for name, one in known.items() if chosen[word](one)) for word in KIND_WORDS}


def select_metrics(names: Collection[str], known: Mapping[str, Metric] = METRICS) -> frozenset[str]:
    """The metrics that `names` choose among those `known`: their names and the words for several; none means all.

    Raises UsageError for any other name.
    """
    chosen: set[str] = set()
    words = in_kinds(known)
    for name in names:
        if name not in known and name not in words:
            raise UsageError(f"unknown metric {name!r}; {choices(name, (*words, *known))}")
        chosen |= words.get(name, {name})
    return frozenset(chosen or known)


def judged(known: Mapping[str, Metric]) -> frozenset[str]:
    """The names of those that a gate judges."""
    return frozenset(name for name, metric in known.items() if not metric.informative)
