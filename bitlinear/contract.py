"""The oracle: what the contract says a layer must return, computed as plainly as possible. Judges implementations.

The normalisation is computed in float64 and rounded once: in float32 its sums would be wrong by more than a code where
the mean of a token is large beside its spread, and overflow from magnitudes of 1e18 on. Codes and scales are those of
`bitlinear.quantize`, in float32 (float64 for float64 tensors); everything after them is float64, in which the inner
sums are exact. All functions run on the device of the layer, which must know float64.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from bitlinear.layer import BitLinear
from bitlinear.quantize import EPS, activation_codes, normalise, widen


@torch.no_grad()
def contract_forward(layer: BitLinear, x: Tensor) -> Tensor:
    """`y[m, n] = sum_g w_scale[n, g] / a_scale[m, g] * acc[m, g, n] + bias[n]`: `(..., K)` to float64 `(..., N)`."""
    a, a_scale, w, w_scale = _operands(layer, x)
    y = x.new_zeros(*x.shape[:-1], layer.out_features, dtype=torch.float64)
    for g in range(layer.scheme.groups):
        y += a[..., g, :] @ w[:, g].T * w_scale[:, g, 0] / a_scale[..., g, :]
    return y if layer.bias is None else y + layer.bias


@torch.no_grad()
def accumulators(layer: BitLinear, x: Tensor) -> Tensor:
    """`acc[m, g, n] = sum_{k in g} a_code[m, k] * w_code[n, k]`: `(..., K)` to int64 `(..., G, N)`.

    For quantised, finite operands only: codes are whole numbers then, and their sums are exact in float64.
    """
    a, _, w, _ = _operands(layer, x)
    return torch.stack([a[..., g, :] @ w[:, g].T for g in range(layer.scheme.groups)], dim=-2).long()


@torch.no_grad()
def twin_forward(layer: BitLinear, x: Tensor) -> Tensor:
    """The full-precision twin `norm(x) @ W.T + bias`, in float64 throughout: `(..., K)` to `(..., N)`."""
    a = x.double()
    if layer.scheme.norm:
        a = torch.unflatten(a, -1, (layer.scheme.groups, -1))
        a = ((a - a.mean(-1, keepdim=True)) / torch.sqrt(a.var(-1, keepdim=True, correction=0) + EPS)).flatten(-2)
    return F.linear(a, layer.weight.double(), None if layer.bias is None else layer.bias.double())


def _operands(layer: BitLinear, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Activation codes `(..., G, Kg)` and scale, weight codes `(N, G, Kg)` and scale, as float64."""
    normalised = normalise(x.double(), layer.scheme).to(widen(x).dtype)
    a, a_scale = activation_codes(normalised, layer.scheme)
    w, w_scale = layer.quantised_weight()
    return a.double(), a_scale.double(), w.double(), w_scale.double()
