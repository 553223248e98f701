"""scaling: how latency grows with tokens and shrinks with threads."""

from harness.model import Budget
from harness.model.suite import Suite
from suites import axes

SUITE = Suite(
    name="scaling",
    summary="latency from 1 to 2048 tokens and from 1 thread to all",
    axes=(
        axes.shapes("2560x2560", full=axes.BITNET_2B4T + axes.LLAMA_3_8B),
        axes.tokens(1, 8, 32, 128, 512, 2048),
        axes.schemes("w1.58a8", full=("w1a8", "w1.58a8", "w4a8")),
        axes.groups(),
        axes.dtypes(),
        axes.DEVICE,
        axes.threads(*axes.thread_counts()),
    ),
    metrics=("latency", "weight_bytes", "agreement_sqnr"),
    budget=Budget(rounds=9, seconds=2.0, precision=0.05),
    workload="suites.workloads.layer.forward:Forward",
    resolve=axes.resolve,
    facts=axes.facts,
    baseline="linear-bf16",
    probed_by=axes.PROBED_BY,
    implementations=("linear-fp32", "linear-bf16", "eager", "bf16", "int8"),
)
