"""`fp16`: codes in float16, scales and rounding in float32."""

import math

import torch
from torch import Tensor, nn

from bitlinear.engines.codes import HalfLinear
from bitlinear.implementations.coded import CodedImplementation
from bitlinear.interface import Tolerance, unit_roundoff
from bitlinear.layer import BitLinear
from bitlinear.quantize import absmax_scale
from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code


class Fp16(CodedImplementation):
    """Codes of up to 12 bits are exact in float16 and products are summed in float32; the sums' rounding remains."""

    name = "fp16"
    summary = "weights quantised once to float16 codes, float16 matmul; scales and rounding in float32"

    def build(self, layer: BitLinear) -> nn.Module:
        """Codes in float16."""
        return Fp16Linear(layer, torch.float16)

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """One rounding of the inner sums to 11 significant bits, one more of activations that need more bits."""
        rounding = unit_roundoff(torch.float16)
        tolerance = super().tolerance(scheme, dtype, in_features).plus(rounding, "inner sums rounded to float16")
        return tolerance if scheme.activation_bits <= 12 else tolerance.plus(rounding, "activations rounded to float16")


class Fp16Linear(HalfLinear):
    """Shrinks the activation codes so that no inner sum can pass 65504, which 127 K does from K = 516 on.

    The factor is a power of two and never takes a code below float16's normal numbers, so codes stay exact.
    """

    def quantise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Activation codes and scale, both multiplied by the same factor."""
        codes, scale = super().quantise(x)
        shrink = self._shrink(codes)
        return codes * shrink, scale * shrink

    def _shrink(self, codes: Tensor) -> Tensor | float:
        room = torch.finfo(torch.float16).max / (self.codes.shape[-1] * largest_code(self.scheme.weight_bits))
        if self.scheme.activation_bits == FULL_PRECISION:
            return absmax_scale(codes, room / 2)  # half, because float16 rounds such activations up, too
        return min(1.0, 2.0 ** math.floor(math.log2(room / largest_code(self.scheme.activation_bits))))
