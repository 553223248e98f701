"""`native`: the layer in C, one fused operation over packed weights, compiled once for the machine at hand."""

from bitlinear.engines.native.build import BuildError
from bitlinear.engines.native.library import PATHS, available_paths
from bitlinear.engines.native.linear import NativeLinear, has_kernel

__all__ = ["PATHS", "BuildError", "NativeLinear", "available_paths", "has_kernel"]
