"""quick: the suite of the README and of CI. All metrics, decode and prefill, in 75 seconds besides compilation."""

from harness.model import Budget
from harness.model.suite import Suite
from suites import axes
from suites.metrics import ACCURACY, MEMORY, SPEED

SUITE = Suite(
    name="quick",
    summary="decode and prefill on two BitNet 2B4T layers, all metrics",
    axes=(
        axes.shapes("2560x2560", "6912x2560", full=axes.BITNET_2B4T),
        axes.tokens(1, 128),
        axes.schemes("w1.58a8"),
        axes.groups(),
        axes.dtypes(),
        axes.DEVICE,
        axes.threads(),
    ),
    metrics=SPEED + MEMORY + ACCURACY,
    budget=Budget(rounds=4, seconds=1.2, precision=0.05, wall=75.0),
    workload="suites.workloads.layer.forward:Forward",
    resolve=axes.resolve,
    facts=axes.facts,
    left_out=("linear-fp16", "fp16", "bf16-naive", "packed-base3"),  # a variant each of one that is there
    baseline="linear-bf16",
    probed_by=axes.PROBED_BY,
)
