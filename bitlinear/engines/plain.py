"""The baselines: a plain linear layer with its weight in one dtype, not quantised and not normalised."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.autocast import full_precision
from bitlinear.layer import BitLinear
from bitlinear.quantize import require_floating


class PlainLinear(nn.Module):
    """`x @ W.T + bias` in the dtype `storage`; the output has the dtype of the input."""

    bias: nn.Parameter | None

    def __init__(self, layer: BitLinear, storage: torch.dtype) -> None:
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().to(storage, copy=True))
        bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().to(storage, copy=True))
        self.register_parameter("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., K)` to `(..., N)`, autocast or not. Raises TypeError for input that is not floating point."""
        require_floating(x)
        with full_precision(x.device.type):
            return F.linear(x.to(self.weight.dtype), self.weight, self.bias).to(x.dtype)
