"""ggml, the library under llama.cpp: its formats of 1.7 to 8.5 bits, with activations quantised in blocks.

It needs no model: the weight is quantised by ggml's own quantiser, and multiplied by a graph of one `mul_mat`. The
wheels of libggml-python know no more than AVX2; `install` builds it for the machine, with a C++ compiler, in minutes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.layer import BitLinear
from bitlinear.peers.bitnet import DequantisedPeer, copied_bias
from bitlinear.peers.ggml.graph import GgmlLibrary, caller
from bitlinear.peers.ggml.llama_library import backend, keep, load
from bitlinear.peers.interface import PeerOp, effective_weight, installed

_SOURCES = ("llama-cpp-python", "libggml-python")
"""Distributions that bring ggml along, the first one built for the machine by default."""


@dataclass(frozen=True)
class BlockFormat:
    """One of ggml's weight formats, as ggml-quants.c documents it."""

    kind: int
    """`enum ggml_type`"""
    block: int
    """Weights, and activations, that share a scale, which is a float16 for weights."""
    codes: Callable[[Tensor], tuple[Tensor, Tensor]]
    """Codes `(..., block)` and float32 scale `(..., 1)` of float32 blocks of weights."""
    half_scale: bool
    """Whether the scale of the activations is a float16 as well, as in Q8_0 blocks, and not a float32 as in Q8_K."""


class Ggml(DequantisedPeer):
    """`ggml_mul_mat` of a weight in one format."""

    package = next(filter(installed, _SOURCES), _SOURCES[-1])
    install = "pip install --no-binary libggml-python -C cmake.define.GGML_NATIVE=ON libggml-python==0.20.2.post1"
    quantises_weights = False
    homogeneous = False  # a float16 scale below 6e-5 has fewer bits

    def __init__(self, name: str, form: BlockFormat, weight_bits: tuple[float, ...], bits: str) -> None:
        self.name = f"ggml-{name.lower()}"
        self.summary = f"ggml (llama.cpp): {name}, {bits} bits a weight in blocks of {form.block}"
        scales = "float16" if form.half_scale else "float32"
        self.contract = f"weights {name}; activations int8 in blocks of {form.block} with {scales} scales"
        self.weight_bits = weight_bits
        self._form = form

    def build(self, layer: BitLinear) -> nn.Module:
        """The weight that the layer computes with, quantised by ggml; inputs are padded with zeros to whole blocks."""
        library = load(self.package)
        weight = self._blocks(effective_weight(layer).float()).flatten(1).contiguous()
        weights = keep(library, self._form.kind, weight)
        bias = copied_bias(layer)
        stored = [weights.memory, *([] if bias is None else [bias])]
        call = caller(weights, backend, layer.in_features, layer.out_features, bias)
        return PeerOp(call, stored, note=_shortcoming(library, self.install))

    @torch.no_grad()
    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """Codes of the documented quantisers, in float32, times their stored scales, multiplied in float64."""
        codes, scale = self._form.codes(self._blocks(effective_weight(layer).float()))
        weight = (codes.double() * scale.half().double()).flatten(1)
        a = self._blocks(x.detach().float())
        peak = a.abs().amax(-1, keepdim=True)
        a_codes = (a * (127 / peak)).round().nan_to_num(nan=0.0)  # 0 / 0: a block of zeros has codes of zero
        a_scale = peak / 127
        a_scale = a_scale.half() if self._form.half_scale else a_scale
        y = F.linear((a_codes.double() * a_scale.double()).flatten(-2), weight)
        return y if layer.bias is None else y + layer.bias

    def _blocks(self, values: Tensor) -> Tensor:
        """`(..., K)` to `(..., K / block, block)`, with zeros for what is missing."""
        padded = F.pad(values, (0, -values.shape[-1] % self._form.block))
        return torch.unflatten(padded, -1, (-1, self._form.block))


def _shortcoming(library: GgmlLibrary, install: str) -> str:
    """A sentence for a library that was built for less than the machine has."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or library.ggml_cpu_has_avx512():
        return ""
    return f"this ggml was built without AVX-512, which the machine has; for a faster one: {install}"


def _ternary(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """TQ1_0 and TQ2_0: `round(w / max|w|)`."""
    scale = blocks.abs().amax(-1, keepdim=True)
    return _half_away(blocks * _inverse(scale)), scale


def _four_bits(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Q4_0: the value of the largest magnitude is the code -8; what would be 8 becomes 7."""
    largest = blocks.gather(-1, blocks.abs().argmax(-1, keepdim=True))
    scale = largest / -8
    return (blocks * _inverse(scale) + 8.5).floor().clamp_max(15) - 8, scale


def _eight_bits(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Q8_0: `round(w 127 / max|w|)`."""
    scale = blocks.abs().amax(-1, keepdim=True) / 127
    return _half_away(blocks * _inverse(scale)), scale


def _inverse(scale: Tensor) -> Tensor:
    return torch.where(scale == 0, 0, 1 / scale)


def _half_away(values: Tensor) -> Tensor:
    """C's `roundf`. Codes are far below 2^22, where adding a half to a float32 is exact."""
    return (values.abs() + 0.5).floor() * values.sign()


TERNARY = (1, 1.58, 2)
GGML = (
    Ggml("TQ1_0", BlockFormat(34, 256, _ternary, half_scale=False), TERNARY, "1.69"),
    Ggml("TQ2_0", BlockFormat(35, 256, _ternary, half_scale=False), TERNARY, "2.06"),
    Ggml("Q4_0", BlockFormat(2, 32, _four_bits, half_scale=True), (*TERNARY, 3, 4), "4.5"),
    Ggml("Q8_0", BlockFormat(8, 32, _eight_bits, half_scale=True), (*TERNARY, 3, 4, 5, 6, 7, 8), "8.5"),
)
"""The four formats that a ternary or low-bit layer is likely to be kept in."""
