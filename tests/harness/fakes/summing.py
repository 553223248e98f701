"""A package of suites with the shortest workload there can be: how a call is made, and whether it is right."""

from harness.model import Budget
from harness.model.suite import Axis, Catalogue, Suite
from harness.model.workload import Check, Prepared, Workload

NAMES = ("sum", "off-by-one")


class Sum(Prepared):
    def __init__(self, terms: int) -> None:
        self.terms = terms

    def __call__(self) -> int:
        return sum(range(self.terms))

    def check(self, metrics: frozenset[str]) -> Check:
        return Check(wrong="" if self() == 4950 else f"wrong answer: the sum is {self()}")


class Summing(Workload):
    def build(self) -> Sum:
        return Sum(100 if self.case.implementation == "sum" else 99)


SUITES = (
    Suite(
        name="summing",
        summary="",
        axes=(Axis("device", ("cpu",), str),),
        metrics=("latency", "resident_bytes", "peak_forward_bytes"),
        budget=Budget(rounds=1, seconds=0.02, sample=0.001),
        workload="tests.harness.fakes.summing:Summing",
        resolve=dict,
        facts=dict,
        implementations=NAMES,
    ),
)
CATALOGUE = "tests.harness.fakes.summing:catalogue"


def catalogue() -> Catalogue:
    return Catalogue(dict.fromkeys(NAMES, "sums"), lambda name, device: None)
