"""The baselines `linear-fp32`, `linear-bf16` and `linear-fp16`: plain linear layers, nothing quantised."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.engines.plain import PlainLinear
from bitlinear.interface import FLOAT32_AGREEMENT, Implementation, Tolerance, unit_roundoff
from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme


class PlainBaseline(Implementation):
    """What the hardware does with an unquantised layer."""

    storage: torch.dtype
    baseline = True

    def build(self, layer: BitLinear) -> nn.Module:
        """A plain linear layer with a copy of the weight in `storage`."""
        return PlainLinear(layer, self.storage)

    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """`x @ W.T + bias` in float64: no quantisation and no normalisation."""
        bias = None if layer.bias is None else layer.bias.detach().double()
        return F.linear(x.detach().double(), layer.weight.detach().double(), bias)

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """Float32 accuracy, or the three roundings to half precision: input, weight and output."""
        tolerance = Tolerance(FLOAT32_AGREEMENT, "float32 product")
        if rounding := max(unit_roundoff(self.storage), unit_roundoff(dtype)):
            return tolerance.plus(3 * rounding, "input, weight and output rounded to half precision")
        return tolerance


class LinearBf16(PlainBaseline):
    """The baseline that unquantised inference runs with in practice."""

    name = "linear-bf16"
    summary = "baseline: torch's linear, bfloat16 weight, nothing quantised"
    trainable = True
    storage = torch.bfloat16


class LinearFp16(PlainBaseline):
    """Half the bytes, and slow on processors without float16 arithmetic."""

    name = "linear-fp16"
    summary = "baseline: torch's linear, float16 weight, nothing quantised"
    storage = torch.float16

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says why it is not trained."""
        if training:
            return "linear-fp16 cannot be trained as it is: float16 gradients underflow without loss scaling"
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)


class LinearFp32(PlainBaseline):
    """The baseline that every speed-up is measured against."""

    name = "linear-fp32"
    summary = "baseline: torch's linear, float32 weight, nothing quantised"
    trainable = True
    storage = torch.float32
