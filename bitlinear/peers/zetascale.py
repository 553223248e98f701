"""zetascale: `zeta.nn.BitLinear` as published, which applies no scale."""

from collections.abc import Callable
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from bitlinear.interface import Implementation, Tolerance
from bitlinear.layer import BitLinear
from bitlinear.peers.bitnet import BitNetPeer, copied_bias
from bitlinear.peers.interface import PeerOp, plain_tensors
from bitlinear.scheme import Scheme


class Zetascale(BitNetPeer):
    """Signs of the centred weight times the activations' codes, with one scale for the whole input and neither undone.

    Only the file that holds the layer is loaded: `import zeta` wants torchvision, an old transformers and 14 more.
    """

    name = "zetascale"
    summary = "zetascale: zeta.nn.BitLinear as published; applies no scale"
    package = "zetascale"
    contract = "round(x 127 / max|x|) sign(W - mean W)^T: one scale for the whole input, and none undone"
    install = "pip install --no-deps zetascale==2.8.8"
    weight_bits = (1, 1.58)
    tokenwise = False
    homogeneous = False

    def build(self, layer: BitLinear) -> nn.Module:
        """Its own layer with a copy of the weight; a bias, which it does not know, is added after it."""
        op = _module().BitLinear(layer.in_features, layer.out_features)
        op.weight = nn.Parameter(layer.weight.detach().clone(), requires_grad=False)
        bias = copied_bias(layer)
        if bias is None:
            return PeerOp(op, plain_tensors(op))
        return PeerOp(_plus(op, bias), [*plain_tensors(op), bias])

    @torch.no_grad()
    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """Codes and signs as published, in float32, multiplied in float64. What is no number has the code 0."""
        codes = (127 / x.abs().max() * x).round() if x.numel() else x
        signs = torch.sign(layer.weight - layer.weight.mean())
        y = torch.where(codes.isfinite(), codes, 0).double() @ signs.double().T
        return y if layer.bias is None else y + layer.bias

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """Its codes are those that are expected: the formula is the same, in the same precision."""
        return Implementation.tolerance(self, scheme, dtype, in_features)


def _module() -> ModuleType:
    """`zeta.nn.quant.bitlinear` without its parents. Raises ImportError where the package has no such file."""
    package = find_spec("zeta")
    folders = (package and package.submodule_search_locations) or []
    for path in (Path(folder, "nn", "quant", "bitlinear.py") for folder in folders):
        spec = spec_from_file_location("zeta_bitlinear", path)
        if spec and spec.loader and path.is_file():
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise ImportError("zetascale is installed, but zeta/nn/quant/bitlinear.py is not in it; install zetascale==2.8.8")


def _plus(op: Callable[[Tensor], Tensor], bias: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: op(x) + bias
