"""torch's own linear layer, built without anything of any contestant's."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

import torch
from torch import nn

from harness.model.workload import Check, Prepared, Workload
from harness.worker.accuracy import distance

LEAST_AGREEMENT = 80.0
"""dB between float32 and float64: what a wrong answer does not reach."""


class Stock(Workload):
    """`nn.Linear` in float32 on one input."""

    def context(self) -> AbstractContextManager[object]:
        """Inference mode."""
        return torch.inference_mode()

    def build(self) -> "Linear":
        """A layer of the case's sizes."""
        m, k, n = (int(self.case.params[name]) for name in ("m", "k", "n"))
        return Linear((m, k, n), str(self.case.params.get("device", "cpu")), self.seed)


class Linear(Prepared):
    """The layer and its input; `sizes` are tokens, input features and output features."""

    def __init__(self, sizes: tuple[int, int, int], device: str, seed: int) -> None:
        m, k, n = sizes
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

    def check(self, metrics: frozenset[str]) -> Check:
        """Against the same product in float64."""
        expected = self.x.double() @ self.layer.weight.double().T
        values = distance("agreement", expected, self(), frozenset({"agreement_sqnr"}))
        wrong = not values["agreement_sqnr"] >= LEAST_AGREEMENT
        return Check(values, "wrong answer: torch's own linear layer is off" if wrong else "")

    def stored(self) -> Mapping[str, float]:
        """The weight, in float32."""
        return {"weight_bytes": self.layer.weight.nbytes, "bits_per_weight": 32.0}
