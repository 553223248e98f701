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
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bitlinear.layer import BitLinear
from bitlinear.models.names import Chosen, predicate
from bitlinear.quantize import normalise, widen
from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code

LOG = logging.getLogger("bitlinear")

_SHARES = tuple(percent / 100 for percent in range(100, 29, -2))
"""Of the contract's own scale: where the search for three bits and more begins. Smaller ones clip large weights."""
_REFINEMENTS = 3
_LEAST_SHARE = 0.01
_BLOCK = 1 << 22
"""Weights that are worked on at a time."""


@dataclass(frozen=True)
class Fit:
    """The weight of one layer as its codes and scales give it back: signal to noise in dB, all inputs counted alike."""

    contract_sqnr: float
    """By the scale of the contract."""
    fitted_sqnr: float
    """By the fitted scale."""


def fit_scales(
    model: nn.Module, skip: Chosen = (), *, only: Chosen | None = None, run: Callable[[], object] | None = None
) -> dict[str, Fit]:
    """Give every BitLinear in `model` the scale of least squared error; returns what it brought, by qualified names.

    `run` calls the model on inputs that are typical of its work. The error is then that of the outputs, as far as the
    inputs of a layer are uncorrelated: each weight counts by the mean square of its input. Without it all count alike.

    The weights stay as they are. The scale is kept as `weight_scale`, in the state too, and `convert` takes codes and
    scale from the layer, whatever the implementation: `replace_linear`, `fit_scales`, `convert`. It is for a model that
    is not trained any further, because it does not follow the weights; `use_weight_scale(None)` takes it back.

    Layers without codes (16 bits), with weights on the meta device, and those whose scale is known already
    (`BitLinear.from_linear`) are left alone, and so are layers that `run` does not reach. `skip` and `only` are those
    of `replace_linear`. Raises ValueError when a name in one of them matches no BitLinear, and when there is none.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, BitLinear)}
    if not layers:
        raise ValueError("the model has no BitLinear whose scale could be fitted; call replace_linear first")
    names = list(layers)
    is_skipped = predicate("skip", skip, names)
    is_asked = predicate("only", only, names) if only is not None else lambda _name, _layer: True
    chosen = {
        name: layer
        for name, layer in layers.items()
        if layer.scheme.weight_bits != FULL_PRECISION and not layer.weight.is_meta and layer.weight_scale is None
        if is_asked(name, layer) and not is_skipped(name, layer)
    }
    powers = dict.fromkeys(chosen) if run is None else input_powers(chosen, run)
    fits = {}
    for name, power in powers.items():
        layer = chosen[name]
        before = _sqnr(layer)
        layer.use_weight_scale(fitted_scale(layer.weight, layer.scheme, power))
        fits[name] = Fit(before, _sqnr(layer))
    LOG.info("%d of %d BitLinear have fitted scales now", len(fits), len(layers))
    return fits


@torch.no_grad()
def input_powers(layers: Mapping[str, BitLinear], run: Callable[[], object]) -> dict[str, Tensor | None]:
    """The mean square `(K,)` of what the weights multiply while `run` runs, relative to the mean of all inputs.

    One per cent of that mean is added, so that inputs that were silent count a little. Layers that were not called are
    left out.
    """
    sums: dict[str, Tensor] = {}

    def add(name: str, layer: BitLinear, x: Tensor) -> None:
        tokens = normalise(widen(x.detach()), layer.scheme).reshape(-1, layer.in_features)
        sums[name] = sums.get(name, 0) + tokens.square().sum(0)

    def observer(name: str) -> Callable[..., None]:
        return lambda layer, args, kwargs: add(name, layer, *args, **kwargs)

    hooks = [layer.register_forward_pre_hook(observer(name), with_kwargs=True) for name, layer in layers.items()]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return {name: total / total.mean() + _LEAST_SHARE for name, total in sums.items() if bool(total.mean() > 0)}


@torch.no_grad()
def fitted_scale(weight: Tensor, scheme: Scheme | str, importance: Tensor | None = None) -> Tensor:
    """The scale `(1 or N, G)` by which codes of `scheme` come closest to `weight` `(N, K)` in squared error.

    `importance` `(K,)`, not negative, says how much the errors of an input feature count; None: all alike.

    Exact at 1, 1.58 and 2 bits. From three bits on it is the best of a search that begins at 36 shares of the
    contract's scale, and never worse than that. Float32, float64 for a float64 weight; as good as 0 for a group of
    zeros and one that is not finite.

    Raises ValueError for 16 weight bits, for another shape of `importance`, and when the groups do not divide `K`.
    """
    scheme = Scheme.of(scheme).for_features(weight.shape[1])
    if scheme.weight_bits == FULL_PRECISION:
        raise ValueError(f"weight_bits={FULL_PRECISION} has no scale to fit")
    if importance is not None and importance.shape != weight.shape[1:]:
        raise ValueError(f"importance has shape {tuple(importance.shape)}; give ({weight.shape[1]},)")
    wide = widen(weight.detach().cpu() if weight.device.type == "mps" else weight.detach())  # mps has no float64
    sizes = torch.unflatten(wide, 1, (scheme.groups, -1)).abs()
    counts = torch.ones_like(sizes[0]) if importance is None else importance.to(sizes).reshape(sizes.shape[1:])
    if scheme.weight_bits < 2:
        search = _mean if scheme.weight_bits == 1 else _ternary_scale
        by_group = zip(sizes.unbind(1), counts, strict=True)
        found = [search(group.flatten(), count.expand_as(group).flatten()) for group, count in by_group]
        return _usable(torch.stack(found)).unsqueeze(0)
    top = largest_code(scheme.weight_bits)
    blocks = torch.split(sizes, max(1, _BLOCK // weight.shape[1]))
    return torch.cat(
        [_usable(_ternary_scale(one, counts) if top == 1 else _searched_scale(one, counts, top)) for one in blocks]
    )


def _mean(sizes: Tensor, counts: Tensor) -> Tensor:
    return (sizes * counts).sum(-1) / counts.sum(-1)


def _ternary_scale(sizes: Tensor, counts: Tensor) -> Tensor:
    """Of magnitudes along the last dimension, which count `c` times. The larger ones are coded as 1, the others as 0.

    The best scale for given codes is the mean of the larger ones. It leaves the error
    `sum c w^2 - (sum c w)^2 / (sum c)`, the last two sums over the larger ones, so the best codes are those for which
    the last term is largest.
    """
    ordered, places = sizes.sort(-1, descending=True)
    counts = counts.expand_as(sizes).gather(-1, places).double()
    sums, numbers = (ordered * counts).cumsum(-1), counts.cumsum(-1)
    best = (sums.square() / numbers).nan_to_num(nan=0.0).argmax(-1, keepdim=True)
    return (sums.gather(-1, best) / numbers.gather(-1, best)).squeeze(-1).to(sizes.dtype)


def _searched_scale(sizes: Tensor, counts: Tensor, top: int) -> Tensor:
    """Of magnitudes along the last dimension, which count `counts` times, for codes up to `top`."""
    of_contract = sizes.amax(-1, keepdim=True) / top
    best, least = of_contract, torch.full_like(of_contract, math.inf)

    def try_out(scale: Tensor) -> tuple[Tensor, Tensor]:
        codes = (sizes / scale).round_().clamp_(max=top)
        error = codes.mul_(scale).sub_(sizes).square_().mul_(counts).sum(-1, keepdim=True)
        is_better = error < least
        return torch.where(is_better, scale, best), torch.where(is_better, error, least)

    for share in _SHARES:
        best, least = try_out(of_contract * share)
    for _ in range(_REFINEMENTS):  # for given codes the best scale is a quotient
        codes = (sizes / best).round_().clamp_(max=top)
        counted = codes * counts
        best, least = try_out((sizes * counted).sum(-1, keepdim=True) / (codes * counted).sum(-1, keepdim=True))
    return best.squeeze(-1)


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
