"""Ops that quantise their weights once and then work on the codes."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from bitlinear.engines.frozen import FrozenLinear
from bitlinear.layer import BitLinear
from bitlinear.quantize import activation_codes, normalise, widen


class QuantisedLinear(FrozenLinear):
    """`y = sum_g (w_scale / a_scale) * (a_codes @ w_codes.T) + bias`, in plain torch.

    Scales and rounding are float32 (float64 for float64 tensors). How the codes are stored, and what the inner sums are
    made of, is up to `product`. Buffers: `scale`, and `bias` `(N,)`.
    """

    def compute(self, x: Tensor) -> Tensor:
        """`(..., K)` to `(..., N)`."""
        y = self.product(*self.quantise(x))
        if self.bias is not None:
            y = y + self.bias
        return y.to(x.dtype).reshape(*x.shape[:-1], y.shape[-1])

    def quantise(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Activation codes `(M, G, Kg)` and scale `(M, G, 1)`; the normalised input is about `codes / scale`."""
        tokens = x.reshape(-1, x.shape[-1])
        return activation_codes(normalise(self.widen(tokens), self.scheme), self.scheme)

    @abstractmethod
    def product(self, a: Tensor, a_scale: Tensor) -> Tensor:
        """The rescaled sums `(M, N)` of activation codes `(M, G, Kg)` with scale `(M, G, 1)`."""

    def widen(self, x: Tensor) -> Tensor:
        """`x` in the precision in which scales are computed and codes are rounded."""
        return widen(x)


class CodedLinear(QuantisedLinear):
    """Codes of the weight stored as `storage`; the inner sums are whatever `accumulate` makes them.

    Here those of a matrix product in `storage`. Buffers: `codes` `(G, N, Kg)`, one contiguous matrix for each group,
    `scale` `(G, 1 or N)`, and `bias`.
    """

    codes: Tensor

    def __init__(self, layer: BitLinear, storage: torch.dtype) -> None:
        super().__init__(layer.in_features, layer.out_features, layer.scheme, layer.weight.dtype)
        codes, scale = self.quantise_weight(layer)
        self.register_buffer("codes", codes.to(storage).transpose(0, 1).contiguous())
        self.register_buffer("scale", scale.squeeze(-1).T.contiguous())
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().clone())

    def quantise_weight(self, layer: BitLinear) -> tuple[Tensor, Tensor]:
        """Codes `(N, G, Kg)` and scale `(1 or N, G, 1)` of the weight."""
        return layer.quantised_weight()

    def product(self, a: Tensor, a_scale: Tensor) -> Tensor:
        """One matrix product a group."""
        y = self._group_product(a, a_scale, 0)
        for g in range(1, self.scheme.groups):
            y = y + self._group_product(a, a_scale, g)
        return y

    def accumulate(self, a: Tensor, w: Tensor) -> Tensor:
        """The inner sums `(M, N)` of activation codes `(M, Kg)` and stored weight codes `(N, Kg)`."""
        return F.linear(a.to(w.dtype), w)

    def stored_codes(self) -> Tensor:
        """The codes `(G, N, Kg)`, in whatever dtype."""
        return self.codes

    def dequantised_weight(self) -> Tensor:
        """Codes times scale, `(N, K)` in float32 or better."""
        scale = widen(self.scale).unsqueeze(-1)
        codes = self.stored_codes()[..., : self.in_features // self.scheme.groups]
        return (codes.to(scale.dtype) * scale).transpose(0, 1).flatten(1)

    def _group_product(self, a: Tensor, a_scale: Tensor, g: int) -> Tensor:
        return self.accumulate(a[:, g], self.codes[g]) * (self.scale[g] / a_scale[:, g])


class HalfLinear(CodedLinear):
    """CodedLinear for storage in half precision.

    Every group is padded to a multiple of 32 input features: where it is not one, oneDNN's AMX kernel reads on into the
    next token and multiplies what it finds there by zero, which a NaN survives (oneDNN issue 5717).
    """

    def __init__(self, layer: BitLinear, storage: torch.dtype) -> None:
        super().__init__(layer, storage)
        self.padding = -self.codes.shape[2] % 32
        self.codes = F.pad(self.codes, (0, self.padding))

    def accumulate(self, a: Tensor, w: Tensor) -> Tensor:
        """The inner sums `(M, N)` of activation codes `(M, Kg)` and padded weight codes."""
        return super().accumulate(F.pad(a, (0, self.padding)) if self.padding else a, w)
