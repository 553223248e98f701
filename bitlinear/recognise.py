"""Weights that were quantised before: whole numbers times a scale, as a checkpoint that was dequantised holds them."""

import torch
from torch import Tensor

from bitlinear.quantize import EPS, weight_codes, widen
from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code

_SAMPLE = 1024
_EXACT = 1e-6
"""Relative error up to which the contract's own codes and scale give the weight back."""
_LOOSEST = 0.07
"""In steps: as far as rounding to the dtype of the weight may have moved a value, and a whole number still be told.

Enough for the largest code of 4 bits in bfloat16, and of 7 bits in float16.
"""


@torch.no_grad()
def quantised_scale(weight: Tensor, scheme: Scheme) -> Tensor | None:
    """The scale `(1 or N, G)` by which `weight` `(N, K)` is made of whole numbers of the scheme's bits, or None.

    None also where quantising by the contract gives the weight back anyway, at one bit where a group is all zeros, and
    for a weight on the meta device. A scale belongs to all rows at one bit and ternary, to one row from two bits on.
    """
    if scheme.weight_bits == FULL_PRECISION or weight.is_meta or not _has_few_values(weight, scheme):
        return None
    wide = widen(weight)
    grouped = torch.unflatten(wide, -1, (scheme.groups, scheme.group_size(weight.shape[-1])))
    codes, scale = weight_codes(wide, scheme)
    rounding = _rounding(weight)
    if _gives_back(codes, scale, grouped, _EXACT + rounding) or not bool(wide.isfinite().all()):
        return None
    by_row = scheme.weight_bits >= 2
    if by_row and _scales(grouped[:1], scheme, rounding) is None:  # a glance, before up to 127 passes over all rows
        return None
    return _scales(grouped, scheme, rounding)


def _scales(grouped: Tensor, scheme: Scheme, rounding: float) -> Tensor | None:
    """The scale `(1 or N, G)` by which all of `(N, G, Kg)` are whole numbers of the scheme's bits, or None."""
    by_row = scheme.weight_bits >= 2
    peak = grouped.abs().amax(-1, keepdim=True) if by_row else grouped.abs().amax((0, 2), keepdim=True)
    if scheme.weight_bits == 1 and bool((peak == 0).any()):  # its code 0 is none of them
        return None
    found = torch.where(peak == 0, EPS, 0.0).to(grouped.dtype)  # zeros alone have the codes 0 at any scale
    for largest in range(largest_code(scheme.weight_bits), 0, -1):
        if largest * rounding > _LOOSEST:
            continue
        step = peak / largest
        whole = (grouped / step.clamp_min(torch.finfo(grouped.dtype).tiny)).abs()
        fits = (whole - whole.round()).abs() <= largest * rounding
        if scheme.weight_bits == 1:
            fits &= whole.round() == 1
        exact = fits.all(-1, keepdim=True) if by_row else fits.all(0, keepdim=True).all(-1, keepdim=True)
        found = torch.where(exact & (found == 0), step, found)
        if bool((found > 0).all()):
            return found.squeeze(-1)
    return None


def _has_few_values(weight: Tensor, scheme: Scheme) -> bool:
    """Whether the first row has no more values than there are codes: real numbers are told by a glance."""
    first = weight[0, : min(_SAMPLE, weight.shape[1] // scheme.groups)]
    return len(torch.unique(first)) <= 2 * largest_code(scheme.weight_bits) + 1


def _rounding(weight: Tensor) -> float:
    """By how much, relative to itself, a value may be rounded; a float32 weight may be halves that were widened."""
    narrow = next((d for d in (torch.bfloat16, torch.float16) if bool((weight.to(d) == weight).all())), weight.dtype)
    return torch.finfo(narrow).eps + 4 * torch.finfo(widen(weight).dtype).eps  # and of the divisions here


def _gives_back(codes: Tensor, scale: Tensor, grouped: Tensor, tolerance: float) -> bool:
    return bool(((codes * scale - grouped).abs() <= tolerance * grouped.abs()).all())
