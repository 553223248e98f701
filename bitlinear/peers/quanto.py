"""optimum-quanto's layers with quantised weights (https://github.com/huggingface/optimum-quanto)."""

import torch
from torch import Tensor, nn

from bitlinear.layer import BitLinear
from bitlinear.peers.interface import PeerOp, WeightOnlyPeer, effective_linear, effective_weight, plain_tensors
from bitlinear.peers.programs import EXTENSIONS_COMPILER, offer_own_programs, why_no_compiler, why_no_ninja
from bitlinear.peers.torch_kernels import INT4_ROWS, INT8_VECTOR, NO_INT4_ROWS
from bitlinear.scheme import Scheme

LARGEST_GROUP, SMALLEST_GROUP, STEP = 128, 32, 32


class Quanto(WeightOnlyPeer):
    """`quantize(model, weights=qint...)`, then `freeze(model)`. Dequantises the weight at every call.

    For 2 and 4 bits it compiles a helper in C++ at its first call, once an installation.
    """

    package = "optimum-quanto"
    works_in = torch.bfloat16

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.name = f"quanto-qint{bits}"
        self.summary = f"optimum-quanto: weights qint{bits}, dequantised at every call"
        steps = f"in {2**bits} equal steps from min to max per {LARGEST_GROUP} of a row"
        self.contract = f"weights {'int8 per row, symmetric' if bits == 8 else steps}; activations as they are"

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says what there is not to compile with."""
        reason = super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)
        if reason or self.bits == 8:
            return reason
        return why_no_compiler(self.name, EXTENSIONS_COMPILER) or why_no_ninja(self.name)

    def build(self, layer: BitLinear) -> nn.Module:
        """As `quantize` and `freeze` make it.

        Raises ValueError where the kernel under it would read beyond rows, or takes no such number of outputs.
        """
        if self.bits == 8 and layer.in_features % 4 == 0 and layer.in_features % INT8_VECTOR:
            raise ValueError(f"goes to torch's kernel, which reads beyond rows of no multiple of {INT8_VECTOR}")
        if self._by_torchs_kernel(layer) and layer.out_features % INT4_ROWS:
            raise ValueError(NO_INT4_ROWS.format(layer.out_features))
        from optimum import quanto

        offer_own_programs()  # ninja, which came with it
        model = nn.Sequential(effective_linear(layer, self.works_in))
        quanto.quantize(model, weights=getattr(quanto, f"qint{self.bits}"))
        quanto.freeze(model)
        return PeerOp(model[0], plain_tensors(model), works_in=self.works_in)

    def declared_weight(self, layer: BitLinear) -> Tensor:
        """`MaxOptimizer`'s and `AbsmaxOptimizer`'s formulas, rounded to bfloat16 where the library's tensors are.

        Two and four bits dequantise to bfloat16 in two roundings, the same for all equal weights of a group: they add
        up where the input has a mean. torch's int4 kernel keeps the middle of a range in place of its lower end.
        """
        w = effective_weight(layer).to(self.works_in)
        if self.bits == 8:
            scale = w.abs().amax(-1, keepdim=True) / 127
            return (w / scale).nan_to_num().round().clamp(-128, 127).double() * scale.double()
        w = torch.unflatten(w, -1, (-1, group_size(layer.in_features)))
        low, top = w.amin(-1, keepdim=True), (1 << self.bits) - 1
        scale = (w.amax(-1, keepdim=True) - low) / top
        codes = ((w - low) / scale).nan_to_num().round().clamp(0, top)
        if self._by_torchs_kernel(layer):
            middle = low + (top + 1) // 2 * scale
            return ((codes - (top + 1) // 2).double() * scale.double() + middle.double()).flatten(1)
        return (scale * codes + low).double().flatten(1)

    def _by_torchs_kernel(self, layer: BitLinear) -> bool:
        return self.bits == 4 and group_size(layer.in_features) == LARGEST_GROUP


def group_size(in_features: int) -> int:
    """Input features that share a scale: 128 or the next lower multiple of 32 that divides them, else the whole row."""
    sizes = range(LARGEST_GROUP, SMALLEST_GROUP - 1, -STEP) if in_features > LARGEST_GROUP else ()
    return next((size for size in sizes if in_features % size == 0), in_features)
