"""peers: other people's libraries beside ours, on the same weights and inputs, in about ten minutes."""

from harness.model import Budget
from harness.model.suite import Suite
from suites import axes

SUITE = Suite(
    name="peers",
    summary="other people's libraries beside ours: decode and prefill, on one weight",
    axes=(
        axes.shapes("2560x2560", "4096x4096", full=axes.BITNET_2B4T + axes.LLAMA_3_8B),
        axes.tokens(1, 128, full=(1, 8, 32, 128, 512)),
        axes.schemes("w1.58a8-nonorm"),
        axes.groups(),
        axes.dtypes(),
        axes.caches("hot", full=axes.CACHES),
        axes.DEVICE,
        axes.threads(),
    ),
    metrics=(
        "latency",
        "first_call",
        "weight_bytes",
        "bits_per_weight",
        "resident_bytes",
        "ring_bytes",
        "agreement_sqnr",
        "error_sqnr",
    ),
    budget=Budget(rounds=4, seconds=2.0, precision=0.05),
    workload="suites.workloads.layer.forward:Forward",
    resolve=axes.resolve,
    facts=axes.facts,
    implementations=("linear-bf16", "eager", "compiled", "int8", "packed", "native"),
    peers=True,
    baseline="linear-bf16",
    probed_by=axes.PROBED_BY,
)
