"""One training step of a layer: forward, backward and an SGD step."""

import math
import random
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor, nn

from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from harness.model import Case
from harness.model.workload import Check, Prepared, Workload
from harness.worker.accuracy import cosine
from suites.catalogue.contestants import find
from suites.workloads.layer.forward import storage_bytes, stored_bytes
from suites.workloads.layer.problem import Problem, problem
from suites.workloads.layer.rotation import LOOKED_AT, weights

LEARNING_RATE = 1e-9
"""So small that the weights of the last timed step are those of the first: what is timed does not drift."""
Gradients: TypeAlias = tuple[Tensor | None, Tensor | None]
"""Of the weight `(N, K)` and of the input `(M, K)`."""
NAMES = ("weight_gradient_cosine", "input_gradient_cosine")
GRADIENT_FLOOR = 0.5
"""A gradient that points further away from the full-precision one than 60 degrees is no gradient of this layer."""
NO_GRADIENT = "wrong answer: no gradient reached the weight or the input"


class Training(Workload):
    """A training step of one contestant, judged by its gradients against the full-precision twin's."""

    def __init__(self, case: Case, seed: int) -> None:
        super().__init__(case, seed)
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

    def build(self) -> "Step":
        """The step of a module that the contestant makes from a layer of its own."""
        return Step(self.implementation.build_trainable(self.problem.layer()), self)

    @cached_property
    def twin_gradients(self) -> tuple[Tensor, Tensor]:
        """Of weight and input of the full-precision twin, by autograd in float64; a baseline's has no norm."""
        scheme, (n, k) = self.problem.scheme, self.problem.weight.shape
        norm = scheme.norm and not self.implementation.baseline
        twin = BitLinear(k, n, scheme.groups, weight_bits=16, activation_bits=16, norm=norm, device="meta")
        twin.weight = nn.Parameter(self.problem.weight.double())
        x = self.problem.x.double().requires_grad_()
        twin(x).backward(self.upstream.double())
        assert twin.weight.grad is not None
        assert x.grad is not None
        return twin.weight.grad, x.grad


class Step(Prepared):
    """A step of training `module` on one input and one upstream gradient.

    The input changes sign from visit to visit. Normalisation, rounding and product are odd functions, so the gradient
    of the weight then changes sign with it and that of the input stays as it was, exactly.
    """

    def __init__(self, module: nn.Module, training: Training) -> None:
        self.module = module
        self.training = training
        self.x = training.problem.x.detach().clone()
        self.x.requires_grad_()  # in a model, the layer before wants its gradient too
        self.upstream = training.upstream
        self.sign = 1
        """Of the input."""
        self.optimiser = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE)
        self._random = random.Random()  # unseeded: contestants know the seed of the run, and are not to know this

    def __call__(self) -> Gradients:
        """Forward, backward, step."""
        self._clear()
        return self._backward(self.module(self.x))

    def check(self, metrics: frozenset[str]) -> Check:
        """The cosines between the gradients of weight and input and those of the twin."""
        values: dict[str, float] = dict.fromkeys(NAMES, math.nan)
        given = [gradient for gradient in self() if gradient is not None]
        if len(given) < len(NAMES):
            return Check(values, NO_GRADIENT)
        for name, twin, gradient in zip(NAMES, self.training.twin_gradients, given, strict=True):
            if gradient.shape != twin.shape:
                return Check(
                    values, f"wrong answer: a gradient of shape {tuple(gradient.shape)}, not {tuple(twin.shape)}"
                )
            values[name] = cosine(twin, gradient.to(torch.float64))
        if all(value >= GRADIENT_FLOOR for value in values.values()):
            return Check(values)
        words = " and ".join(f"{value:.3g}" for value in values.values())
        return Check(values, f"wrong answer: the cosines of its gradients with the twin's are {words}")

    def refresh(self) -> None:
        """The negative of the input before."""
        self.x.data.neg_()
        self.sign = -self.sign

    def inspect(self, output: object) -> str:
        """Some rows of both gradients against the twin's, and whether the input is what it was."""
        if not isinstance(output, tuple) or not all(type(gradient) is Tensor for gradient in output):
            return f"{NO_GRADIENT}; in a timed call"
        for twin, gradient, sign in zip(self.training.twin_gradients, output, (self.sign, 1), strict=True):
            rows = self._some_rows(twin)
            value = cosine(twin[rows], sign * gradient[rows].to(torch.float64))
            if not value >= GRADIENT_FLOOR:
                words = f"the cosine of some rows of a gradient with the twin's is {value:.3g}"
                return f"wrong answer: {words}; in a timed call"
        if not torch.equal(self.x.detach(), self.sign * self.training.problem.x):
            return "wrong answer: changed its input"
        return ""

    def peaks(self) -> Mapping[str, Callable[[], object]]:
        """Forward alone, and backward with the optimiser step, of one step after gradients have been forgotten."""
        outputs: list[Tensor] = []
        self._clear()

        def forward() -> None:
            outputs.append(self.module(self.x))

        return {"peak_forward_bytes": forward, "peak_backward_bytes": lambda: self._backward(outputs.pop())}

    def declared(self) -> float:
        """Bytes of all that is alive between steps: parameters, the input, and the gradients of both."""
        leaves = [*weights(self.module), self.x]
        return storage_bytes([*leaves, *(leaf.grad for leaf in leaves if leaf.grad is not None)])

    def stored(self) -> Mapping[str, float]:
        """Bytes of the parameters that are trained."""
        size = stored_bytes(self.module)
        return {"weight_bytes": size, "bits_per_weight": 8 * size / self.training.problem.weight.numel()}

    def _clear(self) -> None:
        """Forget the gradients of the last step."""
        self.optimiser.zero_grad()
        self.x.grad = None

    def _backward(self, y: Tensor) -> Gradients:
        """From an output to gradients and new weights."""
        y.backward(self.upstream)  # type: ignore[no-untyped-call]  # torch's
        self.optimiser.step()
        return next(iter(self.module.parameters())).grad, self.x.grad

    def _some_rows(self, gradient: Tensor) -> Tensor:
        """Numbers of rows, at random, few enough to be looked at after every visit."""
        rows, few = len(gradient), max(1, LOOKED_AT // gradient.shape[-1])
        return torch.tensor(self._random.sample(range(rows), min(rows, few)), dtype=torch.long, device=gradient.device)
