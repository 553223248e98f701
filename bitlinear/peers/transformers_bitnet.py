"""transformers: the two layers that its BitNet integration puts in the place of `nn.Linear`.

Both compile parts of themselves with torch.compile at the first call, which needs a C++ compiler on a CPU.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.layer import BitLinear
from bitlinear.peers.bitnet import BitNetPeer, DequantisedPeer
from bitlinear.peers.interface import PeerOp, plain_tensors
from bitlinear.peers.programs import INDUCTORS_COMPILER, why_no_compiler
from bitlinear.scheme import Scheme

_ROWS_PER_BYTE = 4


class Transformers(BitNetPeer):
    """A layer of transformers."""

    package = "transformers"
    contract = "b1.58, as the contract has it"

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says that there is no compiler."""
        reason = super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)
        return reason or why_no_compiler(self.name, INDUCTORS_COMPILER)


class TransformersBitLinear(Transformers):
    """`transformers.integrations.bitnet.BitLinear`: four codes to a byte, unpacked as a whole on every call."""

    name = "transformers-bitlinear"
    summary = "transformers' BitLinear: packed 2-bit weights, unpacked on every call"

    def build(self, layer: BitLinear) -> nn.Module:
        """The contract's codes, packed by the library, which wants whole bytes of them: rows of zeros are added."""
        from transformers.integrations.bitnet import BitLinear as Theirs
        from transformers.integrations.bitnet import pack_weights

        codes, scale = _codes(layer)
        rows = layer.out_features
        missing = -rows % _ROWS_PER_BYTE
        op = Theirs(layer.in_features, rows + missing, layer.bias is not None, dtype=torch.float32)
        op.weight = nn.Buffer(pack_weights(F.pad(codes, (0, 0, 0, missing))))
        op.weight_scale.fill_(1 / scale)
        if layer.bias is not None:
            op.bias[:rows] = layer.bias.detach()
        return PeerOp(_first(op, rows) if missing else op, plain_tensors(op))


class TransformersAutoBitLinear(Transformers, DequantisedPeer):
    """`AutoBitLinear`, offline: a float32 value for each ternary code, as microsoft/bitnet-b1.58-2B-4T is run."""

    name = "transformers-autobitlinear"
    summary = "transformers' AutoBitLinear, offline: ternary codes kept as floats"
    quantises_weights = False

    def build(self, layer: BitLinear) -> nn.Module:
        """Its own layer with the contract's codes and scale. It scales its bias too, which is divided for that."""
        codes, scale = _codes(layer)
        op = _auto(layer, scale, online=False)
        op.weight = nn.Parameter(codes, requires_grad=False)
        op.weight_scale = nn.Buffer(torch.tensor([scale], dtype=torch.float32, device="cpu"))
        return PeerOp(op, plain_tensors(op))


class TransformersAutoBitLinearOnline(Transformers, DequantisedPeer):
    """`AutoBitLinear`, online: the float weight, quantised on every call."""

    name = "transformers-autobitlinear-online"
    summary = "transformers' AutoBitLinear, online: float weight, quantised on every call"
    quantises_weights = True
    trainable = True

    def build(self, layer: BitLinear) -> nn.Module:
        """Its own layer with a copy of the weight."""
        op = _auto(layer, 1.0, online=True)
        op.weight = nn.Parameter(layer.weight.detach().clone())
        return op


def _auto(layer: BitLinear, scale: float, online: bool) -> nn.Module:
    """An `AutoBitLinear` without a weight yet, the bias divided by `scale`."""
    from transformers.integrations.bitnet import AutoBitLinear

    op: nn.Module = AutoBitLinear(
        layer.in_features, layer.out_features, layer.bias is not None, device="meta", online_quant=online
    )
    if layer.bias is not None:
        op.bias = nn.Parameter(layer.bias.detach() / scale)
    return op


def _codes(layer: BitLinear) -> tuple[Tensor, float]:
    codes, scale = layer.quantised_weight()
    return codes.flatten(1), float(scale)


def _first(op: Callable[[Tensor], Tensor], rows: int) -> Callable[[Tensor], Tensor]:
    """`op` without the outputs that it was given too many."""
    return lambda x: op(x)[..., :rows].contiguous()
