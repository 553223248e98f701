"""gate: what `bitbench gate --base REV` measures unless it is told otherwise. Twenty cases, in under five minutes."""

from harness.model import Budget
from harness.model.suite import Suite
from suites import axes
from suites.metrics import ACCURACY, MEMORY

SUITE = Suite(
    name="gate",
    summary="decode and prefill on a layer small enough to be gated in minutes",
    axes=(
        axes.shapes("1024x1024", full=("1024x1024", "2560x2560")),
        axes.tokens(1, 16, 128),
        axes.schemes("w1.58a8"),
        axes.groups(),
        axes.dtypes(),
        axes.DEVICE,
        axes.threads(),
    ),
    metrics=("latency", *MEMORY, *ACCURACY),
    budget=Budget(rounds=4, seconds=1.0),
    workload="suites.workloads.layer.forward:Forward",
    resolve=axes.resolve,
    facts=axes.facts,
    left_out=(
        *("linear-fp32", "linear-bf16", "linear-fp16"),  # torch's own layer rides along as a sentinel
        *("reference", "bf16-naive", "packed-base3"),  # slow, or a variant of one that is there
    ),
    baseline="linear-bf16",
    probed_by=axes.PROBED_BY,
)
