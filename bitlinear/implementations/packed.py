"""`packed`: packed codes, unpacked in blocks in plain torch."""

from torch import nn

from bitlinear.engines.packed import PackedLinear
from bitlinear.implementations.coded import CodedImplementation
from bitlinear.layer import BitLinear


class Packed(CodedImplementation):
    """As many bits a weight as the scheme says, at the price of time: for few tokens, most goes into unpacking."""

    name = "packed"
    summary = "weights quantised once and packed, 1, 2 ... 8 bits each; unpacked in blocks by plain torch: small, slow"

    def build(self, layer: BitLinear) -> nn.Module:
        """Codes of whole bits."""
        return PackedLinear.from_layer(layer)
