"""Moments of a weight, and the error of its quantisation as far as moments tell it. Imports no torch.

One bit needs no more than two of them. Codes `sign(w)` of the scale `E|w|` leave the noise `E[w^2] - E[|w|]^2`, exactly
so for weights of mean zero. Every other quantiser depends on how many weights lie beyond its thresholds, which no few
moments tell. So the magnitudes that are not zero are taken to be Gamma distributed with the mean and the second moment
of the slice: shape 1 is Laplace, 1.75 close to Gaussian, 3 close to uniform, and a large one has two levels.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bitlinear.scheme import FULL_PRECISION, Scheme, largest_code

Array = NDArray[np.float64]

EPSILON = 1e-5
"""The least scale of the contract, `bitlinear.quantize.EPS`."""
FINE = 3
"""Bits from which on a step is small beside the weights, and the noise `step^2 / 12`."""


@dataclass(frozen=True)
class Products:
    """Of a weight `w` and its quantised form `q`, by group, shape `(G,)`: sums, and what of them row means make up.

    A normalised input sums to zero over a group, so the mean of a row is lost on it.
    """

    qq: Array
    qw: Array
    ww: Array
    mean_qq: Array
    mean_qw: Array
    mean_ww: Array


@dataclass(frozen=True)
class Moments:
    """Of a weight `(N, K)` in groups: arrays of shape `(N, G)`, one value a row and group."""

    size: int
    """Input features a group, `K / G`."""
    mean: Array
    absolute_mean: Array
    second: Array
    fourth: Array
    zeros: Array
    """The share of weights that are exactly 0."""
    peak: Array
    """The largest magnitude."""
    column_spread: float
    """Standard deviation over mean of the columns' root mean squares; 0.04 for `N = 256` equal columns."""

    @classmethod
    def of(cls, weight: ArrayLike, groups: int = 1) -> Self:
        """Of `weight` `(N, K)`, of any real dtype. Raises ValueError for another shape, or groups that do not fit."""
        w = np.asarray(weight, dtype=np.float64)
        if w.ndim != 2 or w.size == 0:
            raise ValueError(f"a weight of shape {w.shape}; give (out_features, in_features), both 1 or more")
        size = Scheme(groups=groups).group_size(w.shape[1])
        grouped = w.reshape(len(w), groups, size)
        magnitude = np.abs(grouped)
        columns = np.sqrt(np.square(w).mean(0))
        return cls(
            size=size,
            mean=grouped.mean(-1),
            absolute_mean=magnitude.mean(-1),
            second=np.square(grouped).mean(-1),
            fourth=np.square(np.square(grouped)).mean(-1),
            zeros=(magnitude == 0).mean(-1),
            peak=magnitude.max(-1),
            column_spread=_spread(columns),
        )

    @property
    def kurtosis(self) -> float:
        """`E[w^4] / E[w^2]^2` of the whole weight: 1.8 uniform, 3 Gaussian, 6 Laplace."""
        return _ratio(float(self.fourth.mean()), float(self.second.mean()) ** 2)

    @property
    def row_spread(self) -> float:
        """Standard deviation over mean of the rows' root mean squares."""
        return _spread(np.sqrt(self.second.mean(-1)))

    @property
    def kurtosis_within_rows(self) -> float:
        """The same of weights that are held against their own row and group: rows of unlike scale do not raise it."""
        return _ratio(float(self.fourth.mean()), float(np.square(self.second).mean()))

    def products(self, scheme: Scheme) -> Products:
        """Estimates at the scheme's weight bits. Raises ValueError for other groups than these."""
        if scheme.groups != self.mean.shape[1]:
            raise ValueError(f"moments of {self.mean.shape[1]} groups do not fit {scheme}; take them of its groups")
        w2, mean = self.second, self.mean
        at_zero: Array | float = 0.0
        match scheme.weight_bits:
            case bits if bits == FULL_PRECISION:
                q2, q1 = w2, w2
            case 1:
                scale = self.absolute_mean.mean(0, keepdims=True)
                q2, q1 = scale**2 + 0 * w2, scale * self.absolute_mean
                # The threshold is the mean of all. It sends every zero to the same side, here to the code -1.
                mean, at_zero = self.mean - self.mean.mean(0), -scale * self.zeros
            case 1.58:
                whole = (self.absolute_mean, w2, self.zeros)
                level, w2, zeros = (values.mean(0, keepdims=True) for values in whole)
                q2, q1 = _rounded(level, w2, zeros, np.maximum(level, EPSILON), 1)
            case bits:
                step = np.maximum(self.peak, EPSILON) / largest_code(bits)
                if bits < FINE:
                    q2, q1 = _rounded(self.absolute_mean, w2, self.zeros, step, largest_code(bits))
                else:
                    q2, q1 = w2 + (1 - self.zeros) * np.minimum(step**2 / 12, w2), w2
        gain = np.divide(q1, w2, out=np.zeros_like(q1), where=w2 > 0)  # of the mean, as of any part of the weight
        q_mean = gain * mean + at_zero
        count = len(self.second) * self.size
        sums = (q2, q1, w2, q_mean**2, q_mean * self.mean, self.mean**2)
        return Products(*(count * values.mean(0) for values in sums))


def _rounded(mean: Array, second: Array, zeros: Array, step: Array, top: int) -> tuple[Array, Array]:
    """`E[q^2]` and `E[q w]` of `q = step * clamp(round(w / step), -top, top)` under the Gamma law of this module.

    Both are sums over the thresholds `t = (j - 1/2) step`: `step^2 (2 j - 1) P(|w| > t)` and `step E[|w|; |w| > t]`.
    """
    from scipy.special import gammaincc  # late: a quarter of a second, and needed for coarse quantisers only

    share = 1 - zeros
    some = mean > 0  # a row of zeros has no magnitudes; any level does for it
    level = np.divide(mean, share, out=np.ones_like(mean), where=some)
    relative = np.divide(second, share * level**2, out=np.full_like(mean, 2.0), where=some)
    shape = 1 / np.maximum(relative - 1, 1e-6)  # at most: equal magnitudes would have no width
    q2, q1 = np.zeros_like(mean), np.zeros_like(mean)
    for j in range(1, top + 1):
        t = shape * (j - 0.5) * step / level
        q2 += step**2 * (2 * j - 1) * share * gammaincc(shape, t)
        q1 += step * mean * gammaincc(shape + 1, t)
    return q2, q1


def _spread(values: Array) -> float:
    return _ratio(float(values.std()), float(values.mean()))


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("nan")
