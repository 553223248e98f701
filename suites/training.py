"""training: a whole step, and whether its gradient still points where full precision points."""

from harness.model import Budget
from harness.suite import Suite
from suites import axes

SUITE = Suite(
    name="training",
    summary="forward, backward and optimiser step; gradient against the full-precision twin's",
    axes=(
        axes.shapes("2560x2560", full=axes.BITNET_2B4T + axes.LLAMA_3_8B),
        axes.tokens(128, full=(128, 512, 2048)),
        axes.schemes("w1a8", "w1.58a8", "w4a8"),
        axes.groups(),
        axes.dtypes("float32", full=("float32", "bfloat16")),
        axes.DEVICE,
        axes.threads(),
    ),
    metrics=(
        "latency",
        "first_call",
        "prepare",
        "weight_bytes",
        "resident_bytes",
        "peak_forward_bytes",
        "weight_gradient_cosine",
        "input_gradient_cosine",
    ),
    budget=Budget(rounds=6, seconds=2.0, precision=0.05),
    workload="suites.workloads.training:Training",
    resolve=axes.resolve,
    facts=axes.facts,
    baseline="linear-fp32",
    implementations=("linear-fp32", "linear-bf16", "reference", "compiled", "eager"),
)
