"""What theory says a scheme costs on a weight that is there: the SQNR of the layer's output against its twin.

Less is assumed than in `bitlinear.theory`, which draws the weight too. Here the weight is known, and so is its error
`W' - W`: it is computed by the contract's own quantiser, whatever the weight looks like. What is left to theory is the
input, taken to be independent values of one named distribution. A quantised input is `a' = alpha a + d` with
`alpha = E[a' a] / E[a^2]` and a remainder `d` that is uncorrelated with `a` (Bussgang's decomposition). So

    E|y' - y|^2 = E[a^2] |alpha W' - W|^2 + (E[a'^2] - alpha^2 E[a^2]) |W'|^2,    E|y|^2 = E[a^2] |W|^2

summed over groups, in which the first norm and the last one leave out what a normalised input cannot see: the mean of a
row. The prediction therefore tests the quantiser of the activations and the product, and takes that of the weight on
trust. `predict_from_moments` takes nothing of the kind: it needs a few moments, and is good to about one decibel.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bitlinear.moments import Moments
from bitlinear.quantize import EPS, weight_codes, widen
from bitlinear.scheme import FULL_PRECISION, Scheme
from bitlinear.theory import DISTRIBUTIONS, FEWEST, activation_moments

INPUTS = tuple(name for name in DISTRIBUTIONS if name != "outliers")
"""Distributions of the input. An outlier channel is left out: it makes one column of the weight the whole output."""
OFF_CENTRE = 0.25
"""Means of rows over the weights, both as root mean squares, from which on moments do not tell the coarse codes."""
HEAVY = 20.0
"""The kurtosis within rows from which on moments tell little; 3 is Gaussian, and Student's t of 3 degrees about 40."""


@dataclass(frozen=True)
class Prediction:
    """An SQNR in dB, and why it may not hold."""

    sqnr: float
    """`math.inf` when nothing is lost, NaN where nothing can be predicted."""
    doubts: tuple[str, ...] = ()
    """A sentence each; empty means that it holds, to 0.3 dB for hundreds of tokens if the weight was given."""


def predict(
    weight: Tensor, scheme: Scheme | str, *, inputs: str = "gaussian", weight_scale: Tensor | None = None
) -> Prediction:
    """The output SQNR to expect of `scheme` on this `weight` `(N, K)`, of any floating dtype.

    `inputs` names the distribution of the input; `weight_scale` `(1 or N, G)` is that of a weight that was quantised
    before (`BitLinear.weight_scale`). Raises ValueError for another shape or distribution, or groups that do not fit.
    """
    scheme = Scheme.of(scheme)
    moments = Moments.of(weight.detach().double().cpu().numpy(), scheme.groups)
    w = widen(weight.detach())
    codes, scale = weight_codes(w, scheme, weight_scale)
    kept, given = (codes * scale).double(), torch.unflatten(w, 1, (scheme.groups, -1)).double()
    signal, noise = 0.0, 0.0
    a2, a1, power = _input_moments(scheme, inputs, moments.size)
    for g in range(scheme.groups):
        before, after = given[:, g], kept[:, g]
        signal += power * _seen(before, scheme)
        noise += power * _seen(a1 / power * after - before, scheme)
        noise += (a2 - a1 / power * a1) * float(after.square().sum())
    return Prediction(_decibel(signal, noise), _doubts(moments, scheme))


def predict_from_moments(moments: Moments, scheme: Scheme | str, *, inputs: str = "gaussian") -> Prediction:
    """The same where only moments of the weight are known; the error of the weight is that of `Moments.products`.

    Good to 1.3 dB for weights of one peak or two, and exact for one bit of mean zero. Raises as `predict`.
    """
    scheme = Scheme.of(scheme)
    of = moments.products(scheme)
    a2, a1, power = _input_moments(scheme, inputs, moments.size)
    unseen = float(scheme.norm)
    qq, qw, ww = of.qq - unseen * of.mean_qq, of.qw - unseen * of.mean_qw, of.ww - unseen * of.mean_ww
    alpha = a1 / power
    noise = power * (alpha**2 * qq - 2 * alpha * qw + ww) + (a2 - alpha * a1) * of.qq
    doubts = _doubts(moments, scheme)
    if (kurtosis := moments.kurtosis_within_rows) > HEAVY:
        doubts = (*doubts, f"a kurtosis of {kurtosis:.0f}: a few weights set the step of all, and moments tell little")
    rms = math.sqrt(float(moments.second.mean()))
    if scheme.weight_bits < 2 and math.sqrt(float(np.square(moments.mean).mean())) > OFF_CENTRE * rms:
        doubts = (*doubts, "means of rows are far from zero, and moments do not tell on which side each weight lies")
    return Prediction(_decibel(power * float(ww.sum()), float(noise.sum())), doubts)


def _input_moments(scheme: Scheme, inputs: str, size: int) -> tuple[float, float, float]:
    if inputs not in INPUTS:
        raise ValueError(f"unknown distribution of inputs {inputs!r}; choose from: {', '.join(INPUTS)}")
    if scheme.norm and size == 1:
        return math.nan, math.nan, math.nan  # normalised, a single feature is zero
    return activation_moments(scheme.activation_bits, inputs, size, scheme.norm)


def _seen(rows: Tensor, scheme: Scheme) -> float:
    """The power of `rows @ a`, `rows` `(N, Kg)`, for independent inputs of unit power; normalised ones sum to zero."""
    power = rows.square().sum()
    if scheme.norm:
        size = rows.shape[1]
        power = (power - size * rows.mean(1).square().sum()) * size / (size - 1)
    return float(power)


def _doubts(moments: Moments, scheme: Scheme) -> tuple[str, ...]:
    found = []
    outputs, slices = len(moments.peak), moments.peak
    if moments.size < FEWEST:
        found.append(f"{moments.size} features a group: theory holds from {FEWEST} on")
    if outputs < FEWEST:
        found.append(f"{outputs} outputs: so few may lie anywhere, theory holds from {FEWEST} on")
    if scheme.weight_bits < 2:
        slices = moments.absolute_mean.mean(0)
    below = int(np.sum(slices < EPS))
    if below and scheme.weight_bits not in (1, FULL_PRECISION):
        found.append(
            f"{below} of {slices.size} scales of the weight are the contract's epsilon of {EPS:g} and not its own: "
            "multiply the weight, and divide what follows"
        )
    return tuple(found)


def _decibel(signal: float, noise: float) -> float:
    if not (math.isfinite(signal) and math.isfinite(noise)) or signal <= 0:
        return math.nan
    return 10 * math.log10(signal / noise) if noise > 1e-12 * signal else math.inf
