"""What all layers of a fixed weight share: `eager`, `packed`, `native` and `triton` derive from it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from bitlinear.autocast import full_precision
from bitlinear.engines.gradient import is_differentiated, straight_through
from bitlinear.engines.stand_in import WeightStandIn
from bitlinear.nested import over_nested
from bitlinear.observers import is_unobserved
from bitlinear.quantize import normalise, require_fit, require_sizes, widen
from bitlinear.saved_scheme import SavesScheme
from bitlinear.scheme import FULL_PRECISION, Scheme


class FrozenLinear(SavesScheme, ABC):
    """A BitLinear whose weight was quantised once: `(..., in_features)` to `(..., out_features)`, for inference.

    Takes float32, bfloat16, float16 or float64 and nested tensors of them, and returns the dtype of the input. Autocast
    changes nothing. The input gets the straight-through gradient of `BitLinear`; the weight is fixed and gets none.

    `.to(device)` moves everything. `.half()` and the like convert the buffers that `converted` names, and no others:
    codes are whole numbers, and a scale in half precision would make another layer of it.

    `weight` shows dtype, shape and device and has no values (`engines.stand_in`); `dequantised_weight()` makes them.

    Raises ValueError for sizes below 1, for `in_features` that the groups do not divide, and for 16 weight bits.
    """

    converted: tuple[str, ...] = ("bias",)
    """Buffers whose dtype follows that of the model."""
    most_activation_bits: int = FULL_PRECISION
    """Of the codes that its arithmetic holds."""
    scale: Tensor
    bias: Tensor | None

    def __init__(self, in_features: int, out_features: int, scheme: Scheme | str, dtype: torch.dtype | None) -> None:
        super().__init__()
        require_sizes(in_features, out_features)
        self.scheme = Scheme.of(scheme).for_features(in_features)
        self._require_codes()
        self.in_features = in_features
        self.out_features = out_features
        self._dtype = dtype or torch.get_default_dtype()

    @abstractmethod
    def compute(self, x: Tensor) -> Tensor:
        """The output for an input that fits, with no regard to gradients and autocast."""

    @abstractmethod
    def dequantised_weight(self) -> Tensor:
        """Codes times scale, `(N, K)` in float32 (float64 where the scale is); new memory."""

    def forward(self, x: Tensor) -> Tensor:
        """`(..., in_features)` to `(..., out_features)`.

        Raises TypeError for other dtypes, ValueError for a wrong last dimension or device.
        """
        if x.is_nested:
            return over_nested(self.forward, x)
        require_fit(x, self.in_features, self.scale.device)
        if is_unobserved(x) and not torch.is_autocast_enabled("cpu"):  # the contexts below take ten microseconds
            return self.compute(x)
        with full_precision(x.device.type):
            with torch.no_grad():
                y = self.compute(x.detach())
            if is_differentiated(x):
                y = straight_through(normalise(widen(x), self.scheme).flatten(-2), y, self.dequantised_weight)
            return y

    @property
    def weight(self) -> Tensor:
        """Shape `(N, K)`, the dtype that the layer was made or converted to, and the device; no values."""
        shape = (self.out_features, self.in_features)
        if torch.compiler.is_compiling():  # Dynamo cannot make a stand-in; NaN is as loud as an error
            return self.scale.new_full((), math.nan, dtype=self._dtype).expand(shape)
        return WeightStandIn(type(self).__name__, shape, self._dtype, self.scale.device)

    def extra_repr(self) -> str:
        """What `print(layer)` shows between the parentheses; the whole is a call that makes such a layer."""
        return f"{self.in_features}, {self.out_features}, {str(self.scheme)!r}, bias={self.bias is not None}"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # `.to`, `.half`, `.to_empty` and the like all come through here, with one function for every buffer.
        def moved(tensor: Tensor) -> Tensor:
            new = fn(tensor)
            follows = any(tensor is self._buffers.get(name) for name in self.converted)
            return new if follows or new.dtype == tensor.dtype else tensor.to(new.device)

        self._dtype = fn(torch.empty(0, dtype=self._dtype, device=self.scale.device)).dtype
        super()._apply(moved, recurse)  # type: ignore[no-untyped-call]  # torch declares no types here
        return self

    def _require_codes(self) -> None:
        name = type(self).__name__
        if self.scheme.weight_bits == FULL_PRECISION:
            raise ValueError(f"weight_bits={FULL_PRECISION} has no codes to pack; keep the BitLinear")
        if self.scheme.activation_bits > self.most_activation_bits:
            raise ValueError(
                f"{name} multiplies codes of at most {self.most_activation_bits} bits, and {self.scheme} has larger "
                f"ones; use PackedLinear"
            )
