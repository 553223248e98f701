"""torch's own low-bit kernels for CPUs, called as its libraries call them."""

import math
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear.interface import Tolerance, flip_allowance
from bitlinear.layer import BitLinear
from bitlinear.peers.interface import Peer, PeerOp, WeightOnlyPeer, effective_linear, effective_weight
from bitlinear.scheme import Scheme

INT4_GROUP = 128
"""Input features that share a scale. The kernel takes 32, 64, 128 and 256."""
INT4_ROWS = 16
"""Output features that the int4 kernel packs together."""
NO_INT4_ROWS = f"torch's int4 kernel takes output features in multiples of {INT4_ROWS}, not {{}}"
INT8_VECTOR = 16
"""Input features that the int8 kernel for bfloat16 reads at once, whether they are there or not (torch 2.13)."""
ENGINES = ("x86", "fbgemm")
"""Of torch's quantised operators."""
CODES, LANES = 127, 8
"""Steps from the least to the largest activation, and values that fbgemm looks at together to find these two."""
CODE_OF_NAN = 255
LEAST_STEP = float(torch.tensor(6.1e-5))
"""Of activations: `SMALL_SCALE_THRESHOLD`, a float32."""


class TorchKernel(WeightOnlyPeer):
    """A kernel that adds no bias. In bfloat16: its kernels for float32 are many times slower."""

    package = "torch"
    works_in = torch.bfloat16

    def op(self, kernel: Callable[[Tensor], Tensor], stored: list[Tensor], layer: BitLinear) -> PeerOp:
        """`kernel` and then the layer's bias."""
        if layer.bias is None:
            return PeerOp(kernel, stored, works_in=self.works_in)
        bias = layer.bias.detach().to(self.works_in, copy=True)
        return PeerOp(lambda x: kernel(x) + bias, [*stored, bias], works_in=self.works_in)


class TorchInt8(TorchKernel):
    """`_weight_int8pack_mm`."""

    name = "torch-int8"
    summary = "torch: _weight_int8pack_mm, int8 weights"
    contract = "weights int8 per row, symmetric; activations as they are"

    def build(self, layer: BitLinear) -> nn.Module:
        """Codes `(N, K)` and scales `(N,)`.

        Raises ValueError where the kernel would read beyond the weight: it then returns infinities, or crashes.
        """
        if layer.in_features % INT8_VECTOR:
            raise ValueError(f"torch's kernel reads beyond weights whose rows are no multiple of {INT8_VECTOR}")
        w = effective_weight(layer)
        scale = (w.abs().amax(-1) / 127).clamp_min(torch.finfo(w.dtype).tiny)
        codes = (w / scale[:, None]).round().to(torch.int8)
        scale = scale.to(self.works_in)
        return self.op(lambda x: torch._weight_int8pack_mm(x, codes, scale), [codes, scale], layer)

    def declared_weight(self, layer: BitLinear) -> Tensor:
        """Absmax over 127 codes either side."""
        w = effective_weight(layer)
        scale = w.abs().amax(-1, keepdim=True) / 127
        return (w / scale).nan_to_num().round().double() * scale.double()


class TorchInt4(TorchKernel):
    """`_weight_int4pack_mm_for_cpu`, two weights a byte."""

    name = "torch-int4"
    summary = "torch: _weight_int4pack_mm_for_cpu, int4 weights"
    contract = f"weights int4 per {INT4_GROUP} in a row, symmetric; activations as they are"

    def build(self, layer: BitLinear) -> nn.Module:
        """Codes 0 to 15 that stand for -8 to 7, and a scale and a zero for each group.

        Raises ValueError where groups do not divide the input features, or the kernel's rows the output features.
        """
        if layer.in_features % INT4_GROUP:
            raise ValueError(f"groups of {INT4_GROUP} do not divide {layer.in_features} input features")
        if layer.out_features % INT4_ROWS:
            raise ValueError(NO_INT4_ROWS.format(layer.out_features))
        w = torch.unflatten(effective_weight(layer), -1, (-1, INT4_GROUP))
        scale = (w.abs().amax(-1, keepdim=True) / 7).clamp_min(torch.finfo(w.dtype).tiny)
        codes = ((w / scale).round() + 8).flatten(1).to(torch.int32)
        packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(codes, 1)
        scale = scale[..., 0].T.to(self.works_in)
        scales = torch.stack([scale, torch.zeros_like(scale)], -1).contiguous()  # (K / group, N, 2)
        kernel = torch.ops.aten._weight_int4pack_mm_for_cpu
        return self.op(lambda x: kernel(x, packed, INT4_GROUP, scales), [packed, scales], layer)

    def declared_weight(self, layer: BitLinear) -> Tensor:
        """Absmax over 7 codes either side."""
        w = torch.unflatten(effective_weight(layer), -1, (-1, INT4_GROUP))
        scale = w.abs().amax(-1, keepdim=True) / 7
        return ((w / scale).nan_to_num().round().double() * scale.double()).flatten(1)


class TorchDynamic(Peer):
    """`torch.ao.quantization.quantize_dynamic`, which torch announces to remove and torchao to replace."""

    name = "torch-dynamic"
    summary = "torch: quantize_dynamic, int8 weights and activations"
    package = "torch"
    contract = (
        "weights int8 with one scale, max|w| / 127.5; activations in 127 steps from min to max, none below 6.1e-5, with"
        " one scale and zero for all tokens of a call"
    )
    tokenwise = False

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says that other engines than those of x86 round otherwise."""
        if (engine := torch.backends.quantized.engine) not in ENGINES:
            return f"{self.name} is described for the engines {' and '.join(ENGINES)}, and torch uses {engine} here"
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)

    def build(self, layer: BitLinear) -> nn.Module:
        """Its packed weight is no tensor: a byte a weight is counted for it."""
        from torch.ao.quantization import quantize_dynamic

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it will be removed is said above
            model = nn.Sequential(effective_linear(layer))
            model = quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]  # torch's
        return PeerOp(model[0], [], hidden_bytes=layer.weight.numel())

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """Float32, and codes at a tie; its step is up to two peaks / 127."""
        flips = 2 * flip_allowance(Scheme(8, 8), in_features)
        return super().tolerance(scheme, dtype, in_features).plus(flips, "codes at a tie of x / scale")

    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """Scales and zero as torch's `MinMaxObserver`, `FindMinMax` and `ChooseQuantizationParams` choose them.

        The step is for 128 of the 256 codes of an activation, so that sums of two products fit into 16 bits. Nothing
        clamps at them: where both ends of the range lie on a tie, 129 are used, and NaN becomes the 256th. A call whose
        range is not finite, or whose first value is NaN, promises nothing but values that are not finite; torch raises
        for the latter.
        """
        w = effective_weight(layer)
        w_scale = (w.abs().max() / 127.5).clamp_min(torch.finfo(torch.float32).eps)
        w_codes = (w * (1 / w_scale)).round().clamp(-128, 127)
        scale, zero = _step_and_zero(*_range(x))
        codes = ((x * (1 / scale)).round() + zero).nan_to_num(nan=CODE_OF_NAN).clamp(0, CODE_OF_NAN)
        y = _product(codes.double(), zero, w_codes.double()) * (scale.double() * w_scale.double())
        return y if layer.bias is None else y + layer.bias.detach().double()


def _product(codes: Tensor, zero: float, w_codes: Tensor) -> Tensor:
    """`(codes - zero) @ w_codes.T`, `(..., N)`, of codes `(..., K)` and `(N, K)`.

    A processor without VNNI adds two neighbouring products in 16 bits and saturates there, which only the code of a NaN
    can reach.
    """
    if torch.cpu._is_vnni_supported() or not bool((codes == CODE_OF_NAN).any()):
        return (codes - zero) @ w_codes.T
    products = F.pad(codes.unsqueeze(-2) * w_codes, (0, codes.shape[-1] % 2))
    pairs = (products[..., ::2] + products[..., 1::2]).clamp(-(2**15), 2**15 - 1)
    return pairs.sum(-1) - zero * w_codes.sum(-1)


def _range(x: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the largest value of `x` as fbgemm finds them, in eight lanes that a NaN makes forget."""
    values = x.flatten()
    if not values.numel():
        return x.new_zeros(()), x.new_zeros(())
    lanes = values[: values.numel() // LANES * LANES].view(-1, LANES)
    forgotten = lanes.isnan().flip(0).cumsum(0).flip(0) > 0
    rest = values[lanes.numel() :]
    seen = torch.cat([values[:1], lanes[~forgotten], rest[~rest.isnan()]])
    return seen.amin(), seen.amax()


def _step_and_zero(low: Tensor, high: Tensor) -> tuple[Tensor, float]:
    """The step, float32, and the code of 0 for a range, as torch's `ChooseQuantizationParams` computes them."""
    low, high = low.clamp_max(0), high.clamp_min(0)
    scale = float((high.double() - low.double()) / CODES)
    if not math.isfinite(scale):
        return torch.full_like(low, math.nan), 0.0
    if not (1 / low.new_tensor(scale)).isfinite():
        scale = 0.1
    if scale < LEAST_STEP:
        stretch = LEAST_STEP / low.new_tensor(scale)
        low, high, scale = low * stretch, high * stretch, LEAST_STEP
    below, above = float(low.double() / scale), float(high.double() / scale)
    zero = -below if -below < CODES + above else CODES - above
    return low.new_tensor(scale), float(round(min(max(zero, 0.0), CODES)))
