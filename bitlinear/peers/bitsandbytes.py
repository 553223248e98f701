"""bitsandbytes' 8-bit and 4-bit layers, which have kernels for CPUs too (https://github.com/bitsandbytes-foundation)."""

import logging

import torch
from torch import Tensor, nn

from bitlinear.interface import Tolerance
from bitlinear.layer import BitLinear
from bitlinear.peers.interface import Peer, PeerOp, WeightOnlyPeer, effective_linear, effective_weight
from bitlinear.scheme import Scheme

BLOCK = 64
"""Consecutive weights that share a scale: the default of `Linear4bit`."""
NF4 = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
"""The values of NormalFloat-4, from appendix E of QLoRA (arXiv 2305.14314). -1, 0 and 1 are among them."""
CONSTANT_OFF = 2e-5
"""bitsandbytes rescales by 6.200124e-05, which is 1.8e-5 more than 1 / 127^2."""
BF16_ROUNDINGS = 5
"""Input, weight, its scale, their product and the output."""


class BnbInt8(Peer):
    """`Linear8bitLt` with its default threshold, 0: no outlier is kept apart."""

    name = "bnb-int8"
    summary = "bitsandbytes: Linear8bitLt, LLM.int8() without outliers"
    package = "bitsandbytes"
    contract = "weights int8 per row and activations int8 per token, both rounded to float16 before"

    def build(self, layer: BitLinear) -> nn.Module:
        """The weight is quantised when it is moved to its device."""
        from bitsandbytes.nn import Linear8bitLt

        _quieten()
        linear = Linear8bitLt(
            layer.in_features, layer.out_features, layer.bias is not None, has_fp16_weights=False, threshold=0.0
        )
        linear.load_state_dict(effective_linear(layer).state_dict())
        linear = linear.to(layer.weight.device).eval()
        with torch.inference_mode():
            linear(layer.weight.new_zeros(1, layer.in_features))  # it takes its final form at its first call
        return PeerOp(linear, _given(linear.state.CB, linear.state.SCB, linear.bias))

    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """Absmax over 127 codes either side, of operands in float16; in float64 after that."""
        a, a_scale = _int8(x)
        w, w_scale = _int8(effective_weight(layer))
        y = a.double() @ w.double().T * a_scale.double() * w_scale.double()[:, 0]
        return y if layer.bias is None else y + layer.bias.detach().double()

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """Float32, and the constant that it rescales by."""
        return super().tolerance(scheme, dtype, in_features).plus(CONSTANT_OFF, "1 / 127^2 written as 6.200124e-05")


class BnbNf4(WeightOnlyPeer):
    """`Linear4bit` with NormalFloat-4 and scales that are not quantised again: the default in transformers."""

    name = "bnb-nf4"
    summary = "bitsandbytes: Linear4bit, NormalFloat-4"
    package = "bitsandbytes"
    contract = f"weights NF4 per {BLOCK} in a row; activations rounded to bfloat16 where the CPU multiplies that"

    def build(self, layer: BitLinear) -> nn.Module:
        """Raises ValueError where its blocks would reach from one row into the next."""
        from bitsandbytes.nn import Linear4bit

        if layer.in_features % BLOCK:
            raise ValueError(f"blocks of {BLOCK} weights do not divide {layer.in_features} input features")
        linear = Linear4bit(
            layer.in_features,
            layer.out_features,
            layer.bias is not None,
            compute_dtype=torch.float32,
            compress_statistics=False,
            quant_type="nf4",
        )
        linear.load_state_dict(effective_linear(layer).state_dict())
        linear = linear.to(layer.weight.device).eval()
        with torch.inference_mode():
            linear(layer.weight.new_zeros(1, layer.in_features))  # it packs for the CPU at its first call
        state = linear.weight.quant_state
        return PeerOp(linear, _given(linear.weight, state.absmax, state.code, linear.bias))

    def declared_weight(self, layer: BitLinear) -> Tensor:
        """The nearest of 16 values times the largest magnitude of each block."""
        w = torch.unflatten(effective_weight(layer), -1, (-1, BLOCK))
        scale = w.abs().amax(-1, keepdim=True)
        values = torch.tensor(NF4, dtype=torch.float32, device=w.device)
        nearest = torch.bucketize((w / scale).nan_to_num(), (values[1:] + values[:-1]) / 2)
        return (values.double()[nearest] * scale.double()).flatten(1)

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """Its kernel for CPUs that multiply bfloat16 computes in that, whatever the input is."""
        rounding = torch.finfo(torch.bfloat16).eps / 2
        return super().tolerance(scheme, dtype, in_features).plus(BF16_ROUNDINGS * rounding, "bfloat16 arithmetic")


def _int8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scale of every row of `x`, rounded to float16 first."""
    half = x.half().float()
    peak = half.abs().amax(-1, keepdim=True)
    return (half * (127 / peak)).nan_to_num(nan=0.0).round(), peak / 127


def _quieten() -> None:
    """Of float32 input it says at every call that it rounds it to float16; saying so would be part of the call."""
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)


def _given(*tensors: Tensor | None) -> list[Tensor]:
    """Those that there are, as plain tensors."""
    return [tensor.detach().as_subclass(Tensor) for tensor in tensors if tensor is not None]
