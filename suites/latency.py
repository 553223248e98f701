"""latency: how long a forward takes, with an interval, over real layer shapes."""

from harness.model import Budget
from harness.model.suite import Suite
from suites import axes
from suites.metrics import SPEED

SUITE = Suite(
    name="latency",
    summary="forward latency on the layer shapes of BitNet 2B4T and Llama-3-8B",
    axes=(
        axes.shapes("2560x2560", "4096x4096", full=axes.BITNET_2B4T + axes.LLAMA_3_8B + axes.BITNET_3B + axes.AWKWARD),
        axes.tokens(1, 32, 128, full=(1, 8, 17, 32, 128, 512, 2048)),
        axes.schemes("w1.58a8", full=("w1a8", "w1.58a8", "w2a8", "w4a8", "w8a8")),
        axes.groups(),
        axes.dtypes("float32", full=("float32", "bfloat16")),
        axes.caches("hot", full=axes.CACHES),
        axes.DEVICE,
        axes.GRAPH,
        axes.threads(),
    ),
    metrics=(*SPEED, "weight_bytes", "bits_per_weight", "ring_bytes", "agreement_sqnr"),
    budget=Budget(rounds=14, seconds=4.0, precision=0.02),
    workload="suites.workloads.layer.forward:Forward",
    resolve=axes.resolve,
    facts=axes.facts,
    baseline="linear-bf16",
    probed_by=axes.PROBED_BY,
)
