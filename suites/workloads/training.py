"""One training step of a layer: forward, backward and an SGD step."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bitlinear.implementation import Implementation
from bitlinear.layer import BitLinear
from harness.accuracy import cosine
from harness.model import Case
from harness.suite import Check, Workload
from suites.workloads.catalogue import find
from suites.workloads.forward import stored_bytes
from suites.workloads.problem import Problem, problem

LEARNING_RATE = 1e-9
"""So small that the weights of the last timed step are those of the first: what is timed does not drift."""
GRADIENT_FLOOR = 0.5
"""A gradient that points further away from the full-precision one than 60 degrees is no gradient of this layer."""


@dataclass
class Step:
    """A step of training a module on one input and one upstream gradient."""

    module: nn.Module
    x: Tensor
    upstream: Tensor

    def __post_init__(self) -> None:
        self.optimiser = torch.optim.SGD(self.module.parameters(), lr=LEARNING_RATE)

    def __call__(self) -> Tensor:
        """Forward, backward, step; returns the gradient of the weight `(N, K)` of this step."""
        self.optimiser.zero_grad()
        self.module(self.x).backward(self.upstream)
        self.optimiser.step()
        gradient = next(iter(self.module.parameters())).grad
        if gradient is None:
            raise RuntimeError("no gradient reached the weight")
        return gradient


class Training(Workload):
    """A training step of one contestant, judged by its gradient against the full-precision twin's."""

    def __init__(self, case: Case, seed: int) -> None:
        self.problem: Problem = problem(case, seed)
        self.implementation: Implementation = find(case.implementation)
        generator = torch.Generator().manual_seed(seed + 1)
        m, n = self.problem.x.shape[0], self.problem.weight.shape[0]
        self.upstream = torch.randn((m, n), generator=generator).to(self.problem.x)

    def why_not(self) -> str | None:
        """What the contestant says of being trained."""
        x = self.problem.x
        return self.implementation.why_not(
            scheme=self.problem.scheme, device=x.device.type, dtype=x.dtype, training=True
        )

    def build(self) -> Callable[[], object]:
        """The step of a module that the contestant makes from a layer of its own."""
        return Step(self.implementation.build_trainable(self.problem.layer()), self.problem.x, self.upstream)

    def check(self, call: Callable[[], object], metrics: frozenset[str]) -> Check:
        """The cosine between the weight's gradient and the twin's."""
        gradient = call()
        if not isinstance(gradient, Tensor) or gradient.shape != self.problem.weight.shape:
            return Check({"gradient_cosine": math.nan}, "wrong answer: no gradient of the weight's shape")
        agreement = cosine(self._twin_gradient(), gradient.to(torch.float64))
        values = {"gradient_cosine": agreement}
        if agreement >= GRADIENT_FLOOR:
            return Check(values)
        return Check(values, f"wrong answer: the cosine of its gradient with the twin's is {agreement:.3g}")

    def stored(self, call: Callable[[], object]) -> Mapping[str, float]:
        """Bytes of the parameters that are trained."""
        if not isinstance(call, Step):
            return {}
        size = stored_bytes(call.module)
        return {"weight_bytes": size, "bits_per_weight": 8 * size / self.problem.weight.numel()}

    def _twin_gradient(self) -> Tensor:
        """The full-precision twin's: a linear layer has `upstream.T @ norm(x)`, computed by autograd in float64."""
        scheme, (n, k) = self.problem.scheme, self.problem.weight.shape
        norm = scheme.norm and not self.implementation.baseline
        twin = BitLinear(
            k,
            n,
            scheme.groups,
            weight_bits=16,
            activation_bits=16,
            norm=norm,
            dtype=torch.float64,
            device=self.problem.x.device,
        )
        with torch.no_grad():
            twin.weight.copy_(self.problem.weight)
        twin(self.problem.x.to(torch.float64)).backward(self.upstream.to(torch.float64))
        assert twin.weight.grad is not None
        return twin.weight.grad
