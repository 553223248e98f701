"""The suites of this project. The only package that knows both the referee and the contestants."""

from suites import error, gate, latency, memory, overhead, peers, quick, same, scaling, sentinel, training
from suites.catalogue.advice import usage
from suites.whole import accuracy, model, quality

SUITES = (
    quick.SUITE,
    latency.SUITE,
    peers.SUITE,
    memory.SUITE,
    error.SUITE,
    quality.SUITE,
    quality.SENSITIVITY,
    training.SUITE,
    accuracy.SUITE,
    scaling.SUITE,
    model.SUITE,
    gate.SUITE,
    sentinel.SUITE,
    same.SUITE,
    overhead.COMMANDS,
    overhead.SHARES,
)
CATALOGUE = "suites.catalogue.contestants:catalogue"
SENTINELS = ("sentinel",)
GUARDED = ("bitlinear", "suites")
USAGE = usage
MODELS = "suites.models.source:answer"
