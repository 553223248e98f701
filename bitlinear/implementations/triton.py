"""`triton`: fused kernels on packed weights, for CUDA."""

import importlib.util
import math
import os

import torch
from torch import nn

from bitlinear.implementations.coded import CodedImplementation
from bitlinear.interface import Tolerance, unit_roundoff
from bitlinear.layer import BitLinear
from bitlinear.scheme import FULL_PRECISION, Scheme

_CAPABILITY = (8, 0)
"""The oldest GPUs that Triton supports and whose shared memory holds the tiles."""
_TENSOR_CORE_TERMS = 16
"""Products of halves that tensor cores add to a sum at once, at the least."""


class Triton(CodedImplementation):
    """Weights in 1, 2, 4 or 8 bits a code; activations in int8 codes, or as they are with `activation_bits=16`.

    The library is imported when an op is built, so that the catalogue of implementations can be had without it. On a
    CPU it runs under Triton's interpreter alone, which is there for tests: `TRITON_INTERPRET=1`.
    """

    name = "triton"
    summary = "weights packed to 1, 2, 4 or 8 bits, fused Triton kernels for CUDA, exact int32 sums"

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says that there is no CUDA device, and that the library is not installed."""
        bits = scheme.activation_bits
        if 8 < bits < FULL_PRECISION:
            return f"triton multiplies int8 codes or what is not quantised, and activation_bits={bits} is neither"
        if importlib.util.find_spec("triton") is None:
            return "the library triton is not installed; pip install 'bitlinear-bench[triton]'"
        reason = super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)
        return reason or (None if device == "cpu" and interpreted() else _why_no_gpu(device))

    def build(self, layer: BitLinear) -> nn.Module:
        """Packed codes. The kernels are compiled in the op's first call."""
        from bitlinear.engines.triton.linear import TritonLinear

        return TritonLinear(layer)

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """The contract's with int8 codes, whose sums are exact; without, what summing in float32 costs."""
        tolerance = super().tolerance(scheme, dtype, in_features)
        if scheme.activation_bits != FULL_PRECISION:
            return tolerance
        if not (rounding := unit_roundoff(dtype)):
            return tolerance.plus(math.sqrt(in_features) * 2**-24, "sqrt(K) independent roundings of a float32 sum")
        if scheme.norm:
            tolerance = tolerance.plus(rounding, f"normalised activations rounded to {dtype}")
        additions = math.ceil(in_features / _TENSOR_CORE_TERMS)
        return tolerance.plus(additions * 2**-23, "tensor cores cut off each float32 addition")


def _why_no_gpu(device: str) -> str | None:
    if device != "cuda":
        return f"triton compiles its kernels for CUDA, and this runs on {device}"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    capability = torch.cuda.get_device_capability()
    if torch.version.hip is None and capability < _CAPABILITY:
        return "triton wants compute capability {}.{} or more, and this GPU has {}.{}".format(*_CAPABILITY, *capability)
    return None


def interpreted() -> bool:
    """Whether triton, when it is imported, will interpret kernels on the CPU instead of compiling them."""
    return os.environ.get("TRITON_INTERPRET") == "1"
