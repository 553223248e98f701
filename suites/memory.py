"""memory: what is stored, what stays resident, what a forward allocates. Exact, so one round."""

from harness.model import Budget
from harness.model.suite import Suite
from suites import axes
from suites.metrics import MEMORY

SUITE = Suite(
    name="memory",
    summary="stored, resident and peak bytes over schemes; exact",
    axes=(
        axes.shapes("2560x2560", full=axes.BITNET_2B4T + axes.LLAMA_3_8B + axes.BITNET_3B),
        axes.tokens(1, 128, full=(1, 8, 32, 128, 512, 2048)),
        axes.schemes("w1a8", "w1.58a8", "w2a8", "w4a8", "w8a8"),
        axes.groups(0, full=(1, 4, 16)),
        axes.dtypes("float32", full=("float32", "bfloat16")),
        axes.DEVICE,
        axes.threads(),
    ),
    metrics=(*MEMORY, "agreement_sqnr"),
    budget=Budget(rounds=1, seconds=0.0),
    workload="suites.workloads.layer.forward:Forward",
    resolve=axes.resolve,
    facts=axes.facts,
    probed_by=axes.PROBED_BY,
)
