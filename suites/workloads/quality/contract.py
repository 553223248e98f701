"""The contract for whole models: weights are dequantised once, so that groups cost no products of their own."""

import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from bitlinear.quantize import activation_codes, normalise, widen


class Contract(Implementation):
    """What the contract says, in one float32 product a layer. Not for measuring speed: it stores float32 weights."""

    name = "contract"
    summary = "the contract's layer, weights dequantised to float32"

    def build(self, layer: BitLinear) -> nn.Module:
        """Codes times scales."""
        return DequantisedLinear(layer)


class DequantisedLinear(nn.Module):
    """`(a_codes / a_scale) @ (w_codes * w_scale).T + bias`. Buffers: `weight` `(N, K)`, and `bias` `(N,)` or None."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, layer: BitLinear) -> None:
        super().__init__()
        self.scheme = layer.scheme
        codes, scale = layer.quantised_weight()
        self.register_buffer("weight", (codes * scale).flatten(1))
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """`(..., K)` to `(..., N)`, in the dtype of the input."""
        codes, scale = activation_codes(normalise(widen(x), self.scheme), self.scheme)
        return F.linear((codes / scale).flatten(-2), self.weight, self.bias).to(x.dtype)
