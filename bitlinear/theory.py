"""What theory says a scheme costs: the SQNR of the layer's output against its full-precision twin. Imports no torch.

The output is `y = sum_k a_k w_k`, its quantised form `sum_k a'_k w'_k`. For independent, zero-mean terms

    E[(y' - y)^2] / E[y^2] = A2 W2 - 2 A1 W1 + 1,    A2 = E[a'^2] / E[a^2],    A1 = E[a' a] / E[a^2]

and the same for the weights. That is the sum of both noise-to-signal ratios and their product term, kept exact where a
quantiser is so coarse that its error is correlated with what it quantises. What is left is to compute the two moments
of every quantiser, which needs the distribution of the values and that of their largest magnitude.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code

Array = NDArray[np.float64]

FEWEST = 8
"""Features a group, output features and tokens below which no prediction is held against a measurement."""
OUTLIER = 50.0
"""The factor on input channel 0 of the distribution called "outliers"."""

_NODES, _NODE_WEIGHTS = np.polynomial.legendre.leggauss(6)
_PEAKS, _MEANS, _TOKENS = 16, 8, 64
"""How many quantiles stand for the distribution of a slice's peak, of its mean, and of the outlier."""


Density = Callable[[Array], Array]


@dataclass(frozen=True)
class Distribution:
    """A symmetric distribution of unit variance."""

    density: Density
    tail: Callable[[float], tuple[float, float]]
    """`P(|x| > t)` and `E[|x|; |x| > t]` for `t >= 0`."""


_R2, _R3 = math.sqrt(2), math.sqrt(3)
_GAUSSIAN = Distribution(
    density=lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
    tail=lambda t: (math.erfc(t / _R2), math.sqrt(2 / math.pi) * math.exp(-t * t / 2)),
)
_UNIFORM = Distribution(
    density=lambda x: np.where(np.abs(x) <= _R3, 1 / (2 * _R3), 0.0),
    tail=lambda t: (1 - t / _R3, (3 - t * t) / (2 * _R3)),
)
_LAPLACE = Distribution(
    density=lambda x: np.exp(-_R2 * np.abs(x)) / _R2,
    tail=lambda t: (math.exp(-_R2 * t), (t + 1 / _R2) * math.exp(-_R2 * t)),
)
DISTRIBUTIONS = {"gaussian": _GAUSSIAN, "uniform": _UNIFORM, "laplace": _LAPLACE, "outliers": _GAUSSIAN}
"""By name: the distribution of input and weights. "outliers" multiplies input channel 0 by OUTLIER."""


def predict_sqnr(scheme: Scheme | str, distribution: str, in_features: int) -> float:
    """The output SQNR in dB to expect of `scheme` when input and weights are drawn from `distribution`.

    For a large number of tokens and output features: `prediction_tolerance` says how far a sample may be off. Below 8
    features a group the sum of the others is no longer close to normal; two features that are normalised are +1 and -1,
    which any number of bits holds exactly, and nothing of that is predicted here.

    `math.inf` when nothing is quantised, NaN when normalisation leaves nothing (one feature a group). Raises ValueError
    for an unknown distribution, and for `in_features` that the groups do not divide.
    """
    if distribution not in DISTRIBUTIONS:
        raise ValueError(f"unknown distribution {distribution!r}; choose from: {', '.join(DISTRIBUTIONS)}")
    scheme = Scheme.of(scheme).for_features(in_features)
    size = scheme.group_size(in_features)
    if scheme.norm and size == 1:
        return math.nan
    w2, w1 = _weight_moments(scheme.weight_bits, distribution, size)
    plain = _activation_moments(scheme.activation_bits, distribution, size, scheme.norm)
    groups = [plain] * scheme.groups
    if distribution == "outliers":
        groups[0] = _outlier_moments(scheme.activation_bits, size, scheme.norm)
    noise = sum(a2 * w2 - 2 * a1 * w1 + power for a2, a1, power in groups)
    power = sum(power for _, _, power in groups)
    return 10 * math.log10(power / noise) if noise > 1e-12 * power else math.inf


def prediction_tolerance(scheme: Scheme, distribution: str, in_features: int, out_features: int, tokens: int) -> float:
    """How far, in dB, a measured SQNR may be from `predict_sqnr` before one of the two is wrong. At least 0.3.

    The prediction itself is good to 0.2 dB from 64 features a group on (of which 0.15 are granted here, since the least
    of 0.3 covers the rest in large samples) and to 0.5 dB from 8. To that come two and a
    half standard deviations in dB of a sample of `M` tokens and `N` outputs, measured to be about

        sqrt((c + 20 p^2) (1 / M + 1 / N)),    c = 1, of Laplace samples 2.5

    An outlier channel carries the share `p` of the signal, and one column of the weight and one value a token with it.
    `math.inf` below 8 features a group, 8 outputs or 8 tokens: nothing is promised there. The figures are those of
    `docs/experiments/theory/where.py`. Raises ValueError for `in_features` that the groups do not divide.
    """
    scheme = scheme.for_features(in_features)
    size = scheme.group_size(in_features)
    if min(size, out_features, tokens) < FEWEST:
        return math.inf
    share = 0.0
    if distribution == "outliers":
        others = (size if scheme.norm else in_features) - 1
        share = OUTLIER**2 / (OUTLIER**2 + others) / (scheme.groups if scheme.norm else 1)
    tail = 2.5 if distribution == "laplace" else 1.0
    deviation = math.sqrt((tail + 20 * share**2) * (1 / tokens + 1 / out_features))
    return max(0.3, (0.15 if size >= 64 else 0.5) + 2.5 * deviation)


@cache
def _weight_moments(bits: float, distribution: str, size: int) -> tuple[float, float]:
    """`W2` and `W1` of the weight quantiser on groups of `size` columns."""
    if bits == FULL_PRECISION:
        return 1.0, 1.0
    tail = DISTRIBUTIONS[distribution].tail
    scale = tail(0)[1]
    if bits == 1:
        return scale**2, scale**2
    if bits == 1.58:
        kept, kept_magnitude = tail(scale / 2)
        return scale**2 * kept, scale * kept_magnitude
    q2, q1, power = _slice_sums(distribution, size, largest_code(bits), centred=False)
    return float(q2.mean() / power.mean()), float(q1.mean() / power.mean())


@cache
def _activation_moments(bits: int, distribution: str, size: int, norm: bool) -> tuple[float, float, float]:
    """`E[a'^2]`, `E[a' a]` and `E[a^2]` per input feature of one group."""
    if bits == FULL_PRECISION:
        return 1.0, 1.0, 1.0
    return _average(_slice_sums(distribution, size, largest_code(bits), centred=norm), size, norm)


@cache
def _outlier_moments(bits: int, size: int, norm: bool) -> tuple[float, float, float]:
    """The same for the group that holds the outlier channel: one value of `OUTLIER * z` among `size - 1` ordinary ones.

    Averaged over `z`. Normalisation subtracts the group's mean, nearly all of which is the outlier's.
    """
    outlier = OUTLIER * _half_normal(_TOKENS)
    shift = outlier / size if norm else np.zeros(_TOKENS)
    outlier = outlier - shift
    if bits == FULL_PRECISION:
        power = outlier**2 + (size - 1) * (1 + shift**2)
        return _average(np.stack([power, power, power]), size, norm)
    peak = np.maximum(outlier, np.median(_peaks(_GAUSSIAN.density, size)))
    step = peak / largest_code(bits)
    quantised = np.rint(outlier / step) * step
    ordinary = _moments(lambda x: _GAUSSIAN.density(x + shift[:, None]), peak, largest_code(bits))
    return _average(np.stack([quantised**2, quantised * outlier, outlier**2]) + (size - 1) * ordinary, size, norm)


def _average(sums: Array, size: int, norm: bool) -> tuple[float, float, float]:
    """Per input feature: of the ratios where normalisation gives every token the same power, else of the sums."""
    q2, q1, power = (sums / sums[2] if norm else sums / size).mean(axis=1)
    return float(q2), float(q1), float(power)


@cache
def _slice_sums(distribution: str, size: int, top: int, centred: bool) -> Array:
    """Sums of `q^2`, `q x` and `x^2` over slices of `size` samples, one column for each of equally likely slices.

    A slice is known by its mean, if that is subtracted, and by its peak, which is quantised to itself. Given the mean
    `m`, one sample has the density `f(x) exp(-(size m - x)^2 / (2 (size - 1)))` up to a factor, because the sum of the
    others is close to normal; exactly so for Gaussian samples.
    """
    sample = DISTRIBUTIONS[distribution].density
    if not centred:
        peak = _peaks(sample, size)
        return peak**2 + (size - 1) * _moments(sample, peak, top)
    others = size - 1

    def deviation(m: float) -> Density:
        return lambda x: sample(x + m) * np.exp(-((others * m - x) ** 2) / (2 * others))

    slices = []
    for m in _half_normal(_MEANS) / math.sqrt(size):
        peak = _peaks(deviation(m), size)
        slices.append(peak**2 + others * _moments(deviation(m), peak, top))
    return np.concatenate(slices, axis=1)


def _moments(density: Density, peak: Array, top: int) -> Array:
    """`E[q^2]`, `E[q x]` and `E[x^2]` of values within `peak`, for the mid-tread quantiser of step `peak / top`.

    Gauss-Legendre quadrature on every half step, so that `q` is constant and the density smooth in each piece.
    """
    pieces = np.arange(2 * top)
    t = ((pieces[:, None] + (_NODES + 1) / 2) / (2 * top)).ravel()
    q = np.repeat((pieces + 1) // 2 / top, len(_NODES))
    x = peak[:, None] * t
    mass = (density(x) + density(-x)) * np.tile(_NODE_WEIGHTS, 2 * top)
    return np.asarray(peak**2 * np.stack([mass @ (q * q), mass @ (q * t), mass @ (t * t)]) / mass.sum(1))


def _peaks(density: Density, size: int) -> Array:
    """Equally likely values of the largest magnitude of `size` samples: `P(all |x| <= t) = P(|x| <= t)^size`."""
    t = np.linspace(0, 16, 4001)
    chance = np.cumsum(density(t) + density(-t))
    return np.interp((np.arange(_PEAKS) + 0.5) / _PEAKS, (chance / chance[-1]) ** size, t)


@cache
def _half_normal(count: int) -> Array:
    """`count` equally likely values of the magnitude of a standard normal variable."""
    return np.array([NormalDist().inv_cdf(0.5 + (i + 0.5) / (2 * count)) for i in range(count)])
