"""A user's own implementations, good and bad, as they would be given on the command line."""

import os
import time

import torch
from torch import Tensor, nn

from bitlinear import BitLinear
from bitlinear.interface import Implementation


class Float(nn.Module):
    """The layer's product with its weight dequantised once."""

    def __init__(self, layer: BitLinear) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def honest(layer: BitLinear) -> nn.Module:
    """An honest one."""
    return Float(layer)


class Shape(Float):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[..., :-1]


class Dtype(Float):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).double()


class NotANumber(Float):
    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        y[0, 0] = torch.nan
        return y


class Scaled(Float):
    def forward(self, x: Tensor) -> Tensor:
        return 1.01 * super().forward(x)


class Raises(Float):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("out of luck")


class Exits(Float):
    def forward(self, x: Tensor) -> Tensor:
        os._exit(3)


class Hangs(Float):
    def forward(self, x: Tensor) -> Tensor:
        time.sleep(60)
        return x


def broken_build(layer: BitLinear) -> nn.Module:
    raise ValueError(f"cannot pack {layer.in_features} features")


class TwoSizes(nn.Module):
    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()


class Fragile(Implementation):
    """Fails in its own code, which is no matter of how it was given."""

    name, summary = "fragile", "never there"

    def __init__(self) -> None:
        raise TypeError("no table for 'NoneType'")

    def build(self, layer: BitLinear) -> nn.Module:
        return layer
