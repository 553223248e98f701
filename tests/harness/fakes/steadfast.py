"""A package of suites that is measured in a moment and needs no torch: for runs that are killed and gone on with."""

from collections.abc import Callable, Mapping

from harness.model import Budget
from harness.model.suite import Axis, Catalogue, Check, Suite, Workload

NAMES = ("one", "two", "elsewhere", "three")
WORDS = ("steadfast", "--suites", "tests.harness.fakes.steadfast")
"""What the command line is told to measure it."""


class Steadfast(Workload):
    def __init__(self, case: object, seed: int) -> None:
        self.name = getattr(case, "implementation", "")

    def why_not(self) -> str | None:
        return "it is elsewhere" if self.name == "elsewhere" else None

    def build(self) -> Callable[[], object]:
        return lambda: sum(range(100))

    def check(self, call: Callable[[], object], metrics: frozenset[str]) -> Check:
        return Check({"agreement_sqnr": 140.0})

    def stored(self, call: Callable[[], object]) -> Mapping[str, float]:
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
