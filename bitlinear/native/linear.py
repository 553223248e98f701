"""NativeLinear: the layer on packed weights, and the operator that torch.compile and torch.export keep."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bitlinear.layer import BitLinear
from bitlinear.native.library import TYPES, Layer, layer_of, library, offset_of, storage_bits
from bitlinear.native.tiles import from_tiles, tiles_shape, to_tiles
from bitlinear.quantize import require_fit, require_floating, weight_codes, widen
from bitlinear.scheme import Scheme

LARGEST_GROUP = 1 << 16
"""Input features of a group up to which inner sums fit into 32 bits, whatever the codes."""


class NativeLinear(nn.Module):
    """`y = sum_g (w_scale / a_scale) * (a_codes @ w_codes.T) + bias` in one fused operation; for inference.

    Buffers: `codes` uint8 `(T, G, C, 64)`, the packed weight in tiles (`bitlinear.native.tiles`); `scale` float32
    `(G, 1 or N)`; `bias` float32 `(N,)` or None. They are made empty: `from_layer` fills them from a layer, or
    `load_state_dict` from what was saved, without the float weights. `.half()` and the like leave them as they are.

    Takes float32, bfloat16, float16 or float64 of any shape `(..., K)`, and returns `(..., N)` in the same dtype.
    Codes are computed in float32 (float64 for float64 input), sums are exact, results are rescaled in float32.
    """

    codes: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        scheme: Scheme,
        *,
        bias: bool = False,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        size = scheme.group_size(in_features)
        if size > LARGEST_GROUP:
            raise ValueError(
                f"in_features={in_features} in {scheme.groups} groups; a group has at most {LARGEST_GROUP}"
            )
        self.in_features = in_features
        self.out_features = out_features
        self.scheme = scheme
        self._layer = layer_of(scheme, in_features, out_features)
        shape = tiles_shape(out_features, scheme.groups, size, storage_bits(scheme))
        scales = out_features if scheme.weight_bits >= 2 else 1
        self.register_buffer("codes", torch.empty(shape, dtype=torch.uint8, device=device))
        self.register_buffer("scale", torch.empty(scheme.groups, scales, device=device))
        self.register_buffer("bias", torch.empty(out_features, device=device) if bias else None)

    @classmethod
    def from_layer(cls, layer: BitLinear) -> "NativeLinear":
        """With the weights of `layer`, quantised. A weight that holds NaN or infinity has a scale of NaN."""
        op = cls(layer.in_features, layer.out_features, layer.scheme, bias=layer.bias is not None, device="meta")
        codes, scale = weight_codes(widen(layer.weight.detach()), layer.scheme)
        bits = storage_bits(layer.scheme)
        whole = codes.nan_to_num(nan=0.0).to(torch.int16)
        stored = (whole > 0 if bits == 1 else whole + offset_of(bits)).to(torch.uint8)
        op.codes = to_tiles(stored, bits)
        op.scale = scale.float().squeeze(-1).T.contiguous()
        if layer.bias is not None:
            op.bias = layer.bias.detach().float().clone()
        return op

    def forward(self, x: Tensor) -> Tensor:
        """`(..., K)` to `(..., N)`.

        Raises what `require_fit` raises. Gradients do not pass: asking for one is an error.
        """
        buffers: Any = self._buffers  # an attribute of a module takes a third of a microsecond
        codes, scale, bias = buffers.values()
        if type(x) is not Tensor or torch.compiler.is_compiling() or (x.requires_grad and torch.is_grad_enabled()):
            y: Tensor = native_linear(x, codes, scale, bias, str(self.scheme), self.out_features)
            return y
        if not (x.is_cpu and codes.is_cpu and x.dtype in TYPES and x.shape[-1:] == (self.in_features,)):
            require_fit(x, self.in_features, codes.device)
        return _forward(self._layer, x, codes, scale, bias)

    def extra_repr(self) -> str:
        """What `print(op)` shows between the parentheses."""
        return f"{self.in_features}, {self.out_features}, scheme={self.scheme}, bias={self.bias is not None}"

    def weight_codes(self) -> Tensor:
        """The integer codes `(N, G, Kg)`, int16, unpacked."""
        bits = storage_bits(self.scheme)
        size = self.scheme.group_size(self.in_features)
        stored = from_tiles(self.codes, bits, self.out_features, size).to(torch.int16)
        return 2 * stored - 1 if bits == 1 else stored - offset_of(bits)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "NativeLinear":
        """Moves to other devices, but keeps float32: half of it would be another scale than the layer's."""

        def kept(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        super()._apply(kept, recurse)  # type: ignore[no-untyped-call]  # torch declares no types here
        return self


@torch.library.custom_op("bitlinear::native_linear", mutates_args=(), device_types="cpu")
def native_linear(
    x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None, scheme: str, out_features: int
) -> Tensor:
    """`x` `(..., K)` to `(..., N)`, with the buffers of a `NativeLinear`."""
    require_floating(x)
    parsed = Scheme.parse(scheme)
    shape = tiles_shape(out_features, parsed.groups, parsed.group_size(x.shape[-1]), storage_bits(parsed))
    if codes.shape != shape:
        raise ValueError(f"weights of the shape {tuple(codes.shape)}; {scheme} with this input takes {shape}")
    return _forward(layer_of(parsed, x.shape[-1], out_features), x, codes, scale, bias)


@native_linear.register_fake
def _fake(x: Tensor, _codes: Tensor, _scale: Tensor, _bias: Tensor | None, _scheme: str, out_features: int) -> Tensor:
    return x.new_empty((*x.shape[:-1], out_features))


def _forward(layer: Layer, x: Tensor, codes: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    y = x.new_empty(*x.shape[:-1], layer.out_features)
    if tokens := x.numel() // x.shape[-1]:
        library().forward(layer, x.contiguous(), codes, scale, bias, y, tokens)
    return y
