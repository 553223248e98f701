"""device-latency: what only a GPU can show of time, decode to prefill, in three regimes; for `make device-check`.

A package of suites of its own: it is sized to fit into minutes, so `bitbench run` does not offer it.
"""

from dataclasses import replace

from harness.model import Budget, Params, Value
from harness.model.suite import Axis
from suites import GUARDED, USAGE, axes, latency

REGIMES: dict[str, Params] = {
    "graph": {"graph": 1, "cache": "stream"},
    "cold": {"graph": 0, "cache": "cold"},
    "eager": {"graph": 0, "cache": "hot"},
}
"""As a model decodes: one CUDA graph, weights in memory; one call at a time on a flushed L2 cache; calls in a row that
Python launches."""


def _regime(value: Value) -> Value:
    if value not in REGIMES:
        raise ValueError(f"{value!r} is unknown; choose from: {', '.join(REGIMES)}")
    return value


def _resolve(point: Params) -> Params:
    others = {name: value for name, value in point.items() if name != "regime"}
    return axes.resolve({**others, **REGIMES[str(point["regime"])]})


LATENCY = replace(
    latency.SUITE,
    name="device-latency",
    summary="forward latency on a GPU: in graphs, cold, and launched from Python",
    # What comes first is measured first, if the time does not suffice for all of it.
    axes=(
        Axis("regime", tuple(REGIMES), _regime),
        axes.tokens(1, 2048, 16, 128),
        axes.shapes("2560x2560", "4096x4096", "14336x4096"),
        axes.schemes("w2a8-nonorm"),
        axes.groups(),
        axes.dtypes("bfloat16"),
        axes.DEVICE,
        axes.threads(),
    ),
    metrics=("latency", "launch_overhead", "weight_bytes", "bits_per_weight", "ring_bytes", "agreement_sqnr"),
    budget=Budget(rounds=3, seconds=0.2, sample=0.001),
    resolve=_resolve,
    implementations=("linear-bf16", "triton", "int8"),
)
SUITES = (LATENCY,)
CATALOGUE = "suites.catalogue.contestants:catalogue"
__all__ = ("CATALOGUE", "GUARDED", "SUITES", "USAGE")
