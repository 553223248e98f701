"""Scales of least squared error, for weights that are quantised after training.

The contract's scales are those that models are trained with: the mean magnitude, or the largest. A model that was
trained without quantisation loses less with the scale that makes `codes * scale` closest to its weight.

For a given scale the closest code is the nearest one, so the threshold between 0 and 1 is half the scale, and there is
nothing to search but the scale: one a group of all rows at 1 and 1.58 bits, one a row and group from 2 bits on, as the
contract has it. For Gaussian weights at 1.58 bits that is 1.22 standard deviations, 1.53 times the mean magnitude, and
the threshold 0.77 times it (J. Max, Quantizing for Minimum Distortion, 1960): 7.2 dB where the mean magnitude has 5.8.
At 2 bits the codes are -1, 0 and 1, so `w2` is a ternary weight with a scale to each row and group.
"""

import logging
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bitlinear.layer import BitLinear
from bitlinear.models.names import Chosen, predicate
from bitlinear.quantize import widen
from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code

LOG = logging.getLogger("bitlinear")

_SHARES = tuple(percent / 100 for percent in range(100, 29, -2))
"""Of the contract's own scale: where the search for three bits and more begins. Smaller ones clip large weights."""
_REFINEMENTS = 3
_BLOCK = 1 << 22
"""Weights that are worked on at a time."""


@dataclass(frozen=True)
class Fit:
    """The weight of one layer as its codes and scales give it back: signal to noise in dB."""

    contract_sqnr: float
    """By the scale of the contract."""
    fitted_sqnr: float
    """By the fitted scale."""


def fit_scales(model: nn.Module, skip: Chosen = (), *, only: Chosen | None = None) -> dict[str, Fit]:
    """Give every BitLinear in `model` the scale of least squared error; returns what it brought, by qualified names.

    The weights stay as they are. The scale is kept as `weight_scale`, in the state too, and `convert` takes codes and
    scale from the layer, whatever the implementation: `replace_linear`, `fit_scales`, `convert`. It is for a model that
    is not trained any further, because it does not follow the weights; `use_weight_scale(None)` takes it back.

    Layers without codes (16 bits), with weights on the meta device, and those whose scale is known already
    (`BitLinear.from_linear`) are left alone. `skip` and `only` are those of `replace_linear`. Raises ValueError when a
    name in one of them matches no BitLinear, and when there is no BitLinear.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, BitLinear)}
    if not layers:
        raise ValueError("the model has no BitLinear whose scale could be fitted; call replace_linear first")
    names = list(layers)
    is_skipped = predicate("skip", skip, names)
    is_asked = predicate("only", only, names) if only is not None else lambda _name, _layer: True
    fits = {}
    for name, layer in layers.items():
        has_codes = layer.scheme.weight_bits != FULL_PRECISION and not layer.weight.is_meta
        if has_codes and layer.weight_scale is None and is_asked(name, layer) and not is_skipped(name, layer):
            before = _sqnr(layer)
            layer.use_weight_scale(fitted_scale(layer.weight, layer.scheme))
            fits[name] = Fit(before, _sqnr(layer))
    LOG.info("%d of %d BitLinear have fitted scales now", len(fits), len(layers))
    return fits


@torch.no_grad()
def fitted_scale(weight: Tensor, scheme: Scheme | str) -> Tensor:
    """The scale `(1 or N, G)` by which codes of `scheme` come closest to `weight` `(N, K)` in squared error.

    Exact at 1, 1.58 and 2 bits. From three bits on it is the best of a search that begins at 36 shares of the
    contract's scale, and never worse than that. Float32, float64 for a float64 weight; as good as 0 for a group of
    zeros and one that is not finite.

    Raises ValueError for 16 weight bits, and when the groups do not divide `K`.
    """
    scheme = Scheme.of(scheme).for_features(weight.shape[1])
    if scheme.weight_bits == FULL_PRECISION:
        raise ValueError(f"weight_bits={FULL_PRECISION} has no scale to fit")
    sizes = torch.unflatten(widen(weight.detach()), 1, (scheme.groups, -1)).abs()
    if scheme.weight_bits < 2:
        search = _mean if scheme.weight_bits == 1 else _ternary_scale
        return torch.stack([_usable(search(sizes[:, g].flatten())) for g in range(scheme.groups)]).unsqueeze(0)
    top = largest_code(scheme.weight_bits)
    blocks = torch.split(sizes, max(1, _BLOCK // weight.shape[1]))
    return torch.cat([_usable(_ternary_scale(one) if top == 1 else _searched_scale(one, top)) for one in blocks])


def _mean(sizes: Tensor) -> Tensor:
    return sizes.mean(-1)


def _ternary_scale(sizes: Tensor) -> Tensor:
    """Of magnitudes along the last dimension. With the `k` largest coded as 1, the best scale is their mean.

    It leaves the error `sum w^2 - (sum of the k largest)^2 / k`, so the best `k` is where the last term is largest.
    """
    sums = sizes.sort(-1, descending=True).values.double().cumsum(-1)
    counts = torch.arange(1, sizes.shape[-1] + 1, device=sizes.device, dtype=torch.float64)
    best = (sums.square() / counts).argmax(-1, keepdim=True)
    return (sums.gather(-1, best) / counts[best]).squeeze(-1).to(sizes.dtype)


def _searched_scale(sizes: Tensor, top: int) -> Tensor:
    """Of magnitudes along the last dimension, for codes up to `top`."""
    of_contract = sizes.amax(-1, keepdim=True) / top
    best, least = of_contract, torch.full_like(of_contract, math.inf)
    for share in _SHARES:
        best, least = _better(sizes, top, of_contract * share, best, least)
    for _ in range(_REFINEMENTS):  # for given codes the best scale is a quotient
        codes = (sizes / best).round_().clamp_(max=top)
        quotient = (sizes * codes).sum(-1, keepdim=True) / codes.square().sum(-1, keepdim=True)
        best, least = _better(sizes, top, quotient, best, least)
    return best.squeeze(-1)


def _better(sizes: Tensor, top: int, scale: Tensor, best: Tensor, least: Tensor) -> tuple[Tensor, Tensor]:
    """Scales, and their squared errors: the new ones where they are better."""
    error = ((sizes / scale).round_().clamp_(max=top) * scale - sizes).square_().sum(-1, keepdim=True)
    is_better = error < least
    return torch.where(is_better, scale, best), torch.where(is_better, error, least)


def _usable(scale: Tensor) -> Tensor:
    """A layer takes scales above 0, the least of which is as good as 0; of a weight with NaN it makes NaN itself."""
    return torch.where(scale.isfinite() & (scale > 0), scale, torch.finfo(scale.dtype).tiny)


@torch.no_grad()
def _sqnr(layer: BitLinear) -> float:
    weight = widen(layer.weight.detach())
    codes, scale = layer.quantised_weight()
    signal, noise = float(weight.square().sum()), float(((codes * scale).flatten(1) - weight).square().sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf
