"""`native`: C kernels on packed weights."""

import torch
from torch import nn

from bitlinear.engines.native import BuildError, NativeLinear, has_kernel
from bitlinear.engines.native.library import library
from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme


class Native(Implementation):
    """Quantisation, exact inner sums against 1, 2, 4 or 8 bit weights, and rescaling in one operation.

    Activations that are not quantised are multiplied as floats by the same packed weights.
    """

    name = "native"
    summary = "C kernels on packed weights, compiled for this machine: AVX-512 VNNI, AVX2, NEON or plain C"

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says which schemes it has, and what is missing to compile it."""
        if device != "cpu":
            return f"native runs on cpu, not on {device}"
        if not has_kernel(scheme):
            return f"native multiplies codes of at most 8 bits, and {scheme} has larger ones; use eager"
        try:
            library()
        except (BuildError, ValueError) as error:
            return str(error)
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)

    def build(self, layer: BitLinear) -> nn.Module:
        """Stores the packed codes, the scales and the bias."""
        return NativeLinear.from_layer(layer)
