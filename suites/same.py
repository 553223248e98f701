"""same: one implementation under two names. Whatever difference a run of it finds is the harness's own error."""

from harness.model import Budget
from harness.model.suite import Axis, Suite
from suites import axes

SUITE = Suite(
    name="same",
    summary="one implementation under two names: how far apart the harness sees what is equal",
    axes=(
        axes.products("1x2560x2560", "64x1024x1024", "1x256x256"),
        Axis("repeat", (1,), axes.whole(1, "the number of a repetition")),
        axes.DEVICE,
        axes.threads(),
    ),
    metrics=("latency",),
    budget=Budget(rounds=20, seconds=1.0, precision=0.02),
    workload="suites.workloads.own.same:same",
    resolve=axes.resolve_product,
    facts=dict,
    implementations=("one", "other"),
    baseline="one",
)
