"""Contestants of known cost, by which the harness is tested on the user's machine: `bitbench selftest metrics`.

A package of suites of its own, so that nobody takes them for layers.
"""

from harness.model import Budget, Params
from harness.model.suite import Axis, Suite
from suites import axes

SPIN = 1e-3
"""Seconds that `once` spins."""
COPY, KEEP = 3_000_001, 1_234_567
"""Bytes that a call copies, and that a contestant keeps alive."""
WEIGHTS, BITS = 1 << 20, 2
"""Weights of a layer, and bits of each."""
OPERATIONS, ACTIVATIONS = 2 * 64 * 64 * 64, 3 * 4 * 64 * 64
"""Operations, and bytes read and written, of a product of float32 matrices 64 by 64, which the spin pretends to be."""

COSTS: dict[str, Params] = {
    "spin": {"expected_latency": SPIN, "operations": OPERATIONS, "activation_bytes": ACTIVATIONS},
    "copy": {"expected_peak_forward_bytes": COPY},
    "keep": {"expected_resident_bytes": KEEP},
    "store": {"expected_weight_bytes": WEIGHTS * BITS // 8, "expected_bits_per_weight": BITS},
}
"""What a call of `once` costs."""


def _facts(params: Params) -> Params:
    return COSTS[str(params["work"])]


def _suite(name: str, summary: str, works: tuple[str, ...], metrics: tuple[str, ...], budget: Budget) -> Suite:
    return Suite(
        name=name,
        summary=summary,
        axes=(Axis("work", works, str), axes.threads(1)),
        metrics=metrics,
        budget=budget,
        workload="suites.workloads.own.selftest:Known",
        resolve=dict,
        facts=_facts,
        implementations=("once", "twice"),
    )


SUITES = (
    _suite(
        "selftest-bytes",
        "bytes that are known to the last one",
        ("copy", "keep", "store"),
        ("weight_bytes", "bits_per_weight", "resident_bytes", "peak_forward_bytes"),
        Budget(rounds=1, seconds=0.0),
    ),
    _suite("selftest-time", "a known duration", ("spin",), ("latency",), Budget(rounds=3, seconds=0.5)),
)
CATALOGUE = "suites.workloads.own.selftest:catalogue"
