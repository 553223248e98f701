"""`eager`: weights quantised once, a float32 matrix product on the codes."""

import torch
from torch import nn

from bitlinear.engines.codes import CodedLinear
from bitlinear.implementations.coded import CodedImplementation
from bitlinear.layer import BitLinear


class Eager(CodedImplementation):
    """Float32 holds every whole number up to 2^24, so the inner sums are exact while they stay below.

    They do with ternary weights and 8-bit activations up to K = 132,104, with 8-bit weights up to K = 1,040. Beyond
    that, and for unquantised activations, float32 rounding stays within the contract's 1e-6.
    """

    name = "eager"
    summary = "weights quantised once to float32 codes, float32 matmul"

    def build(self, layer: BitLinear) -> nn.Module:
        """Codes in float32."""
        return CodedLinear(layer, torch.float32)
