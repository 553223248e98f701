"""bitlinear-pytorch: the recipe of the b1.58 authors as a training layer, which quantises its weight on every call."""

from torch import nn

from bitlinear.layer import BitLinear
from bitlinear.peers.bitnet import DequantisedPeer


class BitLinearPytorch(DequantisedPeer):
    """Keeps the float weight."""

    name = "bitlinear-pytorch"
    summary = "bitlinear-pytorch: float weight, quantised on every call; can be trained"
    package = "bitlinear-pytorch"
    contract = "b1.58, as the contract has it"
    quantises_weights = True
    trainable = True

    def build(self, layer: BitLinear) -> nn.Module:
        """Its own layer with a copy of the weight."""
        from bitlinear_pytorch import BitLinear as Theirs

        op: nn.Module = Theirs(layer.in_features, layer.out_features, layer.bias is not None, device="meta")
        op.weight = nn.Parameter(layer.weight.detach().clone())
        if layer.bias is not None:
            op.bias = nn.Parameter(layer.bias.detach().clone())
        return op
