"""torch's own linear layer, built without anything of any contestant's."""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import nn

from harness.model import Case
from harness.model.suite import Check, Workload
from harness.worker.accuracy import distance

LEAST_AGREEMENT = 80.0
"""dB between float32 and float64: what a wrong answer does not reach."""


class Stock(Workload):
    """`nn.Linear` in float32 on one input."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        self.seed = seed

    def context(self) -> AbstractContextManager[object]:
        """Inference mode."""
        return torch.inference_mode()

    def why_not(self) -> str | None:
        """Runs everywhere."""
        return None

    def build(self) -> Callable[[], object]:
        """A call of the layer."""
        return Call(self.case, self.seed)

    def check(self, call: Callable[[], object], metrics: frozenset[str]) -> Check:
        """Against the same product in float64."""
        assert isinstance(call, Call)
        output = call()
        expected = call.x.double() @ call.layer.weight.double().T
        values = distance("agreement", expected, output, frozenset({"agreement_sqnr"}))
        wrong = not values["agreement_sqnr"] >= LEAST_AGREEMENT
        return Check(values, "wrong answer: torch's own linear layer is off" if wrong else "")

    def stored(self, call: Callable[[], object]) -> Mapping[str, float]:
        """The weight, in float32."""
        size = 4 * math.prod(int(self.case.params[name]) for name in ("n", "k"))
        return {"weight_bytes": size, "bits_per_weight": 32.0}


class Call:
    """The layer and its input."""

    def __init__(self, case: Case, seed: int) -> None:
        m, k, n = (int(case.params[name]) for name in ("m", "k", "n"))
        device = str(case.params.get("device", "cpu"))
        random = torch.Generator().manual_seed(seed)
        self.layer = nn.Linear(k, n, bias=False)
        with torch.no_grad():
            self.layer.weight.copy_(torch.randn(n, k, generator=random))
        self.layer = self.layer.to(device)
        self.x = torch.randn(m, k, generator=random).to(device)

    def __call__(self) -> torch.Tensor:
        """One forward."""
        output: torch.Tensor = self.layer(self.x)
        return output


def stock(case: Case, seed: int) -> Stock:
    """The workload of a case."""
    return Stock(case, seed)
