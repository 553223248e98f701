"""torchao's configurations for linear layers on a CPU (https://github.com/pytorch/ao)."""

import torch
from torch import Tensor, nn

from bitlinear.implementations.compiled import Compiled
from bitlinear.interface import Tolerance, flip_allowance
from bitlinear.layer import BitLinear
from bitlinear.peers.interface import Peer, PeerOp, WeightOnlyPeer, effective_linear, effective_weight, plain_tensors
from bitlinear.peers.torch_kernels import INT4_ROWS, INT8_VECTOR, NO_INT4_ROWS
from bitlinear.scheme import Scheme

INT4_GROUP = 128
"""Input features that share a scale: torchao's default for int4."""
EPS = torch.finfo(torch.float32).eps
"""torchao's least scale."""
BITNET_EPS = 1e-5
"""The least of its BitNet, for codes."""


class Torchao(Peer):
    """A layer that `quantize_` makes.

    `quantize_` is kept from its settings for torch's compiler, some of which are the whole process's. Its manual says
    to compile what it makes, so there is a contestant of either kind where that matters.
    """

    package = "torchao"

    def __init__(self, compiled: bool = False) -> None:
        self.compiled = compiled
        if compiled:
            self.name, self.summary = f"{self.name}-compiled", f"{self.summary}, torch.compile"

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says why nothing can be compiled."""
        why = super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)
        return why or (Compiled().why_not(scheme=scheme, device=device, dtype=dtype) if self.compiled else None)

    def op(self, linear: nn.Linear, config: object) -> PeerOp:
        """`linear`, changed as `config` says."""
        from torchao.quantization import quantize_

        works_in = linear.weight.dtype
        quantize_(nn.Sequential(linear), config)  # it changes layers within a model
        stored = list(plain_tensors(linear))
        if self.compiled:
            linear.compile(dynamic=False, isolate_recompiles=True)
        return PeerOp(linear, stored, works_in=works_in)


class TorchaoInt8WeightOnly(Torchao, WeightOnlyPeer):
    """`Int8WeightOnlyConfig`."""

    name = "torchao-int8wo"
    summary = "torchao: Int8WeightOnlyConfig"
    contract = "weights int8 per row, step max|w| / 127.5, clamped at 127; activations as they are"
    works_in = torch.bfloat16

    def build(self, layer: BitLinear) -> nn.Module:
        """One scale a row, torchao's default.

        Raises ValueError where torch's compiler would put a kernel that crashes in its place.
        """
        from torchao.quantization import Int8WeightOnlyConfig

        if self.compiled and layer.in_features % INT8_VECTOR:
            raise ValueError(f"compiled to torch's kernel, which reads beyond rows of no multiple of {INT8_VECTOR}")
        return self.op(effective_linear(layer, self.works_in), Int8WeightOnlyConfig(set_inductor_config=False))

    def declared_weight(self, layer: BitLinear) -> Tensor:
        """Symmetric over all 256 codes."""
        codes, scale = _int8(effective_weight(layer).to(self.works_in))
        return codes.double() * scale.double()


class TorchaoInt8Dynamic(Torchao):
    """`Int8DynamicActivationInt8WeightConfig`."""

    name = "torchao-int8dyn"
    summary = "torchao: Int8DynamicActivationInt8WeightConfig"
    contract = "weights int8 per row, activations int8 per token, steps max / 127.5, clamped at 127"

    def build(self, layer: BitLinear) -> nn.Module:
        """One scale a row and one a token, torchao's default."""
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig

        return self.op(effective_linear(layer), Int8DynamicActivationInt8WeightConfig(set_inductor_config=False))

    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """Both operands symmetric over all 256 codes; in float64 after that."""
        a, a_scale = _int8(x)
        w, w_scale = _int8(effective_weight(layer))
        y = a.double() @ w.double().T * a_scale.double() * w_scale.double()[:, 0]
        return y if layer.bias is None else y + layer.bias.detach().double()

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """The contract's, and codes that compiled arithmetic rounds the other way at a tie."""
        tolerance = super().tolerance(scheme, dtype, in_features)
        flips = flip_allowance(Scheme(8, 8), in_features)
        return tolerance.plus(flips, "codes at a tie of fused arithmetic") if self.compiled else tolerance


class TorchaoInt4(Torchao, WeightOnlyPeer):
    """`PrototypeInt4WeightOnlyConfig`: in torchao 0.18 the one int4 configuration whose kernel runs on x86 CPUs."""

    name = "torchao-int4wo"
    summary = "torchao: PrototypeInt4WeightOnlyConfig, torch's int4 kernel for CPUs"
    contract = f"weights in 16 equal steps from min to max per {INT4_GROUP} of a row, never 0; activations as they are"
    works_in = torch.bfloat16

    def build(self, layer: BitLinear) -> nn.Module:
        """Raises ValueError where torchao would silently quantise nothing."""
        from torchao.prototype.quantization.int4 import PrototypeInt4WeightOnlyConfig

        if layer.in_features % INT4_GROUP:
            raise ValueError(f"torchao leaves weights alone whose input features are no multiple of {INT4_GROUP}")
        if layer.out_features % INT4_ROWS:
            raise ValueError(NO_INT4_ROWS.format(layer.out_features))
        config = PrototypeInt4WeightOnlyConfig(group_size=INT4_GROUP, set_inductor_config=False)
        return self.op(effective_linear(layer, self.works_in), config)

    def declared_weight(self, layer: BitLinear) -> Tensor:
        """`(code - 8) * scale + zero`, codes 0 to 15, `scale = (max - min) / 15`, `zero = min + 8 scale`."""
        w = torch.unflatten(effective_weight(layer).to(self.works_in), -1, (-1, INT4_GROUP))
        low, high = w.amin(-1, keepdim=True), w.amax(-1, keepdim=True)
        scale = ((high - low) / 15).clamp_min(1e-6)
        zero = low + scale * 8
        codes = ((w - (zero - scale * 8)) / scale).round().clamp(0, 15)
        return ((codes.double() - 8) * scale.double() + zero.double()).flatten(1)


class TorchaoIntx(Torchao, WeightOnlyPeer):
    """`IntxWeightOnlyConfig` with the mapping that clips nothing, which holds ternary weights exactly.

    Its default mapping does not: two bits become -2 to 1 in steps of max / 1.5, and a third of the weight is lost.
    """

    works_in = torch.bfloat16

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.name = f"torchao-int{bits}x"
        self.summary = f"torchao: IntxWeightOnlyConfig, {bits} bits in bytes, dequantised at every call"
        self.contract = f"weights int{bits} per row, symmetric without clipping; activations as they are"
        super().__init__()

    def build(self, layer: BitLinear) -> nn.Module:
        """One scale a row, torchao's default."""
        from torchao.quantization import IntxWeightOnlyConfig, MappingType

        dtype, mapping = getattr(torch, f"int{self.bits}"), MappingType.SYMMETRIC_NO_CLIPPING_ERR
        config = IntxWeightOnlyConfig(weight_dtype=dtype, mapping_type=mapping)
        return self.op(effective_linear(layer, self.works_in), config)

    def declared_weight(self, layer: BitLinear) -> Tensor:
        """Codes `-2^(b-1)` to `2^(b-1) - 1`; the scale is the least that clips neither end."""
        w = effective_weight(layer).to(self.works_in)
        low, high = -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        scale = torch.maximum(w.amin(-1, keepdim=True) / low, w.amax(-1, keepdim=True) / high)
        scale = scale.clamp_min(torch.finfo(w.dtype).tiny)
        return (w * (1 / scale)).round().clamp(low, high).double() * scale.double()


class TorchaoBitNet(Torchao):
    """`bitnet_training`: BitNet b1.58 as torchao trains it, which quantises the weight anew at every call."""

    name = "torchao-bitnet"
    summary = "torchao: bitnet_training, the forward of quantisation-aware training"
    contract = "b1.58, but codes of a token whose peak is below 1.27e-3 are taken for that peak, and its scale is not"

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says that it knows one scheme."""
        if (scheme.weight_bits, scheme.activation_bits, scheme.groups) != (1.58, 8, 1):
            return f"{self.name} computes w1.58a8 in one group, not {scheme}"
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)

    def build(self, layer: BitLinear) -> nn.Module:
        """Of the float weight: to quantise it is what the library does."""
        from torchao.prototype.quantized_training import bitnet_training

        linear = effective_linear(layer)
        linear.weight = nn.Parameter(layer.weight.detach().clone(), requires_grad=False)
        return self.op(linear, bitnet_training())

    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """The contract, less what a least step does that is applied to the codes alone.

        `quantize_int8_rowwise` and `quantize_bitnet_weight` divide by at least 1e-5, and rescale by what is less.
        """
        step = x.float().abs().amax(-1, keepdim=True) / 127
        a = (x.float() * (1 / step.clamp_min(BITNET_EPS))).round()
        scale = layer.weight.detach().float().abs().mean()
        w = (layer.weight.detach().float() / scale.clamp_min(BITNET_EPS)).round().clamp(-1, 1)
        y = a.double() @ w.double().T * step.double() * scale.double()
        return y if layer.bias is None else y + layer.bias.detach().double()

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """The contract's, and codes that fall the other way at a tie, as it multiplies by `1 / (max / 127)`."""
        flips = flip_allowance(scheme, in_features)
        return super().tolerance(scheme, dtype, in_features).plus(flips, "codes at a tie of a scale rounded twice")


def _int8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scale of every row, as torchao's `choose_qparams_affine` and `quantize_affine` define them."""
    scale = (x.abs().amax(-1, keepdim=True) / 127.5).float().clamp_min(EPS)
    return (x * (1 / scale)).round().clamp(-128, 127), scale
