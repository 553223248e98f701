"""conformance: what `bitbench check` asks of a contestant, one case a property.

A package of suites of its own: nothing of it is measured, so `bitbench run` does not know it.
"""

from bitlinear.conformance import INFORMATIVE, PROPERTIES
from bitlinear.scheme import Scheme
from harness.model import Budget, Params, Value
from harness.model.suite import Axis, Suite
from suites import axes

SENTENCES = {**PROPERTIES, "storage": "keeps its weights in parameters and buffers, and no copy elsewhere"}
"""Of each property. The last one needs to see what is allocated, which is the harness's business."""
ALL_SCHEMES = "all"
NOT_ASKED = "the rest was not asked"
"""How the warning ends that a property was asked of its first examples alone."""


def _property(value: Value) -> Value:
    if value not in SENTENCES:
        raise ValueError(f"{value!r} is unknown; choose from: {', '.join(SENTENCES)}")
    return value


def _scheme(value: Value) -> Value:
    if value == ALL_SCHEMES:
        return value
    scheme = Scheme.parse(str(value))
    if scheme.features_per_group:
        raise ValueError(f"{value} has a group size, and layers of many widths are asked; give a number of groups: g4")
    return str(scheme)


def _facts(params: Params) -> Params:
    name = str(params["property"])
    return {"sentence": SENTENCES[name], "informative": int(name in INFORMATIVE)}


SUITE = Suite(
    name="conformance",
    summary="what every implementation must be able to do, property by property",
    axes=(
        Axis("property", tuple(SENTENCES), _property),
        Axis("scheme", (ALL_SCHEMES,), _scheme),
        axes.dtypes(),
        axes.DEVICE,
    ),
    metrics=("examples",),
    budget=Budget(rounds=1, seconds=0.0),
    workload="suites.workloads.own.conformance:Conformance",
    resolve=dict,
    facts=_facts,
)
SUITES = (SUITE,)
CATALOGUE = "suites.catalogue.contestants:catalogue"
GUARDED = ("bitlinear", "suites")
