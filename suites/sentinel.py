"""sentinel: torch's own linear layer. It rides along in every gate: no change of a contestant can move it."""

from harness.model import Budget, Params
from harness.model.suite import Suite
from suites import axes


def facts(params: Params) -> Params:
    """The operations of a call."""
    m, k, n = (int(params[name]) for name in ("m", "k", "n"))
    return {"operations": 2 * m * n * k}


SUITE = Suite(
    name="sentinel",
    summary="torch's own nn.Linear, which no change of a contestant can move; part of every gate",
    axes=(axes.products("1x1024x1024", "64x1024x1024"), axes.DEVICE, axes.threads()),
    metrics=("latency",),
    budget=Budget(rounds=4, seconds=1.0),
    workload="suites.workloads.own.sentinel:Stock",
    resolve=axes.resolve_product,
    facts=facts,
    implementations=("nn.Linear",),
)
