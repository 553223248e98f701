"""What a contestant must offer, and how anyone's own layer becomes one."""

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bitlinear.contract import contract_forward
from bitlinear.layer import BitLinear
from bitlinear.quantize import EPS, normalise, widen
from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code

FLOAT32_AGREEMENT = 1e-6
"""Relative error that the contract grants the rescaled float32 output."""

FLIPPED_CODES = 1e-4
"""Share of activation codes that another summation order of the normalisation may move by one step."""


@dataclass(frozen=True)
class Tolerance:
    """The largest `||expected - y|| / ||expected||` that still counts as correct, and where it comes from."""

    relative: float
    reason: str

    def plus(self, relative: float, reason: str) -> "Tolerance":
        """Both allowances together."""
        return Tolerance(self.relative + relative, f"{self.reason}; {reason}")


class Implementation(ABC):
    """One way of computing a BitLinear.

    Its ops take floating-point input of any shape `(..., in_features)` and return `(..., out_features)` in the dtype
    and on the device of the input, with and without gradients enabled. They leave the input alone, and no two outputs
    share memory.
    """

    name: str
    """Unique; what the user types."""
    summary: str
    """One line for the list of implementations."""
    trainable: bool = False
    """Whether `build_trainable` is offered."""
    baseline: bool = False
    """Whether it computes something other than the layer, to be compared with in speed only."""
    tokenwise: bool = True
    """Whether what is expected of a token depends on that token alone, and not on those that come with it."""
    homogeneous: bool = True
    """Whether a weight twice as large makes the output twice as large, exactly."""

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """A sentence that says why this cannot run, or None. `dtype` is that of the input. Never raises."""
        if training and not self.trainable:
            return f"{self.name} fixes its weights when it is built, so it cannot be trained"
        if device == "mps" and dtype == torch.float64:
            return "mps has no float64"
        return None

    @abstractmethod
    def build(self, layer: BitLinear) -> nn.Module:
        """An op that computes what `layer` computes.

        The op's parameters and buffers are all the weight bytes that it stores; it keeps no reference to `layer`. It
        may carry an attribute `note`: a sentence that the user ought to know, empty if there is none.
        """

    def build_trainable(self, layer: BitLinear) -> nn.Module:
        """An op with parameters `weight` and, if the layer has one, `bias`, shaped as the layer's, to be trained.

        Called only where `trainable` is True; the same as `build` unless overridden.
        """
        return self.build(layer)

    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """What an op of `layer` promises to return for `x`, in float64. The contract, unless overridden.

        Depends on `layer` and `x` alone: implementations of one `promise` share what it returns.
        """
        return contract_forward(layer, x)

    def promise(self) -> Hashable:
        """What stands for `expected`: implementations whose promises are equal expect the same."""
        return type(self).expected

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """How far an op may be from `expected` for input of `dtype`."""
        tolerance = Tolerance(FLOAT32_AGREEMENT, "float32 output")
        if rounding := unit_roundoff(dtype):
            tolerance = tolerance.plus(rounding, f"output rounded to {dtype}")
        if scheme.norm and scheme.activation_bits != FULL_PRECISION:
            tolerance = tolerance.plus(flip_allowance(scheme, in_features), "codes at a tie of the normalised input")
        return tolerance

    @torch.no_grad()
    def disagreement(self, layer: BitLinear, x: Tensor, expected: Tensor, y: Tensor) -> float:
        """`||expected - y|| / ||expected||` of an op's output `y` for `x`, to be held against `tolerance`.

        Values that neither side says are finite count as equal, and so does the infinity of what `overflown` finds;
        infinity if only one side is finite elsewhere, or for a wrong shape. Where an output is so small that its terms
        happen to cancel (a single value, say), the error is taken relative to the norm that terms of independent sign
        would give, `||a|| ||W|| / sqrt(K)`. An error that `rounding_of_means` explains is taken off in quadrature.
        """
        if y.shape != expected.shape:
            return math.inf
        lost = overflown(expected, y)
        expected, y = expected.masked_fill(lost, 0), y.masked_fill(lost, 0)
        if not torch.equal(y.isfinite(), expected.isfinite()):
            return math.inf
        gain = _norm(layer.weight.detach().double()) / math.sqrt(layer.in_features)
        error = _norm(expected - y)
        if self.baseline or not layer.scheme.norm:
            a = x.double()
        else:
            a = normalise(x.double(), layer.scheme)
            error = math.sqrt(max(0.0, error**2 - (gain * rounding_of_means(layer.scheme, x)) ** 2))
        scale = max(_norm(expected), gain * _norm(a))
        return error / scale if scale else math.inf if error else 0.0


def rounding_of_means(scheme: Scheme, x: Tensor) -> float:
    """What rounding the means of `x` may do to its normalisation and its codes, as a norm in units of those values.

    A sum of `n` terms in float32 (float64 for float64 input) is off by about `sqrt(n)` roundings of either sign, so
    the mean by `sqrt(n) u |mean|`, which is a shift `d` of all normalised values by that over their spread. A shift
    moves a share `d / step` of the codes by a step: mean squares of `d^2` and `d * step`. Where the mean is of the size
    of the spread this is far below `flip_allowance`; where it is 1000 times that, no float32 normalisation does better.
    """
    if not x.numel():
        return 0.0
    grouped = torch.unflatten(x.double(), -1, (scheme.groups, -1))
    size = grouped.shape[-1]
    spread = torch.sqrt(grouped.var(-1, correction=0) + EPS)
    shift = math.sqrt(size) * torch.finfo(widen(x).dtype).eps / 2 * grouped.mean(-1).abs() / spread
    if scheme.activation_bits == FULL_PRECISION:
        step = torch.zeros_like(shift)
    else:
        step = normalise(x.double(), scheme).abs().amax(-1).clamp_min(EPS) / largest_code(scheme.activation_bits)
    return math.sqrt(size * float((shift**2 + shift * step).nan_to_num(nan=0.0, posinf=0.0).sum()))


def unit_roundoff(dtype: torch.dtype) -> float:
    """Largest relative error of rounding a normal number to a half-precision `dtype`; 0 for float32 and float64."""
    return torch.finfo(dtype).eps / 2 if dtype in (torch.float16, torch.bfloat16) else 0.0


def gaussian_peak(size: int) -> float:
    """The largest of `size` Gaussian magnitudes in units of their rms: about `sqrt(2 ln 2n)`, at most `sqrt(n)`."""
    return min(math.sqrt(size), math.sqrt(2 * math.log(2 * size)))


def flip_allowance(scheme: Scheme, in_features: int) -> float:
    """Relative output error when the contract's share of codes, but at least one a token, is off by one step.

    A share `p` of errors of one step `peak / Qb` has the norm `sqrt(p) peak / (Qb rms)` relative to the input, and a
    product with independent weights keeps that ratio. A tail heavier than the Gaussian makes steps longer, and flips
    rarer in proportion, because it is the rounding of its own magnitude that moves a code across a tie.
    """
    share = max(FLIPPED_CODES, 1 / in_features)
    peak = gaussian_peak(in_features // scheme.groups)
    return math.sqrt(share) * peak / largest_code(scheme.activation_bits)


def _norm(values: Tensor) -> float:
    return float(values.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0).norm())


def overflown(expected: Tensor, y: Tensor) -> Tensor:
    """Where `y` is infinite because a finite `expected` is beyond its dtype, or less than 1 % within it."""
    limit = 0.99 * torch.finfo(y.dtype).max
    return y.isinf() & (y.sign() * expected >= limit) & expected.isfinite()
