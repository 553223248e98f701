"""BitLinear: the documented, trainable layer. It is also the reference that other implementations are read against."""

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.autocast import full_precision
from bitlinear.nested import over_nested
from bitlinear.quantize import (
    INPUT_DTYPES,
    activation_codes,
    normalise,
    require_fit,
    require_sizes,
    scale_shape,
    weight_codes,
    widen,
)
from bitlinear.recognise import quantised_scale
from bitlinear.saved_scheme import SavesScheme
from bitlinear.scheme import FULL_PRECISION, Scheme

LOG = logging.getLogger("bitlinear")


class BitLinear(SavesScheme):
    """`y = dequant(norm(x)) @ dequant(W).T + bias`, quantised anew at every call, with a straight-through gradient.

    Takes float32, bfloat16, float16 or float64 of any shape `(..., in_features)`, and nested tensors of them; returns
    `(..., out_features)` in the dtype of the input. Codes and scales are computed in float32 (float64 for float64
    tensors), also under autocast and for layers converted to half precision.

    `weight` has shape `(out_features, in_features)`; the other arguments are those of `Scheme` and `torch.nn.Linear`.
    `weight_scale`, a buffer `(1 or N, G)` or None, is the scale of a weight that was quantised before: while it is set,
    the codes are taken by it, and not by a scale of the contract's own (`use_weight_scale`).

    Raises ValueError for sizes below 1, for `in_features` that `groups` does not divide, and for what `Scheme` refuses,
    TypeError for another `dtype`.
    """

    bias: nn.Parameter | None
    weight_scale: Tensor | None

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
        require_sizes(in_features, out_features)
        if (dtype or torch.get_default_dtype()) not in INPUT_DTYPES:
            raise TypeError(f"dtype={dtype}; give torch.float32, bfloat16, float16 or float64")
        self.scheme = Scheme(weight_bits, activation_bits, groups, norm)
        self.scheme.group_size(in_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(torch.empty(out_features, in_features, device=device, dtype=dtype))
        vector = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None
        self.register_parameter("bias", vector)
        self.register_buffer("weight_scale", None)
        self.register_forward_pre_hook(_keep_off_the_fused_path)
        self.reset_parameters()

    @classmethod
    def from_linear(
        cls, linear: nn.Linear, scheme: Scheme | str, *, weight_scale: Tensor | float | None = None
    ) -> Self:
        """A layer that takes over the parameters of `linear`: the same objects, so ties and optimisers keep working.

        A weight that is quantised already, whole numbers of the scheme's bits times a scale, keeps its codes and scale,
        which is logged: quantised anew, a ternary weight would lose the share of its zeros. It is recognised; or give
        its `weight_scale`, of a shape that broadcasts to `(1 or N, G)`.

        A group size becomes the number of groups of this layer. Raises ValueError when the groups do not divide
        `linear.in_features` or for a scale that is not positive, TypeError when the weight or bias of `linear` is not a
        parameter of its own (pruned or reparametrised), or of another dtype than a layer takes.
        """
        layer = cls.around(linear, scheme, weight_scale=weight_scale)
        if weight_scale is None and layer.weight_scale is not None:
            LOG.warning(
                "the weight (%d, %d) holds %s codes times a scale already; both are kept", *linear.weight.shape, scheme
            )
        return layer

    @classmethod
    def around(cls, linear: nn.Linear, scheme: Scheme | str, *, weight_scale: Tensor | float | None = None) -> Self:
        """`from_linear` without a word in the log, for callers that report themselves."""
        if reason := why_not_taken_over(linear):
            raise TypeError(f"a BitLinear cannot take over this linear layer: {reason}")
        assert isinstance(linear.weight, nn.Parameter)
        scheme = Scheme.of(scheme).for_features(linear.in_features)
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
        if weight_scale is not None:
            layer.use_weight_scale(weight_scale)
        elif (found := quantised_scale(linear.weight.detach(), scheme)) is not None:
            layer.use_weight_scale(found)
        return layer.train(linear.training)

    def use_weight_scale(self, scale: Tensor | float | None) -> None:
        """Take codes by `scale`, of a shape that broadcasts to `(1 or N, G)`; None: by the contract's own scale again.

        Raises ValueError for another shape, for a scale that is not positive and finite, and at 16 weight bits.
        """
        if scale is None:
            self.weight_scale = None
            return
        if self.scheme.weight_bits == FULL_PRECISION:
            raise ValueError(f"weight_bits={FULL_PRECISION} has no scale; leave weight_scale out")
        given = widen(torch.as_tensor(scale, device=self.weight.device).detach())
        shape = scale_shape(self.scheme, self.out_features)
        try:
            fixed = given.expand(shape).clone()
        except RuntimeError as error:
            raise ValueError(f"weight_scale has shape {tuple(given.shape)}; give one that fits {shape}") from error
        if not fixed.is_meta and not bool((fixed.isfinite() & (fixed > 0)).all()):
            raise ValueError("weight_scale holds values that are not positive and finite; give scales above 0")
        self.weight_scale = fixed

    def quantised_weight(self) -> tuple[Tensor, Tensor]:
        """Codes `(N, G, Kg)` and scale `(1 or N, G, 1)` of the weight, in float32 (float64 for a float64 layer)."""
        return weight_codes(widen(self.weight.detach()), self.scheme, self.weight_scale)

    def reset_parameters(self) -> None:
        """Draw weight and bias from `U(-1/sqrt(K), 1/sqrt(K))`: Kaiming uniform with `a = sqrt(5)`, as `nn.Linear`."""
        self.weight_scale = None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """`(..., in_features)` to `(..., out_features)`.

        Raises TypeError for other dtypes, ValueError for a wrong last dimension or device.
        """
        if x.is_nested:
            return over_nested(self.forward, x)
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
        """What `print(layer)` shows between the parentheses; the whole is a call that makes such a layer."""
        scheme = self.scheme
        return (
            f"{self.in_features}, {self.out_features}, groups={scheme.groups}, weight_bits={scheme.weight_bits}, "
            f"activation_bits={scheme.activation_bits}, norm={scheme.norm}, bias={self.bias is not None}"
        )

    def _dequantised_activations(self, grouped: Tensor) -> Tensor:
        codes, scale = activation_codes(grouped, self.scheme)
        return codes / scale

    def _dequantised_weight(self, weight: Tensor) -> Tensor:
        codes, scale = weight_codes(weight, self.scheme, self.weight_scale)
        return (codes * scale).flatten(1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        # `.half` and the like convert the weight, as nn.Linear does; a scale in half precision would be another one.
        scale = self.weight_scale
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch declares no types here
        if scale is not None and self.weight_scale is not None and self.weight_scale.dtype != scale.dtype:
            self.weight_scale = scale.to(self.weight_scale.device)
        return self

    def _before_loading(self, state: Mapping[str, Any], prefix: str) -> None:
        if f"{prefix}weight" not in state:
            return
        # Where only one side has a scale, torch would call it unexpected or missing.
        saved = state.get(f"{prefix}weight_scale")
        if saved is None:
            self.weight_scale = None
        elif self.weight_scale is None:
            self.weight_scale = torch.ones_like(saved, device=self.weight.device)


def why_not_taken_over(linear: nn.Linear) -> str:
    """Why the parameters of `linear` cannot be those of a BitLinear, and what to do; nothing if they can."""
    for name in ("weight", "bias"):
        parameter = getattr(linear, name)
        if parameter is None and name == "bias":
            continue
        if not isinstance(parameter, nn.Parameter):
            return f"the {name} is computed by a hook: remove pruning or weight norm first"
        if parameter.dtype not in INPUT_DTYPES:
            return f"the {name} is {parameter.dtype}: convert it to float32, bfloat16, float16 or float64 first"
    if getattr(linear, "parametrizations", None):
        return "the weight is computed by a parametrisation: remove it first"
    return "there are no features" if 0 in linear.weight.shape else ""


def _keep_off_the_fused_path(layer: nn.Module, args: tuple[object, ...]) -> None:
    """Does nothing, and must be there.

    In eval mode `nn.TransformerEncoderLayer` multiplies by the weights of its linear layers in one fused operation
    instead of calling them, and so computes the float model; not so where a module has a hook.
    """


def _straight_through(x: Tensor, dequantised: Callable[[Tensor], Tensor]) -> Tensor:
    """`dequantised(x)` whose gradient with respect to `x` is 1 (Bengio et al., arXiv 1308.3432).

    `x + (dequantised(x) - x).detach()`, summed in the order that adds an exact zero to the dequantised value. Detached
    for forward mode, which `no_grad` does not stop.
    """
    with torch.no_grad():
        dequant = dequantised(x.detach())
    return dequant + (x - x.detach())
