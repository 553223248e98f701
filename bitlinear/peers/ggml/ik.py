"""ik_llama.cpp, the fork of llama.cpp with the fastest ternary kernels for CPUs: IQ2_BN_R4, IQ2_BN and IQ1_BN.

The weight is quantised by its own quantiser, and multiplied by a graph of one `mul_mat`. Its activations are int8 with
four scales a token, each that of every fourth run of features. The wheels know no more than AVX2; a build for the
machine is faster.
"""

import math
import platform
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.interface import Tolerance
from bitlinear.layer import BitLinear
from bitlinear.peers.bitnet import BitNetPeer, copied_bias
from bitlinear.peers.ggml import ik_library
from bitlinear.peers.ggml.graph import GgmlLibrary, caller
from bitlinear.peers.interface import PeerOp, effective_weight
from bitlinear.scheme import Scheme

_BLOCK = 64
"""Input features of a block of any of the three formats."""
_PARTS = 4
"""Scales of a token."""


@dataclass(frozen=True)
class TernaryFormat:
    """A format of ternary weights: codes -1, 0 and 1, a scale a row, and how its kernel takes activations."""

    kind: int
    """`enum ggml_type`"""
    bits: str
    """Of a weight, the scale of its row apart."""
    run: int
    """Consecutive features that share a scale: of `4 run` features each part of a token has `run`."""
    half_scale: bool = False
    """Whether the scale of a row is a float16, and not a float32."""
    blocks: int = 1
    """Of which a row has a whole multiple: the AVX2 kernel of IQ2_BN computes the last of an odd number wrongly."""
    fewest: int = _BLOCK
    """Input features that the library takes; with fewer it ends the process."""
    rows: int = 1
    """Of which a weight has a whole multiple: four lie interleaved, and the AVX-512 kernel takes two such groups."""


class Ik(BitNetPeer):
    """`ggml_mul_mat` of a weight in one format."""

    package = ik_library.PACKAGE
    install = "pip install ik-llama-cpp-python==0.1.5"
    weight_bits = (1, 1.58, 2)

    def __init__(self, name: str, form: TernaryFormat) -> None:
        self.name = f"ik-{name.lower()}"
        self.summary = f"ik_llama.cpp: {name}, {form.bits} bits a weight and a scale a row"
        scale = "float16" if form.half_scale else "float32"
        self.contract = (
            f"weights ternary with a {scale} scale a row; activations int8 with four float32 scales a token, "
            f"one for every fourth run of {form.run}"
        )
        self.homogeneous = not form.half_scale  # a float16 scale below 6e-5 has fewer bits
        self._form = form

    def version(self) -> str | None:
        """That of the package, or what tells the user's own build from others."""
        own = ik_library.own_build()
        if own is None:
            return super().version()
        return ik_library.fingerprint(own) if own.is_file() else None

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says so where the user's own build is not there, and where the CPU lacks what the wheel is built for."""
        own = ik_library.own_build()
        if own and not own.is_file():
            return f"{self.name} needs {own}, beside the library that {ik_library.OWN_BUILD} names, and finds none"
        x86 = platform.machine().lower() in ("x86_64", "amd64")
        if not own and x86 and torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
            return f"{self.name} needs AVX2, which this CPU does not have: {self.package} is built for it"
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)

    def build(self, layer: BitLinear) -> nn.Module:
        """The weight that the layer computes with, quantised by the library, with zeros where it wants more."""
        library = ik_library.load(ik_library.located())
        columns, rows = self._padded(layer.in_features, layer.out_features)
        missing = (0, columns - layer.in_features, 0, rows - layer.out_features)
        weights = ik_library.keep(library, self._form.kind, F.pad(effective_weight(layer).float(), missing))
        bias = copied_bias(layer)
        stored = [weights.memory, *([] if bias is None else [bias])]
        call = caller(weights, ik_library.backend, layer.in_features, layer.out_features, bias)
        notes = (_shortcoming(library), self._padding(layer.in_features))
        return PeerOp(call, stored, note="; ".join(filter(None, notes)))

    @torch.no_grad()
    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """Codes of the library's quantisers, in float32, times their stored scales, multiplied in float64."""
        weight = effective_weight(layer).float()
        scale = weight.abs().amax(-1, keepdim=True)
        codes = torch.where(weight.abs() < 0.5 * scale, 0, torch.where(weight < 0, -1, 1))
        scale = scale.half() if self._form.half_scale else scale
        y = F.linear(self._quantised(x.detach().float()), codes * scale.double())
        return y if layer.bias is None else y + layer.bias

    def _quantised(self, x: Tensor) -> Tensor:
        """`(..., K)` to what the kernel multiplies, in float64."""
        padded = F.pad(x, (0, -x.shape[-1] % _BLOCK))
        parts = torch.unflatten(padded, -1, (-1, _PARTS, self._form.run))
        step = parts.abs().amax((-3, -1), keepdim=True) / 127
        codes = (parts * torch.where(step > 0, 1 / step, 0)).round()
        return (codes.double() * step.double()).flatten(-3)[..., : x.shape[-1]]

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """Adds the rounding of a difference: the kernels count codes from 0 to 2, and take the sum of the token off.

        Both are up to `sqrt(K)` times as large as the output where the token has a mean, and rounded once for each of
        its four parts.
        """
        difference = _PARTS * math.sqrt(in_features) * 2.0**-24
        tolerance = super().tolerance(scheme, dtype, in_features)
        return tolerance.plus(difference, "a float32 difference of sums over codes from 0 to 2")

    def _padded(self, in_features: int, out_features: int) -> tuple[int, int]:
        """Columns and rows that are stored."""
        columns = max(in_features, self._form.fewest)
        return columns + -columns % (_BLOCK * self._form.blocks), out_features + -out_features % self._form.rows

    def _padding(self, in_features: int) -> str:
        """A sentence where whole blocks are not enough for the library."""
        columns, _ = self._padded(in_features, 1)
        if columns - in_features < _BLOCK:
            return ""
        fault = "ends the process for fewer" if columns == self._form.fewest else "computes an odd block wrongly"
        return f"{in_features} input features are stored as {columns}, because the library {fault}"


def _shortcoming(library: GgmlLibrary) -> str:
    """A sentence for a library that was built for less than the machine has."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512" or library.ggml_cpu_has_avx512_vnni():
        return ""
    return (
        "this ik_llama.cpp was built without AVX-512 VNNI, which the machine may have; a build for the machine is "
        f"faster: name its library in {ik_library.OWN_BUILD}"
    )


IK = (
    Ik("IQ2_BN_R4", TernaryFormat(335, "2", run=16, rows=8)),
    Ik("IQ2_BN", TernaryFormat(135, "2", run=4, blocks=2, fewest=512)),
    Ik("IQ1_BN", TernaryFormat(134, "1.63", run=4, half_scale=True, fewest=512)),
)
"""Four rows interleaved, plain, and five codes to a byte."""
