"""A package of suites that brings metrics of its own: energy, which varies, and pages, which do not."""

from collections.abc import Mapping

from harness.model import Budget, Exact, Sampled
from harness.model.suite import Axis, Catalogue, Suite
from harness.model.workload import Check, Prepared, Workload

ENERGY = Sampled(name="energy", unit="J", better="lower", relative_tolerance=0.1)
PAGES = Exact(name="pages_served", heading="pages served", unit="pages", better="higher", tolerance=2)
METRICS = (PAGES,)

NAMES = ("lamp", "stove")
JOULES = {"lamp": (2.0, 2.02, 1.98), "stove": (900.0, 905.0, 895.0)}


class Thrifty(Workload):
    def build(self) -> "Fed":
        return Fed(JOULES[self.case.implementation])


class Fed(Prepared):
    def __init__(self, joules: tuple[float, ...]) -> None:
        self.joules = joules

    def __call__(self) -> int:
        return sum(range(100))

    def check(self, metrics: frozenset[str]) -> Check:
        return Check({"energy": self.joules, "pages_served": 100.0, "undeclared": 1.0})

    def stored(self) -> Mapping[str, float]:
        return {"weight_bytes": 10.0}


SUITES = (
    Suite(
        name="thrifty",
        summary="what a call takes from the socket",
        axes=(Axis("m", (1,), lambda value: value),),
        metrics=("weight_bytes", ENERGY, "pages_served"),
        budget=Budget(rounds=3, seconds=0.02, sample=0.001),
        workload="tests.harness.fakes.thrifty:Thrifty",
        resolve=dict,
        facts=dict,
        implementations=NAMES,
    ),
)
CATALOGUE = "tests.harness.fakes.thrifty:catalogue"


def catalogue() -> Catalogue:
    return Catalogue(dict.fromkeys(NAMES, "is measured at the socket"), lambda name, device: None)
