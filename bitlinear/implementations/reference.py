"""`reference`: the layer itself."""

import copy

from torch import nn

from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear


class Reference(Implementation):
    """Stores the float weight and quantises it at every call, as training has to."""

    name = "reference"
    summary = "the layer itself: quantises its weights at every call, trainable"
    trainable = True

    def build(self, layer: BitLinear) -> nn.Module:
        """A copy of the layer."""
        return copy.deepcopy(layer)
