"""accuracy: small networks, trained with a scheme and examined under several seeds. Is w1.58 as good here as floats?"""

import zlib
from functools import cache

from bitlinear.scheme import FULL_PRECISION, Scheme
from harness.model import Budget, Params, Value
from harness.model.metrics import Paired
from harness.model.suite import Axis, Suite
from suites import axes

EVERY = {"digits": 5, "text": 10}
"""Every so many pictures, or pages, are kept for the examination."""
STEPS = {"digits": 300, "text": 400}
"""Of training, in each phase; enough for full precision to come within sight of what more steps bring."""
TRAININGS = {
    "scratch": "from random weights",
    "checkpoint": "from weights that had as many steps in full precision before, with a learning rate that begins anew",
    "none": "no training after as many steps in full precision",
}
REFERENCE = "reference"
"""The layer itself. In full precision it is what all are compared with: others need not offer that."""

ACCURACY = Paired(
    name="trained_accuracy",
    title="right answers after training, by seed",
    heading="accuracy",
    unit="%",
    better="higher",
    tolerance=1.0,
)
BITS_PER_BYTE = Paired(
    name="trained_bits_per_byte",
    title="bits per byte of unseen text after training, by seed",
    heading="bits per byte",
    unit="bit/B",
    better="lower",
    tolerance=0.02,
)


@cache
def pages() -> tuple[bytes, bytes]:
    """Python's own help pages: those to be read in training, and those that are kept."""
    from pydoc_data.topics import topics  # half a megabyte, of which most commands need nothing

    names = sorted(topics)
    kept = names[:: EVERY["text"]]
    read = [name for name in names if name not in kept]
    encoded = ("".join(topics[name] for name in chosen).encode() for chosen in (read, kept))
    return next(encoded), next(encoded)


def resolve(point: Params) -> Params:
    """From a point of the axes to a case's params: 0 steps become those of the task."""
    return {**point, "steps": int(point["steps"]) or STEPS[str(point["task"])]}


def facts(params: Params) -> Params:
    """What is known before it runs: the bits, of which units the values are, and which case it is compared with."""
    scheme = Scheme.parse(str(params["scheme"]))
    data = f"of text {zlib.crc32(b''.join(pages())):08x}" if params["task"] == "text" else "of scikit-learn's digits"
    full = Scheme(FULL_PRECISION, FULL_PRECISION, scheme.groups, scheme.norm)
    return {
        "weight_bits": scheme.weight_bits,
        "activation_bits": scheme.activation_bits,
        "groups": scheme.groups,
        "units": f"seeds from 0 {data}",
        "compared_with": f"scheme={full} implementation={REFERENCE}",
    }


def _word(what: str, *allowed: str) -> Axis:
    def parse(value: Value) -> Value:
        if value not in allowed:
            raise ValueError(f"{value!r} is unknown; choose from: {', '.join(allowed)}")
        return value

    return Axis(what, allowed, parse)


SUITE = Suite(
    name="accuracy",
    summary="small networks trained with a scheme: accuracy and bits per byte, seed by seed beside full precision",
    axes=(
        _word("task", *STEPS),
        _word("training", *TRAININGS),
        axes.schemes("w16a16", "w8a8", "w4a8", "w2a8", "w1.58a8", "w1a8"),
        Axis("steps", (0,), axes.whole(0, "a number of steps; 0 is the task's own")),
        Axis("seeds", (5,), axes.whole(1, "a number of seeds", 1000), full=(10,)),
        axes.DEVICE,
        axes.threads(1),
    ),
    metrics=(ACCURACY, BITS_PER_BYTE),
    budget=Budget(rounds=1, seconds=0.0),
    workload="suites.workloads.trained.examination:Trained",
    resolve=resolve,
    facts=facts,
    implementations=(REFERENCE,),
)
