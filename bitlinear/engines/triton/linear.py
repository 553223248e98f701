"""The op of `triton`: packed weights, and which kernel multiplies them. Importing this imports triton."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache

import torch
import triton
from torch import Tensor

from bitlinear.engines.frozen import FrozenLinear
from bitlinear.engines.triton import kernels
from bitlinear.layer import BitLinear
from bitlinear.layouts.packing import BitPacking
from bitlinear.quantize import activation_codes, normalise
from bitlinear.scheme import FULL_PRECISION, largest_code

_PREPARED = 4096
"""Features that `prepare` takes at a time."""
_FINISHED = 256
"""Outputs that one program of `finish` makes."""
_MOST_PARTS = 32
"""A matrix product is split into no more parts than this: each takes as many bytes as the output in float32."""
_INTERPRETED_PROCESSORS = 8
"""Multiprocessors that the interpreter passes for."""
_VECTOR_TOKENS = 4
"""Up to so many tokens are multiplied one by one, without tensor cores, which would be mostly idle."""
_CACHE_LINE = 128
WIDEST_CODES = 8
"""Bits of the codes that the kernels multiply."""
_SHARED_MEMORY = 80 * 1024
"""Bytes that the stages of a tile may take; programs on a GPU of the kinds made since 2020 get at least 99 KiB."""


@dataclass(frozen=True)
class Tile:
    """What one program computes at a time, and how it is compiled."""

    tokens: int
    outputs: int
    bytes: int
    """Bytes along K of the packed weights that are taken in one step."""
    warps: int
    stages: int
    programs: int
    """Programs that each multiprocessor is to get: K is split as long as there are fewer."""


class TritonLinear(FrozenLinear):
    """`y = sum_g (w_scale / a_scale) * (a_codes @ w_codes.T) + bias`, with weights that are unpacked in registers.

    Buffers: `packed` `(G, N, J)` uint8, as `engines.triton.kernels` describes it, `scale` `(G, 1 or N)` float32, and
    `bias` `(N,)`. Raises what `FrozenLinear` raises, and ValueError for activation codes of 9 to 15 bits.
    """

    packed: Tensor

    def __init__(self, layer: BitLinear) -> None:
        super().__init__(layer.in_features, layer.out_features, layer.scheme, layer.weight.dtype)
        if WIDEST_CODES < layer.scheme.activation_bits < FULL_PRECISION:
            raise ValueError(f"TritonLinear multiplies int8 codes or what is not quantised; {layer.scheme} is neither")
        self.packing = _packing(layer.scheme.weight_bits)
        codes, scale = layer.quantised_weight()
        self.register_buffer("packed", self.packing.pack(_whole(codes).transpose(0, 1)))
        self.register_buffer("scale", scale.squeeze(-1).T.float().contiguous())
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().clone())

    def compute(self, x: Tensor) -> Tensor:
        """`(..., K)` to `(..., N)`."""
        self._require_buffers()
        tokens = x.reshape(-1, self.in_features)
        y = x.new_empty(len(tokens), self.out_features, dtype=_kernel_dtype(x.dtype))
        if len(tokens) and not x.is_meta:
            # Triton launches on the current device, whatever its arguments are on.
            with torch.cuda.device(x.device) if x.is_cuda else nullcontext():
                self.multiply(*self.prepare(tokens), y)
        return y.to(x.dtype).reshape(*x.shape[:-1], self.out_features)

    def dequantised_weight(self) -> Tensor:
        """Codes times scale, `(N, K)` in float32."""
        codes = self.packing.unpack(self.packed, self.in_features // self.scheme.groups)
        return (codes * self.scale.unsqueeze(-1)).transpose(0, 1).flatten(1)

    def _require_buffers(self) -> None:
        """Kernels read whatever their pointers point at, and take the layout on trust."""
        for name, buffer in (("packed", self.packed), ("scale", self.scale), ("bias", self.bias)):
            if buffer is not None and not (buffer.is_contiguous() and buffer.device == self.packed.device):
                raise ValueError(f"the buffer {name!r} is strided or on {buffer.device}; build the layer again")

    def prepare(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Tokens `(M, K)` as codes `(M, G, Kg)` in int8 and their scale `(M, G)`; as floats, and None, if not coded."""
        if x.dtype == torch.float64:
            return self._prepare_in_torch(x)
        grouped = torch.unflatten(x, -1, (self.scheme.groups, -1))
        if not (self._coded or self.scheme.norm):
            return grouped.to(_kernel_dtype(x.dtype)).contiguous(), None
        activations = torch.empty_like(
            grouped, dtype=torch.int8 if self._coded else _kernel_dtype(x.dtype), memory_format=torch.contiguous_format
        )
        scale = x.new_empty(grouped.shape[:2], dtype=torch.float32) if self._coded else None
        kernels.prepare[(len(x) * self.scheme.groups,)](
            x, activations, scale, *x.stride(), *grouped.shape[1:], NORM=self.scheme.norm,
            TOP=largest_code(self.scheme.activation_bits) if self._coded else 0,
            BLOCK=min(_PREPARED, triton.next_power_of_2(grouped.shape[2])), num_warps=8, enable_fp_fusion=False,
        )  # fmt: skip
        return activations, scale

    def multiply(self, activations: Tensor, a_scale: Tensor | None, y: Tensor) -> None:
        """Fills `y` `(M, N)` with the product of what `prepare` made: in one kernel, or in two with K split."""
        tile = tile_for(len(y), 8 // self.packing.bits, activations.element_size())
        splits, length = self._split(tile, len(y))
        if tile.tokens == 1 or 1 < splits * self.scheme.groups <= _MOST_PARTS:
            self._finish(self.partial_sums(activations, tile, splits, length), a_scale, y)
            return
        scale = self.scale.expand(-1, self.out_features)
        kernels.matrix_product[(_tiles(tile, y.shape),)](
            activations, a_scale, self.packed, scale, self.bias, y, *y.shape, *self._sizes, self.scheme.groups,
            *scale.stride(), CODES=self._coded, BIAS=self.bias is not None, BM=tile.tokens, **self._options(tile),
        )  # fmt: skip

    def partial_sums(self, activations: Tensor, tile: Tile, splits: int, length: int) -> Tensor:
        """Inner sums `(G, splits, M, N)` over parts of `length` bytes: exact in int32, in float32 without codes."""
        shape = (len(activations), self.out_features)
        dtype = torch.int32 if self._coded else torch.float32
        partial = activations.new_empty(self.scheme.groups, splits, *shape, dtype=dtype)
        grid = (_tiles(tile, shape) * splits * self.scheme.groups,)
        operands = (activations, self.packed, partial, *shape, *self._sizes, splits, length, self.scheme.groups)
        if tile.tokens == 1:
            kernels.vector_sums[grid](*operands, **self._options(tile))
        else:
            kernels.matrix_sums[grid](*operands, BM=tile.tokens, **self._options(tile))
        return partial

    def _finish(self, partial: Tensor, a_scale: Tensor | None, y: Tensor) -> None:
        scale = self.scale.expand(-1, self.out_features)
        kernels.finish[(len(y) * _cdiv(self.out_features, _FINISHED),)](
            partial, a_scale, scale, self.bias, y, *y.shape, partial.shape[1], self.scheme.groups, *scale.stride(),
            CODES=self._coded, BIAS=self.bias is not None, BN=_FINISHED, enable_fp_fusion=False,
        )  # fmt: skip

    def _split(self, tile: Tile, tokens: int) -> tuple[int, int]:
        """Into how many parts each group is split, and the bytes of a part: whole steps, and no part empty."""
        steps = _cdiv(self.packed.shape[-1], tile.bytes)
        programs = _tiles(tile, (tokens, self.out_features)) * self.scheme.groups
        wanted = tile.programs * _processors(self.packed.device) // programs
        steps_each = _cdiv(steps, max(1, min(wanted, steps)))
        return _cdiv(steps, steps_each), steps_each * tile.bytes

    def _options(self, tile: Tile) -> dict[str, int]:
        codes = {"BITS": self.packing.bits, "STEP": self.packing.step, "LARGEST": self.packing.largest}
        shape = {"BN": tile.outputs, "BJ": tile.bytes}
        return codes | shape | {"num_warps": tile.warps, "num_stages": tile.stages, "enable_fp_fusion": False}

    @property
    def _coded(self) -> bool:
        return self.scheme.activation_bits != FULL_PRECISION

    @property
    def _sizes(self) -> tuple[int, int]:
        """Input features, and bytes of packed weights, of a group."""
        return self.in_features // self.scheme.groups, self.packed.shape[-1]

    def _prepare_in_torch(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        # Codes of float64 input are rounded in float64, which nobody needs to be fast.
        activations, scale = activation_codes(normalise(x, self.scheme), self.scheme)
        if not self._coded:
            return activations.float().contiguous(), None
        return _whole(activations).to(torch.int8), scale.squeeze(-1).float()


def _packing(weight_bits: float) -> BitPacking:
    """Codes in 1, 2, 4 or 8 bits, so that none straddles two bytes."""
    bits = next(bits for bits in (1, 2, 4, 8) if weight_bits <= bits)
    return BitPacking(largest_code(weight_bits), step=2 if bits == 1 else 1, bits=bits)


def _whole(codes: Tensor) -> Tensor:
    """Codes without NaN: their scale is NaN, too, and an integer cannot be."""
    return codes.nan_to_num(nan=0.0)


@cache
def tile_for(tokens: int, planes: int, size: int) -> Tile:
    """The tile for so many tokens, packed codes a byte, and bytes an activation. A table: nothing is tried out.

    A step takes a cache line of every token's activations; more where tensor cores need it, which take 32 int8 codes
    or 16 floats of one plane at once. Float32, multiplied without tensor cores, is kept to the smaller tiles.
    """
    if tokens <= _VECTOR_TOKENS:
        return Tile(1, 16, _CACHE_LINE, warps=4, stages=2, programs=4)
    step = max(32 if size == 1 else 16, _CACHE_LINE // (planes * size))
    if tokens <= 16:
        rows, outputs, warps, programs = 16, 64, 4, 2
    elif tokens <= 64 or size == 4:
        rows, outputs, warps, programs = 64, 64, 4, 1
    else:
        rows, outputs, warps, programs = 128, 128, 8, 1
    stages = _SHARED_MEMORY // (rows * step * planes * size + outputs * step)
    return Tile(rows, outputs, step, warps, max(2, min(stages, 4)), programs)


def _tiles(tile: Tile, shape: tuple[int, ...]) -> int:
    return _cdiv(shape[0], tile.tokens) * _cdiv(shape[1], tile.outputs)


@cache
def _processors(device: torch.device) -> int:
    if device.type == "cpu":
        return _INTERPRETED_PROCESSORS
    return torch.cuda.get_device_properties(device).multi_processor_count


def _cdiv(total: int, size: int) -> int:
    return -(-total // size)


def _kernel_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of what kernels write and, where activations are not quantised, multiply, for input of `dtype`."""
    if dtype == torch.bfloat16 and triton.knobs.runtime.interpret:
        return torch.float32  # the interpreter cuts bfloat16 off, and multiplies its bit patterns (triton issue 11584)
    return torch.float32 if dtype == torch.float64 else dtype
