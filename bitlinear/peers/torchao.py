"""torchao's configurations for linear layers on a CPU (https://github.com/pytorch/ao)."""

import torch
from torch import Tensor, nn

from bitlinear.implementation import Tolerance, flip_allowance
from bitlinear.layer import BitLinear
from bitlinear.peer import Peer, PeerOp, WeightOnlyPeer, effective_linear, effective_weight, one_by_one, plain_tensors
from bitlinear.scheme import Scheme

INT4_GROUP = 128
"""Input features that share a scale: torchao's default for int4."""
EPS = torch.finfo(torch.float32).eps
"""torchao's least scale."""


class TorchaoInt8WeightOnly(WeightOnlyPeer):
    """`Int8WeightOnlyConfig`."""

    name = "torchao-int8wo"
    summary = "torchao: Int8WeightOnlyConfig"
    package = "torchao"
    contract = "weights int8 per row, step max|w| / 127.5, clamped at 127; activations as they are"

    def build(self, layer: BitLinear) -> nn.Module:
        """As `quantize_` makes it, without its settings for torch's compiler, which is not used."""
        from torchao.quantization import Int8WeightOnlyConfig

        return _quantised(effective_linear(layer), Int8WeightOnlyConfig(set_inductor_config=False))

    def declared_weight(self, layer: BitLinear) -> Tensor:
        """Symmetric over all 256 codes."""
        codes, scale = _int8(effective_weight(layer))
        return codes.double() * scale.double()


class TorchaoInt8Dynamic(Peer):
    """`Int8DynamicActivationInt8WeightConfig`."""

    name = "torchao-int8dyn"
    summary = "torchao: Int8DynamicActivationInt8WeightConfig"
    package = "torchao"
    contract = "weights int8 per row, activations int8 per token, steps max / 127.5, clamped at 127"

    def build(self, layer: BitLinear) -> nn.Module:
        """As `quantize_` makes it, without its settings for torch's compiler, which is not used."""
        from torchao.quantization import Int8DynamicActivationInt8WeightConfig

        return _quantised(effective_linear(layer), Int8DynamicActivationInt8WeightConfig(set_inductor_config=False))

    def expected(self, layer: BitLinear, x: Tensor) -> Tensor:
        """Both operands symmetric over all 256 codes; in float64 after that."""
        a, a_scale = _int8(x)
        w, w_scale = _int8(effective_weight(layer))
        return _with_bias(a.double() @ w.double().T * a_scale.double() * w_scale.double().T, layer)


class TorchaoInt4(WeightOnlyPeer):
    """`PrototypeInt4WeightOnlyConfig`: in torchao 0.18 the one int4 configuration for float32 on a CPU."""

    name = "torchao-int4wo"
    summary = "torchao: PrototypeInt4WeightOnlyConfig, torch's int4 kernel for CPUs"
    package = "torchao"
    contract = f"weights in 16 equal steps from min to max per {INT4_GROUP} of a row, never 0; activations as they are"

    def build(self, layer: BitLinear) -> nn.Module:
        """Raises ValueError where torchao would silently quantise nothing."""
        from torchao.prototype.quantization.int4 import PrototypeInt4WeightOnlyConfig

        if layer.in_features % INT4_GROUP:
            raise ValueError(f"torchao leaves weights alone whose input features are no multiple of {INT4_GROUP}")
        config = PrototypeInt4WeightOnlyConfig(group_size=INT4_GROUP, set_inductor_config=False)
        return _quantised(effective_linear(layer), config)

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """Torch's kernel sums in float32."""
        return one_by_one(super().tolerance(scheme, dtype, in_features), in_features)

    def declared_weight(self, layer: BitLinear) -> Tensor:
        """`(code - 8) * scale + zero`, codes 0 to 15, `scale = (max - min) / 15`, `zero = min + 8 scale`."""
        w = effective_weight(layer).unflatten(-1, (-1, INT4_GROUP))
        low, high = w.amin(-1, keepdim=True), w.amax(-1, keepdim=True)
        scale = ((high - low) / 15).clamp_min(1e-6)
        zero = low + scale * 8
        codes = ((w - (zero - scale * 8)) / scale).round().clamp(0, 15)
        return ((codes.double() - 8) * scale.double() + zero.double()).flatten(1)


class TorchaoIntx(WeightOnlyPeer):
    """`IntxWeightOnlyConfig` with the mapping that clips nothing, which holds ternary weights exactly.

    Its default mapping does not: two bits become -2 to 1 in steps of max / 1.5, and a third of the weight is lost.
    """

    package = "torchao"

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.name = f"torchao-int{bits}x"
        self.summary = f"torchao: IntxWeightOnlyConfig, {bits} bits in bytes, unpacked at every call"
        self.contract = f"weights int{bits} per row, symmetric without clipping; activations as they are"

    def build(self, layer: BitLinear) -> nn.Module:
        """One scale a row, torchao's default."""
        from torchao.quantization import IntxWeightOnlyConfig, MappingType

        dtype = getattr(torch, f"int{self.bits}")
        mapping = MappingType.SYMMETRIC_NO_CLIPPING_ERR
        return _quantised(effective_linear(layer), IntxWeightOnlyConfig(weight_dtype=dtype, mapping_type=mapping))

    def declared_weight(self, layer: BitLinear) -> Tensor:
        """Codes `-2^(b-1)` to `2^(b-1) - 1`; the scale is the least that clips neither end."""
        w = effective_weight(layer)
        low, high = -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        scale = torch.maximum(w.amin(-1, keepdim=True) / low, w.amax(-1, keepdim=True) / high)
        scale = scale.clamp_min(torch.finfo(torch.float32).tiny)
        return (w * (1 / scale)).round().clamp(low, high).double() * scale.double()


class TorchaoBitNet(Peer):
    """`bitnet_training`: BitNet b1.58 as torchao trains it, which quantises the weight anew at every call."""

    name = "torchao-bitnet"
    summary = "torchao: bitnet_training, the forward of quantisation-aware training"
    package = "torchao"
    contract = "the contract, for one group of ternary weights and 8-bit activations"

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
        return _quantised(linear, bitnet_training())

    def tolerance(self, scheme: Scheme, dtype: torch.dtype, in_features: int) -> Tolerance:
        """The contract's, and codes that fall the other way at a tie, as it multiplies by `1 / (max / 127)`."""
        flips = flip_allowance(scheme, in_features)
        return super().tolerance(scheme, dtype, in_features).plus(flips, "codes at a tie of a scale rounded twice")


def _quantised(linear: nn.Linear, config: object) -> PeerOp:
    from torchao.quantization import quantize_

    quantize_(nn.Sequential(linear), config)  # it changes layers within a model
    return PeerOp(linear, plain_tensors(linear))


def _int8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Codes and scale of every row, as torchao's `choose_qparams_affine` and `quantize_affine` define them."""
    scale = (x.abs().amax(-1, keepdim=True) / 127.5).clamp_min(EPS)
    return (x * (1 / scale)).round().clamp(-128, 127), scale


def _with_bias(y: Tensor, layer: BitLinear) -> Tensor:
    return y if layer.bias is None else y + layer.bias.detach().double()
