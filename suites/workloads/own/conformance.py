"""One property of one contestant."""

from functools import cached_property, partial

import torch
from torch import Tensor, nn

from bitlinear.conformance import PROPERTIES, SCHEMES
from bitlinear.conformance.check import PropertyFinding, check, refused
from bitlinear.conformance.subject import Subject
from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme
from harness.model import Case
from harness.model.workload import Check, Prepared, Workload
from harness.user_code.raised import own_frames
from harness.worker.device.allocations import kept_by_python, surplus
from harness.worker.device.devices import DEVICES
from suites.catalogue.contestants import find
from suites.special.conformance import ALL_SCHEMES, NOT_ASKED
from suites.workloads.layer.forward import stored_bytes

SECONDS = 20.0
"""After which no further example of a property is asked; compilers take seconds for each."""
K, N = 640, 1024
"""Of the layer whose bytes are counted: large enough that even a copy of one bit a weight cannot hide in the slack."""


class Conformance(Workload):
    """One property, asked of the contestant in the schemes that the case names."""

    def __init__(self, case: Case, seed: int) -> None:
        super().__init__(case, seed)
        scheme, dtype = str(case.params["scheme"]), getattr(torch, str(case.params["dtype"]))
        schemes = SCHEMES if scheme == ALL_SCHEMES else (Scheme.parse(scheme),)
        self.subject = Subject(find(case.implementation), schemes, str(case.params["device"]), dtype)

    def why_not(self) -> str | None:
        """Why the contestant offers none of the schemes here."""
        return refused(self.subject) or None

    def build(self) -> "Asked":
        """Not asked yet. The examples do not depend on the seed."""
        return Asked(str(self.case.params["property"]), self.subject)


class Asked(Prepared):
    """Asks for a property when it is first called, and remembers what was found."""

    def __init__(self, name: str, subject: Subject) -> None:
        self._name = name
        self._subject = subject

    @cached_property
    def _found(self) -> PropertyFinding:
        if self._name in PROPERTIES:
            return check(self._name, self._subject, SECONDS)
        return _storage(self._subject)

    def __call__(self) -> PropertyFinding:
        """What was found."""
        return self._found

    def check(self, metrics: frozenset[str]) -> Check:
        """The finding, as a judgement."""
        found = self()
        rest = f"the first {found.examples} examples took {SECONDS:g} s; {NOT_ASKED}" if found.cut else ""
        trace = own_frames(found.raised) if found.raised else ()
        return Check({"examples": found.examples}, found.fault, rest, trace)


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
