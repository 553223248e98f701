"""What adapters to libraries of BitNet's layers have in common."""

import math

import torch
from torch import Tensor

from bitlinear.interface import Tolerance, flip_allowance
from bitlinear.layer import BitLinear
from bitlinear.peers.interface import Peer
from bitlinear.scheme import Scheme

_WEIGHTS_AT_A_TIE = 1e-6
"""Share of ternary codes that another rounding of the scale may move: 1/s and the product each round by 2^-24, which
moves weights within 2^-23 of `s/2`, at a density of about one a unit of `s`."""
_CODE_POWER = 0.6
"""Mean square of ternary codes: the share that is not zero, at least 61 % (Laplace)."""


class BitNetPeer(Peer):
    """A peer that knows 8-bit activations and one group."""

    weight_bits: tuple[float, ...] = (1.58,)
    """Those it can hold."""

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says so where the scheme has other weights, other activations or several groups."""
        if reason := super().why_not(scheme=scheme, device=device, dtype=dtype, training=training):
            return reason
        if scheme.weight_bits not in self.weight_bits or scheme.activation_bits != 8 or scheme.groups != 1:
            known = ", ".join(f"w{bits}a8-nonorm" for bits in self.weight_bits)
            return f"{self.name} knows {known} in one group, and not {scheme}"
        return None

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """Adds what activation codes at a tie may do: libraries divide where the contract multiplies."""
        ties = flip_allowance(scheme, in_features)
        return super().tolerance(scheme, dtype, in_features).plus(ties, "codes at a tie of a scale rounded twice")


class DequantisedPeer(BitNetPeer):
    """One that sums dequantised values in float32, where the contract sums codes."""

    quantises_weights: bool = False
    """Whether it makes the ternary codes of its weight, on every call; else it is given them."""

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """Adds the rounding of the sums, and weights at a tie if it quantises them."""
        sums = math.sqrt(in_features) * 2.0**-24  # K roundings of either sign
        tolerance = super().tolerance(scheme, dtype, in_features).plus(sums, "float32 sums of dequantised values")
        if not self.quantises_weights:
            return tolerance
        return tolerance.plus(math.sqrt(_WEIGHTS_AT_A_TIE / _CODE_POWER), "weights at a tie of a scale rounded twice")


def copied_bias(layer: BitLinear) -> Tensor | None:
    """A copy of the bias, if there is one."""
    return None if layer.bias is None else layer.bias.detach().clone()
