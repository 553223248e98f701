"""The baselines: a plain linear layer with its weight in one dtype."""

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
