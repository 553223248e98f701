"""A part of a whole model, as the suite `model` times it: one layer, or a decoder with its products or without them."""

from harness.model import Case
from harness.model.workload import Workload
from suites.workloads.decoding.step import Step
from suites.workloads.layer.forward import Forward


def part_of_model(case: Case, seed: int) -> Workload:
    """The workload of a case: a layer's where it has no `part`."""
    return Step(case, seed) if "part" in case.params else Forward(case, seed)
