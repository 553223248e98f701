"""BitLinear: the documented, trainable layer. It is also the reference that other implementations are read against."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.quantize import activation_codes, normalise, require_fit, weight_codes, widen
from bitlinear.scheme import Scheme


class BitLinear(nn.Module):
    """`y = dequant(norm(x)) @ dequant(W).T + bias`, quantised anew at every call, with a straight-through gradient.

    Takes floating-point input of any shape `(..., in_features)` and returns `(..., out_features)` in the dtype of the
    input. Codes and scales are computed in float32 (float64 for float64 tensors), also under autocast and for layers
    converted to half precision.

    `weight` has shape `(out_features, in_features)`; the other arguments are those of `Scheme` and `torch.nn.Linear`.
    Raises ValueError for sizes below 1, for `in_features` that `groups` does not divide, and for what `Scheme` refuses.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        groups: int = 1,
        *,
        weight_bits: float = 1,
        activation_bits: int = 8,
        norm: bool = True,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ValueError(f"in_features={in_features}, out_features={out_features}; both must be 1 or more")
        self.scheme = Scheme(weight_bits, activation_bits, groups, norm)
        self.scheme.group_size(in_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None
        self.reset_parameters()

    @classmethod
    def from_linear(cls, linear: nn.Linear, scheme: Scheme) -> Self:
        """A layer that takes over the parameters of `linear`: the same objects, so ties and optimisers keep working.

        Raises ValueError when `scheme.groups` does not divide `linear.in_features`, TypeError when the weight of
        `linear` is not a parameter of its own (pruned or reparametrised).
        """
        if not isinstance(linear.weight, nn.Parameter):
            raise TypeError(
                "the weight of this linear layer is computed by a hook; remove pruning or weight norm first"
            )
        layer = cls(
            linear.in_features,
            linear.out_features,
            scheme.groups,
            weight_bits=scheme.weight_bits,
            activation_bits=scheme.activation_bits,
            norm=scheme.norm,
            device="meta",  # the weight is replaced at once: allocate none
        )
        layer.weight = linear.weight
        layer.bias = linear.bias
        return layer.train(linear.training)

    def reset_parameters(self) -> None:
        """Draw weight and bias from `U(-1/sqrt(K), 1/sqrt(K))`: Kaiming uniform with `a = sqrt(5)`, as `nn.Linear`."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., in_features)` to `(..., out_features)`.

        Raises TypeError for input that is not floating point, ValueError for a wrong last dimension or device.
        """
        require_fit(x, self.in_features, self.weight.device)
        with full_precision(x.device.type):
            a = _straight_through(normalise(widen(x), self.scheme), self._dequantised_activations).flatten(-2)
            w = _straight_through(widen(self.weight), self._dequantised_weight)
            dtype = torch.promote_types(a.dtype, w.dtype)
            y = F.linear(a.to(dtype), w.to(dtype))
            if self.bias is not None:
                y = y + self.bias
            return y.to(x.dtype)

    def extra_repr(self) -> str:
        """What `print(layer)` shows between the parentheses."""
        return f"{self.in_features}, {self.out_features}, scheme={self.scheme}, bias={self.bias is not None}"

    def _dequantised_activations(self, grouped: Tensor) -> Tensor:
        codes, scale = activation_codes(grouped, self.scheme)
        return codes / scale

    def _dequantised_weight(self, weight: Tensor) -> Tensor:
        codes, scale = weight_codes(weight, self.scheme)
        return (codes * scale).flatten(1)


def full_precision(device_type: str) -> AbstractContextManager[object]:
    """Keeps autocast, where there is one, from running the product in half precision: 55 dB would be left of it."""
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def _straight_through(x: Tensor, dequantised: Callable[[Tensor], Tensor]) -> Tensor:
    """`dequantised(x)` whose gradient with respect to `x` is 1 (Bengio et al., arXiv 1308.3432).

    `x + (dequantised(x) - x).detach()`, summed in the order that adds an exact zero to the dequantised value.
    """
    with torch.no_grad():
        dequant = dequantised(x)
    return dequant + (x - x.detach())
