"""The contestants of the suite `same`: `linear-fp32`, whatever they are called."""

from harness.model import Case
from suites.workloads.layer.forward import Forward

IMPLEMENTATION = "linear-fp32"


def same(case: Case, seed: int) -> Forward:
    """A forward of the same layer for both names."""
    return Forward(Case(case.suite, IMPLEMENTATION, {**case.params, "scheme": "w1.58a8"}), seed)
