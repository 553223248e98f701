"""`bf16`: codes in bfloat16, scales and rounding in float32."""

import torch
from torch import nn

from bitlinear.engines.codes import HalfLinear
from bitlinear.implementations.coded import CodedImplementation
from bitlinear.interface import Tolerance, unit_roundoff
from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme


class Bf16(CodedImplementation):
    """Codes of up to 9 bits are exact in bfloat16 and products are summed in float32; the sums' rounding remains."""

    name = "bf16"
    summary = "weights quantised once to bfloat16 codes, bfloat16 matmul; scales and rounding in float32"

    def build(self, layer: BitLinear) -> nn.Module:
        """Codes in bfloat16."""
        return HalfLinear(layer, torch.bfloat16)

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """One rounding of the inner sums to 8 significant bits, one more of activations that need more bits."""
        rounding = unit_roundoff(torch.bfloat16)
        tolerance = super().tolerance(scheme, dtype, in_features).plus(rounding, "inner sums rounded to bfloat16")
        return tolerance if scheme.activation_bits <= 9 else tolerance.plus(rounding, "activations rounded to bfloat16")
