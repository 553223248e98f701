"""The contestants, one a file, in the order in which tables show them."""

from bitlinear.implementations.bf16 import Bf16
from bitlinear.implementations.bf16_naive import Bf16Naive
from bitlinear.implementations.compiled import Compiled
from bitlinear.implementations.eager import Eager
from bitlinear.implementations.fp16 import Fp16
from bitlinear.implementations.int8 import Int8
from bitlinear.implementations.linear import LinearBf16, LinearFp16, LinearFp32
from bitlinear.implementations.native import Native
from bitlinear.implementations.packed import Packed
from bitlinear.implementations.packed_base3 import PackedBase3
from bitlinear.implementations.reference import Reference
from bitlinear.implementations.triton import Triton
from bitlinear.interface import Implementation

__all__ = ["IMPLEMENTATIONS"]

IMPLEMENTATIONS: tuple[Implementation, ...] = (
    LinearFp32(),
    LinearBf16(),
    LinearFp16(),
    Reference(),
    Eager(),
    Compiled(),
    Bf16(),
    Fp16(),
    Bf16Naive(),
    Int8(),
    Native(),
    Packed(),
    PackedBase3(),
    Triton(),
)
