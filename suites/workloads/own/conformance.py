"""One property of one contestant."""

from collections.abc import Callable, Mapping
from functools import cache, partial

import torch
from torch import Tensor, nn

from bitlinear.conformance import PROPERTIES
from bitlinear.conformance.check import PropertyFinding, check, refused
from bitlinear.conformance.subject import SCHEMES, Subject
from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme
from harness.model import Case
from harness.model.suite import Check, Workload
from harness.user_code.raised import own_frames
from harness.worker.device.allocations import kept_by_python, surplus
from harness.worker.device.devices import DEVICES
from suites.catalogue.contestants import find
from suites.special.conformance import ALL_SCHEMES
from suites.workloads.layer.forward import stored_bytes

SECONDS = 20.0
"""After which no further example of a property is asked; compilers take seconds for each."""
K, N = 640, 1024
"""Of the layer whose bytes are counted: large enough that even a copy of one bit a weight cannot hide in the slack."""


class Conformance(Workload):
    """`call()` asks for the property that the case names, and answers what was found."""

    def __init__(self, case: Case, seed: int) -> None:
        del seed  # examples are always the same
        self.name = str(case.params["property"])
        scheme, dtype = str(case.params["scheme"]), getattr(torch, str(case.params["dtype"]))
        schemes = SCHEMES if scheme == ALL_SCHEMES else (Scheme.parse(scheme),)
        self.subject = Subject(find(case.implementation), schemes, str(case.params["device"]), dtype)

    def why_not(self) -> str | None:
        """Why the contestant offers none of the schemes here."""
        return refused(self.subject) or None

    def build(self) -> Callable[[], object]:
        """Asks when it is first called, and remembers the answer."""
        if self.name in PROPERTIES:
            return cache(partial(check, self.name, self.subject, SECONDS))
        return cache(partial(_storage, self.subject))

    def check(self, call: Callable[[], object], metrics: frozenset[str]) -> Check:
        """The finding, as a judgement."""
        found = call()
        assert isinstance(found, PropertyFinding), "calls of this workload are made by its `build`"
        rest = f"the first {found.examples} examples took {SECONDS:g} s; the rest was not asked" if found.cut else ""
        trace = own_frames(found.raised) if found.raised else ()
        return Check({"examples": found.examples}, found.fault, rest, trace)

    def stored(self, call: Callable[[], object]) -> Mapping[str, float]:
        """Nothing is measured of it."""
        return {}


def _storage(subject: Subject) -> PropertyFinding:
    """Bytes that a build and a first call leave alive, against those of the op's parameters and buffers."""
    held = 0
    for example, layer, _ in subject.ops(subject.even(K, N)):
        build = partial(_built_and_called, subject.implementation, layer, example.input(subject.device))
        allocation, (elsewhere, op) = DEVICES[subject.device].trace(partial(kept_by_python, build))
        size = stored_bytes(op)
        stored = {"weight_bytes": size, "bits_per_weight": 8 * size / layer.weight.numel()}
        if told := surplus(allocation.kept + elsewhere, size, stored):
            return PropertyFinding(held, f"{told}; with {example}")
        held += 1
    return PropertyFinding(held, "" if held else f"no layer could be built: {(subject.raised + subject.refusals)[0]}")


def _built_and_called(implementation: Implementation, layer: BitLinear, x: Tensor) -> nn.Module:
    op = implementation.build(layer)
    op(x)
    return op
