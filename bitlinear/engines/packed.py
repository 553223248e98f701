"""PackedLinear: a BitLinear that stores its weight in as many bits as the scheme says, and can be saved and loaded."""

from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from bitlinear.engines.codes import QuantisedLinear
from bitlinear.engines.given_codes import GivenCodes, fitting, has_lowest_byte
from bitlinear.layer import BitLinear
from bitlinear.layouts.packing import BYTES, PACKINGS, Packing
from bitlinear.quantize import scale_shape
from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code

BLOCK_BYTES = 2 << 20
"""How much of the weight is unpacked at a time, counted in the dtype of the product.

Smaller blocks are slower, because of what torch takes for every operation; larger ones gain little and cost the memory.
With what unpacking takes besides, a forward allocates at most 3 MiB more than its activations need, whatever the size
of the layer (more only where a single row of the weight is).
"""
TILE_BYTES = 128
"""How much of a column of the weight is multiplied at a time by one core: 32 rows in float32, 16 in float64."""


class PackedLinear(QuantisedLinear):
    """What `BitLinear` computes, for inference, from packed codes and their scales; `(..., K)` to `(..., N)`.

    Buffers, all that it stores and all that is in its `state_dict`: `codes` uint8 `(N, packing.size(K))`, `scale`
    `(1 or N, G)` in float32 (float64 for a layer of `dtype` float64), and `bias` `(N,)` in `dtype` if there is one. A
    new one holds zeros, and is to be loaded; `from_layer` makes one from a BitLinear, `from_codes` from codes. Loading
    makes no floats of the weight; a forward unpacks some rows, `BLOCK_BYTES` at a time, multiplies them and drops them.

    The inner sums are exact: in float32 while they stay below 2^24, else in float64; where there is none (mps), and for
    activations that are not quantised, float32 rounding stays within the contract's 1e-6.

    `packing` is how codes lie in bytes, by default as many whole bits as the scheme has; `layouts.packing.BASE3` takes
    1.6 bits for ternary codes. A state is loaded into a layer of the packing that was saved.

    Raises what `FrozenLinear` raises, and ValueError for a packing that does not have the scheme's codes.
    """

    codes: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        scheme: Scheme | str,
        *,
        packing: Packing | None = None,
        bias: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, scheme, dtype)
        self.packing = packing or usual_packing(self.scheme)
        _require_packing(self.packing, self.scheme)
        dtype = dtype or torch.get_default_dtype()
        scales = torch.float64 if dtype == torch.float64 else torch.float32
        size = self.packing.size(in_features)
        self.register_buffer("codes", torch.zeros(out_features, size, dtype=torch.uint8, device=device))
        self.register_buffer("scale", torch.zeros(scale_shape(self.scheme, out_features), dtype=scales, device=device))
        self.register_buffer("bias", torch.zeros(out_features, dtype=dtype, device=device) if bias else None)

    @classmethod
    @torch.no_grad()
    def from_layer(cls, layer: BitLinear, packing: Packing | None = None) -> Self:
        """The weights of `layer` quantised and packed; nothing is shared with it. Raises ValueError as above."""
        codes, scale = layer.quantised_weight()
        whole = codes.nan_to_num(nan=0.0).to(torch.int8)  # a poisoned group has a NaN for its scale
        return cls._of(GivenCodes(whole, scale.squeeze(-1), layer.scheme, layer.bias), packing, layer.weight.dtype)

    @classmethod
    @torch.no_grad()
    def from_codes(
        cls,
        codes: Tensor,
        scale: Tensor,
        scheme: Scheme | str,
        *,
        bias: Tensor | None = None,
        packing: Packing | None = None,
    ) -> Self:
        """A layer of codes `(N, G, Kg)`, an integer dtype, and their scale `(1 or N, G)`, without float weights.

        `scale` and `bias` `(N,)` are kept in float32, in float64 if `scale` is. Nothing is shared. A scale for each row
        takes a scheme of two bits or more. Codes of 8 bits may be -128, as other libraries have it; the
        packing is then `layouts.packing.BYTES`. Raises ValueError for what does not fit, and as above.
        """
        given = fitting(codes, scale, scheme, bias)
        if packing is None and has_lowest_byte(given):
            packing = BYTES
        return cls._of(given, packing, given.scale.dtype)

    @classmethod
    def _of(cls, given: GivenCodes, packing: Packing | None, dtype: torch.dtype) -> Self:
        packed = cls(
            given.in_features,
            given.out_features,
            given.scheme,
            packing=packing,
            bias=given.bias is not None,
            device=given.codes.device,
            dtype=dtype,
        )
        packed.codes.copy_(packed.packing.pack(given.codes.flatten(1)))
        packed.scale.copy_(given.scale)
        if packed.bias is not None and given.bias is not None:
            packed.bias.copy_(given.bias)
        return packed

    def dequantised_weight(self) -> Tensor:
        """Codes times scale, `(N, K)`."""
        codes = torch.unflatten(self.packing.unpack(self.codes, self.in_features), 1, (self.scheme.groups, -1))
        return (codes * self.scale.unsqueeze(-1)).flatten(1)

    def product(self, a: Tensor, a_scale: Tensor) -> Tensor:
        """The rescaled sums `(M, N)` of activation codes `(M, G, Kg)` with scale `(M, G, 1)`, by blocks of rows."""
        a = a.to(self._sum_dtype(a))
        rows = _block_rows(self.in_features, a.element_size())
        zero = a_scale.new_zeros(()) + self.scale.new_zeros(())  # under vmap many, where one of the two is
        y = zero.new_zeros(a.shape[0], self.out_features)
        scales = self.scale.expand(self.out_features, -1)
        read, a, surplus = self._reading(a)
        blocks = (torch.split(y, rows, dim=1), torch.split(self.codes, rows), torch.split(scales, rows))
        for out, codes, scale in zip(*blocks, strict=True):
            w = torch.unflatten(read(codes).to(a.dtype), 1, a.shape[1:])
            for g in range(self.scheme.groups):
                out += (product_by_tiles(a[:, g], w[:, g]) - surplus[:, g]) * (scale[:, g] / a_scale[:, g])
            del w  # before the next block is unpacked
        return y

    def saved_as(self) -> str:
        """The scheme, and the packing where it is not the usual one."""
        usual = self.packing == usual_packing(self.scheme)
        return super().saved_as() + ("" if usual else f" in {self.packing!r}")

    def extra_repr(self) -> str:
        """What `print(layer)` shows between the parentheses; the whole is a call that makes such a layer."""
        usual = self.packing == usual_packing(self.scheme)
        return super().extra_repr() + ("" if usual else f", packing={self.packing!r}")

    def _reading(self, a: Tensor) -> tuple[Callable[[Tensor], Tensor], Tensor, Tensor]:
        """How to read the weight, what `(M, G, Kg)` to multiply it by, and what to subtract from the sums, `(M, G, 1)`.

        Raw numbers are read faster than codes, and the difference can be made up for in the activations. But sums of
        them are larger, so that there may be no room for them; and if sums are rounded, so is what is subtracted again.
        """
        if not self._has_room(self.packing.largest + largest_code(self.scheme.weight_bits)):
            return lambda codes: self.packing.unpack(codes, self.in_features), a, a.new_zeros(*a.shape[:2], 1)
        read, unit = self.packing.reading(self.in_features, a.device)
        return read, a * unit.reshape(a.shape[1:]), self.packing.largest * a.sum(-1, keepdim=True)

    def _sum_dtype(self, a: Tensor) -> torch.dtype:
        """The dtype in which the inner sums are exact, or as good as the device has."""
        if self.scheme.activation_bits == FULL_PRECISION or a.device.type == "mps":
            return a.dtype
        return torch.float32 if self._has_room(self.packing.largest) else torch.float64

    def _has_room(self, largest: int) -> bool:
        """Whether sums of activation codes times whole numbers up to `largest` are exact in float32."""
        if self.scheme.activation_bits == FULL_PRECISION:
            return False
        most = self.scheme.group_size(self.in_features) * largest_code(self.scheme.activation_bits) * largest
        return most <= 2**24


def usual_packing(scheme: Scheme) -> Packing:
    """As many whole bits as a code needs, for weights that are quantised."""
    return PACKINGS[scheme.weight_bits]


def _block_rows(columns: int, element_size: int) -> int:
    """How many rows of the weight are unpacked at a time: whole tiles if there is room for one, else as many as fit."""
    rows, tile = BLOCK_BYTES // (columns * element_size), TILE_BYTES // element_size
    return rows // tile * tile or max(1, rows)


def product_by_tiles(a: Tensor, w: Tensor) -> Tensor:
    """`a @ w.T`, of `(M, K)` and some rows `(R, K)` of the weight, so that cores get the rows that they have unpacked.

    `F.linear` deals out the work of a product otherwise, and half of the block goes from one core's cache to another's.
    """
    tile = TILE_BYTES // w.element_size()
    tiles = torch.unflatten(w, 0, (-1, tile if len(w) % tile == 0 else len(w)))
    sums = torch.bmm(a.expand(tiles.shape[0], -1, -1), tiles.transpose(1, 2))
    return sums.transpose(0, 1).flatten(1)


def _require_packing(packing: Packing, scheme: Scheme) -> None:
    bits = scheme.weight_bits
    if packing.largest < largest_code(bits) or (packing.step > 1 and bits != 1):
        raise ValueError(f"{packing} does not have the codes of weight_bits={bits}; leave the choice of packing out")
