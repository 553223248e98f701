"""`packed-base3`: ternary codes, five a byte."""

import torch
from torch import nn

from bitlinear.engines.packed import PackedLinear
from bitlinear.implementations.coded import CodedImplementation
from bitlinear.layer import BitLinear
from bitlinear.layouts.packing import BASE3
from bitlinear.scheme import Scheme


class PackedBase3(CodedImplementation):
    """1.6 bits where log2 3 = 1.585 are needed. Unpacking takes longer still."""

    name = "packed-base3"
    summary = "ternary weights packed five a byte, 1.6 bits each; unpacked in blocks by plain torch: smallest, slower"

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says that codes must be ternary."""
        if scheme.weight_bits not in (1.58, 2):
            return f"packed-base3 stores ternary codes, and weight_bits={scheme.weight_bits} has others; use packed"
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)

    def build(self, layer: BitLinear) -> nn.Module:
        """Codes of 1.6 bits."""
        return PackedLinear.from_layer(layer, BASE3)
