"""The suites of this project. The only package that knows both the referee and the contestants."""

from suites import error, latency, memory, overhead, peers, quick, same, scaling, training

SUITES = (
    quick.SUITE,
    latency.SUITE,
    peers.SUITE,
    memory.SUITE,
    error.SUITE,
    training.SUITE,
    scaling.SUITE,
    same.SUITE,
    overhead.COMMANDS,
    overhead.SHARES,
)
CATALOGUE = "suites.workloads.catalogue:catalogue"
GUARDED = ("bitlinear", "suites")
