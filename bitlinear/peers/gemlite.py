"""gemlite: Triton kernels for NVIDIA GPUs. Written from its documentation; not run on hardware yet."""

import torch
from torch import nn

from bitlinear.layer import BitLinear
from bitlinear.peers.bitnet import BitNetPeer, copied_bias
from bitlinear.peers.interface import PeerOp, plain_tensors


class Gemlite(BitNetPeer):
    """`helper.A8W158_INT_dynamic`: packed 2-bit weights, activations quantised a token by a kernel of its own."""

    name = "gemlite"
    summary = "gemlite: packed 2-bit weights, int8 activations, Triton (CUDA; not run on hardware yet)"
    package = "gemlite"
    contract = "b1.58, as the contract has it"
    install = "pip install gemlite==0.6.0.post2"
    devices = ("cuda",)
    dtypes = (torch.float16, torch.bfloat16)

    def build(self, layer: BitLinear) -> nn.Module:
        """The contract's codes, packed by the library."""
        from gemlite.helper import A8W158_INT_dynamic

        codes, scale = layer.quantised_weight()
        processor = A8W158_INT_dynamic(device=str(layer.weight.device), dtype=layer.weight.dtype)
        op = processor.from_weights(codes.flatten(1), weight_scale=scale, bias=copied_bias(layer))
        return PeerOp(op, plain_tensors(op))
