"""NativeLinear: the layer on packed weights, and the operator that torch.compile and torch.export keep."""

import copy
import math
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from bitlinear.engines.frozen import FrozenLinear
from bitlinear.engines.given_codes import GivenCodes, fitting
from bitlinear.engines.native.library import (
    TYPES,
    NativeLayer,
    layer_of,
    library,
    offset_of,
    require_buffers,
    storage_bits,
)
from bitlinear.layer import BitLinear
from bitlinear.layouts import pages
from bitlinear.layouts.tiles import from_tiles, to_tiles
from bitlinear.observers import is_unobserved
from bitlinear.quantize import activation_codes, normalise, require_floating, widen
from bitlinear.scheme import FULL_PRECISION, Scheme

LARGEST_GROUP = 1 << 16
"""Input features of a group up to which inner sums fit into 32 bits, whatever the codes."""
WIDEST_CODES = 8
"""Bits of the codes that the kernels multiply."""
_BUFFERS = {"codes", "scale", "bias"}


class NativeLinear(FrozenLinear):
    """`y = sum_g (w_scale / a_scale) * (a_codes @ w_codes.T) + bias` in one fused operation, on the CPU.

    Buffers: `codes` uint8 `(T, G, C, 64)`, the packed weight in tiles (`bitlinear.layouts.tiles`); `scale` float32
    `(G, 1 or N)`; `bias` float32 `(N,)` or None. They are made empty: `from_layer` fills them from a layer, or
    `from_codes` and `load_state_dict` from codes, without float weights. `.half()` and the like leave them as they are.

    Codes are computed in float32 (float64 for float64 input), sums are exact, results are rescaled in float32. The
    kernels multiply activation codes of up to 8 bits, and activations that are not quantised (16 bits), as float32. For
    codes of 9 to 15 bits, torch multiplies by weights that are unpacked at every call: right, and slow.

    Raises what `FrozenLinear` raises, and ValueError for groups of more than LARGEST_GROUP features.
    """

    converted = ()
    codes: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        scheme: Scheme | str,
        *,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """`dtype` is what `weight` shows; the buffers are the same for all."""
        super().__init__(in_features, out_features, scheme, dtype)
        scheme = self.scheme
        size = scheme.group_size(in_features)
        if size > LARGEST_GROUP:
            raise ValueError(
                f"in_features={in_features} in {scheme.groups} groups; a group has at most {LARGEST_GROUP}"
            )
        self._layer = layer_of(scheme, in_features, out_features)
        self._scheme_text = str(scheme)
        self._has_kernel = has_kernel(scheme)
        f32 = torch.float32  # whatever torch's default is while a model is being loaded
        codes, scale = self._layer.shapes
        self.register_buffer("codes", pages.empty(codes, device))
        self.register_buffer("scale", torch.empty(scale, dtype=f32, device=device))
        self.register_buffer("bias", torch.empty(out_features, dtype=f32, device=device) if bias else None)

    @classmethod
    def from_layer(cls, layer: BitLinear) -> Self:
        """With the weights of `layer`, quantised. A weight that holds NaN or infinity has a scale of NaN."""
        codes, scale = layer.quantised_weight()
        whole = codes.nan_to_num(nan=0.0).to(torch.int16)
        return cls._of(GivenCodes(whole, scale.squeeze(-1), layer.scheme, layer.bias), layer.weight.dtype)

    @classmethod
    def from_codes(cls, codes: Tensor, scale: Tensor, scheme: Scheme | str, *, bias: Tensor | None = None) -> Self:
        """A layer of codes `(N, G, Kg)`, an integer dtype, and their scale `(1 or N, G)`, without float weights.

        `scale` and `bias` `(N,)` are kept in float32. Nothing is shared. A scale for each row takes a scheme of two
        bits or more. Raises ValueError for what does not fit, and as above.
        """
        return cls._of(fitting(codes, scale, scheme, bias), torch.float32)

    @classmethod
    def _of(cls, given: GivenCodes, dtype: torch.dtype) -> Self:
        has_bias = given.bias is not None
        op = cls(given.in_features, given.out_features, given.scheme, bias=has_bias, device="meta", dtype=dtype)
        bits = storage_bits(given.scheme)
        whole = given.codes.to(torch.int16)
        stored = (whole > 0 if bits == 1 else whole + offset_of(bits)).to(torch.uint8)
        tiles = to_tiles(stored, bits)
        op.codes = pages.copied(tiles) if pages.fills_a_page(tiles) else tiles
        op.scale = given.scale.detach().to(torch.float32, copy=True).T.contiguous()
        if given.bias is not None:
            op.bias = given.bias.detach().to(torch.float32, copy=True)
        return op

    def forward(self, x: Tensor) -> Tensor:
        """`(..., K)` to `(..., N)`. Raises what `FrozenLinear` raises, and ValueError for buffers that do not fit."""
        if self._has_kernel and is_unobserved(x) and x.dtype in TYPES and x.shape[-1:] == (self.in_features,):
            buffers: Any = self._buffers  # an attribute of a module takes a third of a microsecond
            try:
                codes, scale, bias = buffers["codes"], buffers["scale"], buffers["bias"]
            except KeyError:  # one of them is a parameter or an attribute by now
                return super().forward(x)
            return _forward(self._layer, x, codes, scale, bias)
        return super().forward(x)

    def compute(self, x: Tensor) -> Tensor:
        """Through torch's dispatcher, so that whoever traces, counts or profiles operations sees one."""
        if not self._has_kernel:
            return self._multiply_in_torch(x)
        y: Tensor = native_linear(x, self.codes, self.scale, self.bias, self._scheme_text, self.out_features)
        return y

    def _multiply_in_torch(self, x: Tensor) -> Tensor:
        """Inner sums in float64: exact for codes of 15 bits."""
        a, a_scale = activation_codes(normalise(widen(x), self.scheme), self.scheme)
        sums = torch.einsum("...gk,ngk->...gn", a.double(), self.weight_codes().double())
        y = (sums * self.scale / a_scale).sum(-2)
        return (y if self.bias is None else y + self.bias).to(x.dtype)

    def _load_from_state_dict(self, state_dict, prefix, *args) -> None:  # type: ignore[no-untyped-def]  # torch's own
        super()._load_from_state_dict(state_dict, prefix, *args)
        # `assign=True` takes tensors as they are, cast or strided; anything else that does not fit is named in a call.
        for name in _BUFFERS & self._buffers.keys():
            buffer = self._buffers[name]
            if buffer is not None:
                self._buffers[name] = (buffer.float() if buffer.is_floating_point() else buffer).contiguous()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """As any module, but for memory: the copy of large weights is in huge pages, too."""
        codes = self._buffers.get("codes")
        if codes is not None and codes.dtype == torch.uint8 and pages.fills_a_page(codes) and id(codes) not in memo:
            memo[id(codes)] = pages.copied(codes)
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        other.__setstate__(copy.deepcopy(self.__dict__, memo))  # type: ignore[no-untyped-call]  # torch's own
        return other

    def weight_codes(self) -> Tensor:
        """The integer codes `(N, G, Kg)`, int16, unpacked."""
        bits = storage_bits(self.scheme)
        size = self.scheme.group_size(self.in_features)
        stored = from_tiles(self.codes, bits, self.out_features, size).to(torch.int16)
        return 2 * stored - 1 if bits == 1 else stored - offset_of(bits)

    def dequantised_weight(self) -> Tensor:
        """Codes times scale, `(N, K)` in float32."""
        return (self.weight_codes() * self.scale.T.unsqueeze(-1)).flatten(1)


def has_kernel(scheme: Scheme) -> bool:
    """Whether the kernels multiply its codes: of up to 8 bits, with such codes or with activations of 16 bits."""
    return scheme.weight_bits <= WIDEST_CODES and (
        scheme.activation_bits <= WIDEST_CODES or scheme.activation_bits == FULL_PRECISION
    )


@torch.library.custom_op("bitlinear::native_linear", mutates_args=(), device_types="cpu")
def native_linear(
    x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None, scheme: str, out_features: int
) -> Tensor:
    """`x` `(..., K)` to `(..., N)`, with the buffers of a `NativeLinear`.

    Raises TypeError for an `x` of another dtype than a layer takes, ValueError for buffers that do not fit.
    """
    require_floating(x)
    parsed = Scheme.parse(scheme)
    if not has_kernel(parsed):
        raise ValueError(f"native_linear multiplies codes of at most {WIDEST_CODES} bits; {scheme} has larger ones")
    return _forward(layer_of(parsed, x.shape[-1], out_features), x, codes, scale, bias)


@native_linear.register_fake
def _fake(x: Tensor, _codes: Tensor, _scale: Tensor, _bias: Tensor | None, _scheme: str, out_features: int) -> Tensor:
    return x.new_empty((*x.shape[:-1], out_features))


@native_linear.register_vmap
def _vmap(info: Any, in_dims: Any, x: Tensor, *weight: Any) -> tuple[Tensor, int]:
    """Many inputs of one weight are one call; many weights, those of an ensemble, are a call each."""
    if all(dim is None for dim in in_dims[1:]):
        return native_linear(x.movedim(in_dims[0], 0), *weight), 0
    calls = []
    for i in range(info.batch_size):
        chosen = [
            t if dim is None else t.select(dim, i).contiguous() for t, dim in zip((x, *weight), in_dims, strict=True)
        ]
        calls.append(native_linear(*chosen))
    return torch.stack(calls), 0


@register_flop_formula(torch.ops.bitlinear.native_linear)
def _operations(x: Any, _codes: Any, _scale: Any, _bias: Any, _scheme: str, out_features: int, **_: Any) -> int:
    """Of the product, counted as that of a plain linear layer: 2 M K N. Arguments are shapes."""
    return 2 * int(math.prod(x)) * out_features


def _forward(layer: NativeLayer, x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    require_buffers(layer, codes, scale, bias)
    y = x.new_empty(*x.shape[:-1], layer.out_features)
    if tokens := x.numel() // x.shape[-1]:
        library().forward(layer, x.contiguous(), codes, scale, bias, y, tokens)
    return y
