"""`bf16-naive`: everything in bfloat16, to show what that costs."""

import math

import torch
from torch import Tensor, nn

from bitlinear.engines.codes import HalfLinear
from bitlinear.implementations.coded import CodedImplementation
from bitlinear.interface import Tolerance, gaussian_peak, unit_roundoff
from bitlinear.layer import BitLinear
from bitlinear.quantize import weight_codes
from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code


class Bf16Naive(CodedImplementation):
    """What `layer.bfloat16()` does in a library that does not widen: norm, scales and rounding in half precision."""

    name = "bf16-naive"
    summary = "everything in bfloat16, norm, scales and rounding too: shows what that costs"

    def build(self, layer: BitLinear) -> nn.Module:
        """Codes in bfloat16, computed in bfloat16."""
        return NaiveLinear(layer, torch.bfloat16)

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """Six roundings of values, and codes that rounding moved to a neighbour, of both operands."""
        rounding = unit_roundoff(torch.bfloat16)
        size = in_features // scheme.groups
        return (
            super()
            .tolerance(scheme, dtype, in_features)
            .plus(6 * rounding, "input, norm, both scales, inner sums and their product rounded to bfloat16")
            .plus(_moved(scheme.activation_bits, size), "activation codes moved by rounding in bfloat16")
            .plus(_moved(scheme.weight_bits, size), "weight codes moved by rounding in bfloat16")
        )


class NaiveLinear(HalfLinear):
    """HalfLinear without the precision that the contract asks for."""

    def widen(self, x: Tensor) -> Tensor:
        """Narrows instead."""
        return x.bfloat16()

    def quantise_weight(self, layer: BitLinear) -> tuple[Tensor, Tensor]:
        """Computed in bfloat16, too."""
        return weight_codes(layer.weight.detach().bfloat16(), layer.scheme, layer.weight_scale)


def _moved(bits: float, size: int) -> float:
    """Relative error when every value `c`, in steps, is off by up to `4 u |c|` before it is rounded to a code.

    A code then moves by one step with a probability of up to `4 u E|c|`, which leaves
    `sqrt(4 u E|c|) / rms(c) <= sqrt(4 u / rms(c))`. Twice the probability is allowed, because in a small layer a few
    codes carry the error. One-bit and ternary codes come from the mean magnitude, so their rms is about 1.
    """
    if bits == FULL_PRECISION:
        return 0.0
    rms = largest_code(bits) / gaussian_peak(size) if bits >= 2 else 1.0
    return math.sqrt(8 * unit_roundoff(torch.bfloat16) / rms)
