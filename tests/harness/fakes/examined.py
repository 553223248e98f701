"""A package of suites whose metrics are of many units: bits per byte of texts, and answers that are right or wrong."""

from harness.model import Budget, Paired
from harness.model.case import Params
from harness.model.suite import Axis, Catalogue, Suite
from harness.model.workload import Check, Prepared, Workload

BITS = Paired(
    name="bits_per_byte", heading="bits/byte", title="bits per byte of a text", unit="bit/B", better="lower",
    tolerance=0.01,
)  # fmt: skip
RIGHT = Paired(name="recall", title="answers that are right", better="higher", tolerance=0.05)

TEXTS = (1.02, 0.97, 1.31, 0.88, 1.11)
NAMES = ("full", "coarse", "odd")
ODD = {"nan": (1.0, float("nan"), 1.2), "inf": (1.0, float("inf"), 1.2), "one": (1.0,), "none": ()}
"""By the param `texts`: what the contestant `odd` has for bits per byte."""


class Examination(Workload):
    def build(self) -> "Examined":
        return Examined(self.case.implementation, str(self.case.params["texts"]))


class Examined(Prepared):
    def __init__(self, name: str, texts: str) -> None:
        self.name, self.texts = name, texts

    def __call__(self) -> int:
        return sum(range(100))

    def check(self, metrics: frozenset[str]) -> Check:
        if self.name == "odd":
            return Check({"bits_per_byte": ODD[self.texts]})
        if self.name == "full":
            return Check({"bits_per_byte": TEXTS, "recall": (1.0,) * 19 + (0.0,)})
        return Check({"bits_per_byte": tuple(value + 0.2 for value in TEXTS), "recall": (1.0,) * 12 + (0.0,) * 8})


def _units(params: Params) -> Params:
    return {"units": f"texts of {params['texts']}"}


def _suite(name: str, texts: tuple[str, ...], names: tuple[str, ...]) -> Suite:
    return Suite(
        name=name,
        summary="what is lost of texts",
        axes=(Axis("texts", texts, str),),
        metrics=(BITS, RIGHT),
        budget=Budget(rounds=3, seconds=0.02, sample=0.001),
        workload="tests.harness.fakes.examined:Examination",
        resolve=dict,
        facts=_units,
        implementations=names,
    )


SUITES = (_suite("examined", ("five",), NAMES[:2]), _suite("odd", tuple(ODD), NAMES[2:]))
CATALOGUE = "tests.harness.fakes.examined:catalogue"


def catalogue() -> Catalogue:
    return Catalogue(dict.fromkeys(NAMES, "has read the texts"), lambda name, device: None)
