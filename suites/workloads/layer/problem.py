"""The weights and inputs of a contest, made once and shared by its contestants."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from types import FunctionType

import torch
from torch import Tensor, nn

from bitlinear.contract import twin_forward
from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme
from bitlinear.theory import OUTLIER
from harness.model import Case
from harness.worker.kept import once

FEW_ELEMENTS = 1 << 16
"""An input of at most so many elements counts as small: what goes through several of them stays in the cache."""
INPUTS, LARGE_INPUTS = 4, 2
"""How many small and large inputs a contest has."""


@dataclass(frozen=True)
class Problem:
    """One weight `(N, K)` and several inputs `(M, K)`, with the answers that belong to them, computed when asked for.

    Contestants get copies of the weight: what they do to it, they do to themselves.
    """

    scheme: Scheme
    weight: Tensor
    inputs: tuple[Tensor, ...]
    name: str = ""
    """Tells it from all other problems of a run; empty where its answers are not worth keeping."""
    _answers: dict[Hashable, tuple[Tensor, ...]] = field(default_factory=dict)

    @property
    def x(self) -> Tensor:
        """The first input: the one that errors are computed on."""
        return self.inputs[0]

    def layer(self, gain: float = 1.0) -> BitLinear:
        """A layer of its own for one contestant, its weight multiplied by `gain`."""
        n, k = self.weight.shape
        scheme = self.scheme
        layer = BitLinear(
            k,
            n,
            scheme.groups,
            weight_bits=scheme.weight_bits,
            activation_bits=scheme.activation_bits,
            norm=scheme.norm,
            device="meta",  # the weight is replaced at once: draw none
        )
        layer.weight = nn.Parameter(self.weight * gain)
        return layer

    def answers(self, implementation: Implementation) -> tuple[Tensor, ...]:
        """What `implementation` promises for each input, `(M, N)` in float64. Those of one promise share it."""
        promise = implementation.promise()
        if promise not in self._answers:
            self._answers[promise] = self._kept(implementation, promise)
        return self._answers[promise]

    def _kept(self, implementation: Implementation, promise: Hashable) -> tuple[Tensor, ...]:
        """Computed once a run, if the promise is a function, which has the same name in every worker."""
        compute = partial(self._promised, implementation)
        if not (self.name and isinstance(promise, FunctionType)):
            return compute()
        return once(f"{promise.__module__}.{promise.__qualname__} {self.name}", compute, self.x.device)

    def _promised(self, implementation: Implementation) -> tuple[Tensor, ...]:
        """Of all inputs together where that makes no difference: they then share the work on the weight."""
        if not implementation.tokenwise:
            return tuple(implementation.expected(self.layer(), x) for x in self.inputs)
        together = implementation.expected(self.layer(), torch.cat(self.inputs))
        return together.reshape(len(self.inputs), len(self.x), len(self.weight)).unbind()

    @cached_property
    def twin(self) -> Tensor:
        """The full-precision twin's output `(M, N)` for `x`, in float64."""
        return twin_forward(self.layer(), self.x)


@lru_cache(maxsize=1)
def _problem(contest: str, seed: int) -> Problem:
    case = Case.parse(f"{contest}/implementation=none")
    m, k, n = (int(case.params[key]) for key in "mkn")
    dtype = getattr(torch, str(case.params.get("dtype", "float32")))
    generator = torch.Generator().manual_seed(seed)
    distribution = str(case.params.get("distribution", "kaiming"))
    weight = _weight((n, k), distribution, generator)
    count = INPUTS if m * k <= FEW_ELEMENTS else LARGE_INPUTS
    inputs = [_input((m, k), distribution, generator) for _ in range(count)]
    device = str(case.params.get("device", "cpu"))
    scheme = _scheme(str(case.params["scheme"]), k)
    name = f"{contest} {seed}"
    return Problem(scheme, weight.to(device, dtype), tuple(x.to(device, dtype) for x in inputs), name)


def problem(case: Case, seed: int) -> Problem:
    """The problem of the contest that `case` is in. Only the last one is kept."""
    return _problem(case.contest, seed)


def _scheme(text: str, in_features: int) -> Scheme:
    """With a number of groups where it has their size, of which the base of a gate may know nothing."""
    scheme = Scheme.parse(text)
    return scheme.for_features(in_features) if "gs" in text else scheme


def _weight(shape: tuple[int, int], distribution: str, generator: torch.Generator) -> Tensor:
    if distribution == "kaiming":
        bound = shape[1] ** -0.5
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)
    return _draw(shape, "gaussian" if distribution == "outliers" else distribution, generator)


def _input(shape: tuple[int, int], distribution: str, generator: torch.Generator) -> Tensor:
    if distribution == "outliers":
        x = _draw(shape, "gaussian", generator)
        x[:, 0] *= OUTLIER  # one loud channel
        return x
    return _draw(shape, "gaussian" if distribution == "kaiming" else distribution, generator)


def _draw(shape: tuple[int, int], distribution: str, generator: torch.Generator) -> Tensor:
    """Independent samples of zero mean; the scale does not matter to any quantiser here."""
    match distribution:
        case "gaussian":
            return torch.randn(shape, generator=generator)
        case "uniform":
            return torch.empty(shape).uniform_(-1, 1, generator=generator)
        case "laplace":
            sign = torch.empty(shape).uniform_(-1, 1, generator=generator).sign()
            return sign * torch.empty(shape).exponential_(generator=generator)
    raise ValueError(f"no way to draw {distribution!r}; choose from: gaussian, uniform, laplace")
