"""litespark-inference: ternary weights, four to a byte, and int8 activations, by AVX-512 VNNI or AVX2 kernels in C++.

What is called is its `torchless` runtime, the one that keeps weights packed. Its other one, `models.TernaryLinear`,
keeps a byte for each weight and compiles itself at the first call.
"""

import ctypes
import platform
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.layer import BitLinear
from bitlinear.peers.bitnet import BitNetPeer, copied_bias
from bitlinear.peers.interface import PeerOp
from bitlinear.scheme import Scheme

_MOST_TOKENS = 64
"""More than these its batched kernel ignores without a word: callers are to divide their batches."""
_PER_BYTE = 4


class Litespark(BitNetPeer):
    """Quantisation and product by its own kernels: that for one token, or the batched ones."""

    name = "litespark"
    summary = "litespark-inference: packed 2-bit ternary weights, AVX-512 VNNI or AVX2"
    package = "litespark-inference"
    contract = "b1.58: ternary weights, int8 activations a token, as the contract has them"

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says that its batched kernels are for x86."""
        if platform.machine().lower() not in ("x86_64", "amd64"):
            return f"{self.name} is called here as its x86 runtime calls it, and this is {platform.machine()}"
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)

    def build(self, layer: BitLinear) -> nn.Module:
        """The contract's codes, packed by the library."""
        from litespark_inference.torchless.pack import pack_ternary_4_per_byte

        codes, scale = layer.quantised_weight()
        packed = torch.from_numpy(pack_ternary_4_per_byte(codes.flatten(1).to(torch.int8).numpy()))
        bias = copied_bias(layer)
        call = _call(packed, float(scale), -layer.in_features % _PER_BYTE, bias)
        return PeerOp(call, [packed, *([] if bias is None else [bias])])


def _call(packed: Tensor, scale: float, padding: int, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    from litespark_inference.torchless import kernel

    set_threads = ctypes.CDLL(str(kernel.ensure_built())).omp_set_num_threads  # of the OpenMP that the kernels run on
    weight = packed.numpy()

    def call(x: Tensor) -> Tensor:
        a = F.pad(x.detach(), (0, padding)).contiguous().numpy()
        y = torch.empty(len(a), len(weight), dtype=torch.float32, device="cpu")
        set_threads(torch.get_num_threads())
        _product(a, weight, scale, y.numpy())
        return y if bias is None else y.add_(bias)

    def _product(a: np.ndarray, weight: np.ndarray, scale: float, y: np.ndarray) -> None:
        codes = np.empty(a.shape, np.int8)
        if len(a) == 1:
            a_scale = kernel.quantize_activation(a[0], codes[0])
            kernel.matmul_packed_m1(codes[0], weight, scale, a_scale, out=y[0])
            return
        scales = np.empty(len(a), np.float32)
        kernel.quantize_activation_batched(a, codes, scales)
        for first in range(0, len(a), _MOST_TOKENS):
            some = slice(first, first + _MOST_TOKENS)
            kernel.matmul_packed_mT(codes[some], scales[some], weight, scale, out=y[some])

    return call
