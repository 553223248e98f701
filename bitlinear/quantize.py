"""The quantisers of the contract: real numbers to integer codes and scales.

Symbols: `Qb = 2^(b-1) - 1`, `eps = 1e-5`, `G` groups of `Kg = K / G` input features. Codes are whole numbers held in a
floating-point tensor. Except for `absmax_quantize` the functions compute in the dtype they are given, and the contract
asks for float32 or better: apply `widen` first.

NaN or infinity anywhere in a slice makes the scale of that slice NaN, and with it whatever is dequantised from it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code

EPS = 1e-5
INPUT_DTYPES = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
"""Of the input of a layer. Float8 is none: torch has no arithmetic on it, and the output would be rounded to 3 bits."""


def absmax_quantize(x: Tensor, bits: int = 8, dim: int | tuple[int, ...] | None = None) -> tuple[Tensor, Tensor]:
    """Symmetric quantisation by the largest magnitude: `(quant, dequant)`, both of the shape of `x`.

    `scale = Qb / max(max|x|, eps)`, `quant = round_half_even(x * scale)`, `dequant = quant / scale`, computed in
    float32 (float64 for float64 input). For finite `x`, `|x - dequant| <= max|x| / (2 Qb)` up to float rounding.

    `dim=None` takes one scale for the whole tensor, otherwise one for each slice along `dim`. `quant` is int8 for
    2 to 8 bits and int16 for 9 to 16; `dequant` has the dtype of `x`. A slice that holds NaN or infinity dequantises
    to NaN, and its codes are 0.

    Raises ValueError for other `bits`, TypeError when `x` is not a floating-point tensor.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 2 <= bits <= 16:
        raise ValueError(f"bits={bits!r}; choose a whole number from 2 to 16 (1 bit would leave the code 0 alone)")
    require_floating(x)
    dtype = torch.int8 if bits <= 8 else torch.int16
    if x.numel() == 0:
        return torch.zeros_like(x, dtype=dtype), x.clone()
    codes, scale = absmax_codes(widen(x), bits, dim)
    return codes.nan_to_num(nan=0.0).to(dtype), (codes / scale).to(x.dtype)


def absmax_codes(x: Tensor, bits: int, dim: int | tuple[int, ...] | None = -1) -> tuple[Tensor, Tensor]:
    """Codes of the shape of `x`, and their `absmax_scale`; `x` is about `codes / scale`."""
    scale = absmax_scale(x, largest_code(bits), dim)
    return (x * scale).round_(), scale


def absmax_scale(x: Tensor, top: float, dim: int | tuple[int, ...] | None = -1) -> Tensor:
    """`top / max(max|x|, eps)` of every slice along `dim`, whose dimensions are kept at size 1."""
    peak = x.abs().amax(dim=() if dim is None else dim, keepdim=True)
    return top / _nan_if_infinite(peak).clamp_min(EPS)


def normalise(x: Tensor, scheme: Scheme) -> Tensor:
    """The input `(..., K)` in groups `(..., G, Kg)`, normalised if the scheme says so.

    `(x - mean) / sqrt(var + eps)` per token and group with the biased variance: `torch.nn.functional.group_norm`
    over the feature axis, written as a layer norm of each group, which also takes a single token and no token at all.
    """
    grouped = torch.unflatten(x, -1, (scheme.groups, scheme.group_size(x.shape[-1])))
    return F.layer_norm(grouped, grouped.shape[-1:], eps=EPS) if scheme.norm else grouped


def activation_codes(grouped: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Codes `(..., G, Kg)` and scale `(..., G, 1)` of `normalise(x)`, which is about `codes / scale`."""
    if scheme.activation_bits == FULL_PRECISION:
        return grouped, torch.ones_like(grouped[..., :1])
    return absmax_codes(grouped, scheme.activation_bits, dim=-1)


def weight_codes(weight: Tensor, scheme: Scheme, scale: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Codes `(N, G, Kg)` and scale `(1 or N, G, 1)` of a weight `(N, K)`, which is about `codes * scale`.

    | weight_bits | codes                             | scale                                  |
    |-------------|-----------------------------------|----------------------------------------|
    | 1           | `+1 if W > mean(Wg) else -1`      | `mean|Wg|` (arXiv 2310.11453, eq. 1-3) |
    | 1.58        | `clamp(round(W / scale), -1, 1)`  | `max(mean|Wg|, eps)` (arXiv 2402.17764)|
    | 2..8        | `round(W / scale)`                | `max(max|W[n, g]|, eps) / Qb`          |
    | 16          | `W`                               | 1                                      |

    Means run over all rows and the columns of the group.

    A weight that was quantised before brings its `scale` along, `(1 or N, G)`. Its codes are then
    `clamp(round(W / scale), -Qb, Qb)`, at one bit the sign of `W`, and its scale is the given one.
    """
    grouped = torch.unflatten(weight, -1, (scheme.groups, scheme.group_size(weight.shape[-1])))
    if scale is not None:
        return _codes_at(grouped, scale.to(weight.dtype).unsqueeze(-1), scheme)
    match scheme.weight_bits:
        case 16:
            return grouped, torch.ones_like(grouped[:1, :, :1])
        case 1:
            sign = torch.where(grouped > _group_mean(grouped), 1.0, -1.0).to(grouped.dtype)
            return sign, _nan_if_infinite(_group_mean(grouped.abs()))
        case 1.58:
            mean = _nan_if_infinite(_group_mean(grouped.abs())).clamp_min(EPS)
            return (grouped / mean).round_().clamp_(-1, 1), mean
        case bits:
            peak = _nan_if_infinite(grouped.abs().amax(-1, keepdim=True))
            step = peak.clamp_min(EPS) / largest_code(bits)
            return (grouped / step).round_(), step


def scale_shape(scheme: Scheme, out_features: int) -> tuple[int, int]:
    """Of the scale of a weight: `(1 or N, G)`, a row for each output from two bits on."""
    return (1 if scheme.weight_bits < 2 else out_features), scheme.groups


def widen(x: Tensor) -> Tensor:
    """`x` in the precision of codes and scales: float64 stays, every other dtype becomes float32."""
    return x if x.dtype == torch.float64 else x.float()


def require_floating(x: Tensor) -> None:
    """Raises TypeError unless `x` has one of INPUT_DTYPES."""
    if not x.is_floating_point():
        raise TypeError(f"input has dtype {x.dtype}; give a floating-point tensor, x.float() for example")
    if x.dtype not in INPUT_DTYPES:
        raise TypeError(f"input has dtype {x.dtype}; give float32, bfloat16, float16 or float64: x.float() for example")


def require_sizes(in_features: int, out_features: int) -> None:
    """Raises ValueError unless both are whole numbers of 1 or more."""
    sizes = (in_features, out_features)
    if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
        raise ValueError(f"{in_features=}, {out_features=}; both must be 1 or more, and whole numbers")


def require_fit(x: Tensor, in_features: int, device: torch.device) -> None:
    """Raises what a layer raises for input that it cannot take.

    TypeError unless `x` has one of INPUT_DTYPES, ValueError for a last dimension that is not `in_features`, and for
    another device.
    """
    require_floating(x)
    if x.dim() == 0 or x.shape[-1] != in_features:
        raise ValueError(f"input has shape {tuple(x.shape)}; its last dimension must be in_features={in_features}")
    if x.device != device:
        raise ValueError(f"input is on {x.device}, the layer on {device}; move one with .to(device)")


def _group_mean(grouped: Tensor) -> Tensor:
    return grouped.mean(dim=(0, 2), keepdim=True)


def _codes_at(grouped: Tensor, scale: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Codes of a weight whose scale `(1 or N, G, 1)` is given; NaN and infinity make the scale NaN, as everywhere."""
    finite = _group_mean(grouped * 0) if scheme.weight_bits < 2 else (grouped * 0).sum(-1, keepdim=True)
    if scheme.weight_bits == 1:
        codes = torch.where(grouped > 0, 1.0, -1.0).to(grouped.dtype)
    else:
        top = largest_code(scheme.weight_bits)
        codes = (grouped / scale).round_().clamp_(-top, top)
    return codes, scale + finite


def _nan_if_infinite(scale: Tensor) -> Tensor:
    return scale + 0 * scale  # 0 * inf is NaN: an infinite scale must not pass for a large one
