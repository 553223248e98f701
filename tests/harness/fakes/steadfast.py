"""A package of suites that is measured in a moment and needs no torch: for runs that are killed and gone on with."""

from collections.abc import Mapping

from harness.model import Budget
from harness.model.suite import Axis, Catalogue, Suite
from harness.model.workload import Check, Prepared, Workload

NAMES = ("one", "two", "elsewhere", "three")
WORDS = ("steadfast", "--suites", "tests.harness.fakes.steadfast")
"""What the command line is told to measure it."""


class Steadfast(Workload):
    def why_not(self) -> str | None:
        return "it is elsewhere" if self.case.implementation == "elsewhere" else None

    def build(self) -> "Sum":
        return Sum()


class Sum(Prepared):
    def __call__(self) -> int:
        return sum(range(100))

    def check(self, metrics: frozenset[str]) -> Check:
        return Check({"agreement_sqnr": 140.0})

    def stored(self) -> Mapping[str, float]:
        return {"weight_bytes": 10.0}


SUITES = (
    Suite(
        name="steadfast",
        summary="",
        axes=(Axis("m", (1, 2, 3, 4), lambda value: value),),
        metrics=("latency", "agreement_sqnr", "weight_bytes"),
        budget=Budget(rounds=2, seconds=0.02, sample=0.001),
        workload="tests.harness.fakes.steadfast:Steadfast",
        resolve=dict,
        facts=dict,
        implementations=NAMES,
    ),
)
CATALOGUE = "tests.harness.fakes.steadfast:catalogue"


def catalogue() -> Catalogue:
    return Catalogue(dict.fromkeys(NAMES, "is steadfast"), lambda name, device: None)
