"""Where the predicted SQNR holds: its bias in a large sample by features a group, and the scatter of small samples.

    python docs/experiments/theory/where.py bias     # of 8 samples of 512 tokens and 512 outputs together
    python docs/experiments/theory/where.py scatter  # the largest error among 16 samples of every size

Prints the largest difference in dB between what is measured and what is predicted, over the schemes below.
"""

import itertools
import math
import sys

import torch

from bitlinear import BitLinear, Scheme
from bitlinear.contract import contract_forward, twin_forward
from bitlinear.theory import DISTRIBUTIONS, OUTLIER, predict_sqnr

BITS = (
    (1, 16),
    (1, 8),
    (1.58, 16),
    (1.58, 8),
    (2, 16),
    (2, 8),
    (3, 16),
    (4, 4),
    (4, 16),
    (8, 4),
    (8, 8),
    (16, 4),
    (16, 8),
)


def drawn(distribution: str, *shape: int) -> torch.Tensor:
    """Samples of unit variance."""
    if distribution == "uniform":
        return (torch.rand(shape) * 2 - 1) * math.sqrt(3)
    if distribution == "laplace":
        return torch.distributions.Laplace(0.0, 1 / math.sqrt(2)).sample(shape)
    return torch.randn(shape)


def powers(scheme: Scheme, distribution: str, tokens: int, in_features: int, out_features: int) -> torch.Tensor:
    """Of signal and noise, in one sample."""
    x = drawn(distribution, tokens, in_features)
    if distribution == "outliers":
        x[:, 0] *= OUTLIER
    layer = BitLinear(
        in_features, out_features, scheme.groups, weight_bits=scheme.weight_bits,
        activation_bits=scheme.activation_bits, norm=scheme.norm,
    )  # fmt: skip
    layer.weight.data = drawn(distribution, out_features, in_features)
    twin = twin_forward(layer, x)
    return torch.stack([twin.square().sum(), (twin - contract_forward(layer, x)).square().sum()])


def decibels(signal_and_noise: torch.Tensor) -> float:
    """Their ratio."""
    return 10 * math.log10(float(signal_and_noise[0] / signal_and_noise[1]))


def bias() -> None:
    """By features a group."""
    print("features groups", *DISTRIBUTIONS, sep="\t")
    for size, groups in itertools.product((2, 3, 4, 5, 6, 8, 12, 16, 32, 64, 256), (1, 4)):
        cells = []
        for distribution in DISTRIBUTIONS:
            worst = (0.0, "")
            for (w, a), norm in itertools.product(BITS, (True, False)):
                scheme = Scheme(w, a, groups, norm)
                total = sum(powers(scheme, distribution, 512, size * groups, 512) for _ in range(8))
                off = decibels(total) - predict_sqnr(scheme, distribution, size * groups)
                worst = max(worst, (abs(off), f"{off:+.2f} {scheme}"))
            cells.append(worst[1])
        print(size, groups, *cells, sep="\t", flush=True)


def scatter() -> None:
    """By tokens, outputs and features."""
    print("tokens outputs features groups", *DISTRIBUTIONS, sep="\t")
    for m, n, (size, groups) in itertools.product(
        (1, 8, 64, 512), (1, 2, 8, 64, 512), ((16, 1), (64, 1), (64, 4), (256, 1), (2560, 1))
    ):
        cells = []
        for distribution in DISTRIBUTIONS:
            worst = (0.0, "")
            for w, a in ((1, 8), (1.58, 16), (2, 16), (4, 4), (8, 8)):
                scheme = Scheme(w, a, groups)
                predicted = predict_sqnr(scheme, distribution, size * groups)
                for _ in range(16):
                    off = decibels(powers(scheme, distribution, m, size * groups, n)) - predicted
                    worst = max(worst, (abs(off), f"{off:+.2f} {scheme}"))
            cells.append(worst[1])
        print(m, n, size, groups, *cells, sep="\t", flush=True)


if __name__ == "__main__":
    torch.manual_seed(0)
    {"bias": bias, "scatter": scatter}[sys.argv[1]]()
