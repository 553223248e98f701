"""Codes and scales that were made elsewhere, such as those of a checkpoint, looked at before a layer takes them."""

from typing import NamedTuple

import torch
from torch import Tensor

from bitlinear.quantize import scale_shape
from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code


class GivenCodes(NamedTuple):
    """What a layer is made of, without float weights."""

    codes: Tensor
    """Whole numbers of the scheme's bits, `(N, G, Kg)`, an integer dtype; of 8 bits -128 as well."""
    scale: Tensor
    """`(1 or N, G)` as `scale_shape` says, float32 or float64; zero and negative ones are right as well."""
    scheme: Scheme
    bias: Tensor | None
    """`(N,)`, floating point."""

    @property
    def in_features(self) -> int:
        """`G Kg`."""
        return self.codes.shape[1] * self.codes.shape[2]

    @property
    def out_features(self) -> int:
        """`N`."""
        return self.codes.shape[0]


def fitting(codes: Tensor, scale: Tensor, scheme: Scheme | str, bias: Tensor | None) -> GivenCodes:
    """Codes `(N, G, Kg)` and what belongs to them, as a layer of `scheme` stores it; `scale` is `(1 or N, G)`.

    Raises ValueError, in a line, for whatever does not fit the scheme or the codes.
    """
    scheme = Scheme.of(scheme)
    if scheme.features_per_group and codes.dim() == 3 and codes.numel():
        scheme = scheme.for_features(codes.shape[1] * codes.shape[2])
    _require_codes(codes, scheme)
    shape = scale_shape(scheme, codes.shape[0])
    if not scale.is_floating_point():
        raise ValueError(f"scale is {scale.dtype}; give floating point")
    if tuple(scale.shape) not in {shape, (1, scheme.groups)}:
        by_row = "; for a scale to each row take w2" if len(scale) == len(codes) and shape[0] == 1 else ""
        raise ValueError(f"scale has shape {tuple(scale.shape)}; {scheme} with these codes wants {shape}{by_row}")
    if bias is not None and (bias.shape != codes.shape[:1] or not bias.is_floating_point()):
        raise ValueError(f"bias is {bias.dtype} {tuple(bias.shape)}; give floating point ({codes.shape[0]},)")
    wide = scale if scale.dtype == torch.float64 else scale.float()
    return GivenCodes(codes, wide.expand(shape), scheme, bias)


def has_lowest_byte(given: GivenCodes) -> bool:
    """Whether there is a -128 among the codes, which no scheme makes."""
    return given.scheme.weight_bits == 8 and not given.codes.is_meta and int(given.codes.min()) < -127


def _require_codes(codes: Tensor, scheme: Scheme) -> None:
    if scheme.weight_bits == FULL_PRECISION:
        raise ValueError(f"weight_bits={FULL_PRECISION} has no codes; keep the floats in an nn.Linear or a BitLinear")
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise ValueError(f"codes are {codes.dtype}; give whole numbers in an integer dtype, such as torch.int8")
    if codes.dim() != 3 or codes.shape[1] != scheme.groups or not codes.numel():
        raise ValueError(
            f"codes have shape {tuple(codes.shape)}; {scheme} wants (outputs, {scheme.groups}, inputs of a group)"
        )
    if codes.is_meta:
        return
    least, most = (int(end) for end in torch.aminmax(codes))
    top = largest_code(scheme.weight_bits)
    lowest = -128 if scheme.weight_bits == 8 else -top  # other libraries use all of int8
    if least < lowest or most > top:
        raise ValueError(f"codes go from {least} to {most}; those of {scheme} from {lowest} to {top}")
    if scheme.weight_bits == 1 and not bool(codes.all()):
        raise ValueError(f"codes hold 0, and those of {scheme} are -1 and 1; take w1.58 or w2")
