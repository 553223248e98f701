"""The suite `gate`, with contestants that can be made slower on purpose: what `bitbench selftest gate` measures.

A package of suites of its own, so that nobody's measurement can be slowed down by what a shell has set.
"""

from dataclasses import replace

from suites import GUARDED, gate, sentinel

SUITES = (replace(gate.SUITE, workload="suites.workloads.own.injected:injected"), sentinel.SUITE)
CATALOGUE = "suites.catalogue.contestants:catalogue"
SENTINELS = ("sentinel",)
__all__ = ("CATALOGUE", "GUARDED", "SENTINELS", "SUITES")
