"""How far one tensor is from another. The reference comes first; everything is computed in float64."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from harness.model.metrics import ERROR_BINS, ERROR_REACH


def sqnr(reference: Tensor, output: Tensor) -> float:
    """Signal to quantisation noise ratio, `10 log10(sum r^2 / sum (r - y)^2)` in dB.

    +inf when equal, NaN when the reference is all zeros or either holds a NaN.
    """
    return _decibel(reference.square().sum(), (reference - output).square().sum())


def worst_channel_sqnr(reference: Tensor, output: Tensor) -> float:
    """The lowest SQNR over output channels, the last dimension; channels without signal are left out."""
    channels = reference.shape[-1]
    signal = reference.reshape(-1, channels).square().sum(0)
    noise = (reference - output).reshape(-1, channels).square().sum(0)
    heard = signal > 0
    ratios = signal[heard] / noise[heard]  # infinite where a channel is exact
    return _decibel(ratios.min(), torch.ones(())) if len(ratios) else math.nan


def relative_error(reference: Tensor, output: Tensor) -> float:
    """`||r - y|| / ||r||`; NaN when the reference is all zeros."""
    norm = float(reference.norm())
    return float((reference - output).norm()) / norm if norm else math.nan


def cosine(reference: Tensor, output: Tensor) -> float:
    """Cosine of the angle between the two, as vectors; NaN when either is all zeros."""
    norms = float(reference.norm()) * float(output.norm())
    return float((reference * output).sum()) / norms if norms else math.nan


def mean_square_error(reference: Tensor, output: Tensor) -> float:
    """Mean of the squared differences; NaN for empty tensors."""
    return float((reference - output).square().mean())


def max_abs_error(reference: Tensor, output: Tensor) -> float:
    """The largest absolute difference; 0 for empty tensors."""
    return float((reference - output).abs().max()) if reference.numel() else 0.0


_FUNCTIONS = {
    "sqnr": sqnr,
    "relative": relative_error,
    "cosine": cosine,
    "max_abs": max_abs_error,
    "mse": mean_square_error,
    "worst_channel_sqnr": worst_channel_sqnr,
}


def distance(prefix: str, reference: Tensor, output: Tensor, wanted: frozenset[str]) -> Mapping[str, float]:
    """The `wanted` metrics among `{prefix}_sqnr`, `{prefix}_relative` ..., of `output` against `reference`."""
    r, y = reference.to(torch.float64), output.to(torch.float64)
    return {f"{prefix}_{name}": function(r, y) for name, function in _FUNCTIONS.items() if f"{prefix}_{name}" in wanted}


def histogram(reference: Tensor, output: Tensor) -> tuple[float, ...]:
    """The share of outputs whose error over its root mean square lies in each bin of `harness.histogram`.

    To a millionth; empty when the two are equal, or where an error is not finite.
    """
    error = output.to(torch.float64) - reference.to(torch.float64)
    rms = float(error.square().mean().sqrt())
    if not 0 < rms < math.inf:
        return ()
    counts = torch.histc((error / rms).clamp(-ERROR_REACH, ERROR_REACH), ERROR_BINS, -ERROR_REACH, ERROR_REACH)
    return tuple(round(float(count) / error.numel(), 6) for count in counts)


def _decibel(signal: Tensor, noise: Tensor) -> float:
    s, n = float(signal), float(noise)
    if math.isnan(s) or math.isnan(n) or s == 0:
        return math.nan
    if n == 0:
        return math.inf
    return 10 * math.log10(s / n)
