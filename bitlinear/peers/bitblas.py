"""BitBLAS: generated kernels for NVIDIA GPUs. Written from its documentation; not run on hardware yet."""

import torch
from torch import Tensor, nn

from bitlinear.layer import BitLinear
from bitlinear.peers.bitnet import BitNetPeer, copied_bias
from bitlinear.peers.interface import PeerOp
from bitlinear.quantize import activation_codes, normalise, widen


class BitBlas(BitNetPeer):
    """`bitblas.Matmul` of int8 activations and int2 weights, as its BitNet integration calls it.

    It multiplies codes; they are made and scaled back here, in torch. The first call generates and tunes its kernel.
    """

    name = "bitblas"
    summary = "BitBLAS: int8 times int2 product, quantised by torch (CUDA; not run on hardware yet)"
    package = "bitblas"
    contract = "b1.58, as the contract has it"
    install = "pip install bitblas==0.1.0.post1"
    devices = ("cuda",)
    dtypes = (torch.float32, torch.float16, torch.bfloat16)

    def build(self, layer: BitLinear) -> nn.Module:
        """The contract's codes in the library's layout."""
        from bitblas import Matmul, MatmulConfig

        codes, scale = layer.quantised_weight()
        config = MatmulConfig(
            N=layer.out_features,
            K=layer.in_features,
            A_dtype="int8",
            W_dtype="int2",
            accum_dtype="int32",
            out_dtype="int32",
            layout="nt",
        )
        product = Matmul(config)
        weight = product.transform_weight(codes.flatten(1).to(torch.int8))
        w_scale, bias, scheme = scale.flatten(), copied_bias(layer), layer.scheme

        def call(x: Tensor) -> Tensor:
            a, a_scale = activation_codes(normalise(widen(x), scheme), scheme)
            y: Tensor = product(a.flatten(1).to(torch.int8), weight) * (w_scale / a_scale[:, 0])
            return (y if bias is None else y + bias).to(x.dtype)

        return PeerOp(call, [weight, w_scale, *([] if bias is None else [bias])])
