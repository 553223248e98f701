"""The SQNR of one layer on odd weights: measured, predicted from the weight, predicted from its moments.

    python docs/experiments/theory/weights.py

Prints the table of `docs/numbers/error.md`: 512 outputs, 256 features, 512 Gaussian tokens.
"""

import math

import torch

from bitlinear import BitLinear
from bitlinear.contract import contract_forward, twin_forward
from bitlinear.moments import Moments
from bitlinear.prediction import predict, predict_from_moments

N, K, TOKENS = 512, 256, 512
SCHEMES = {"w1a8": 1, "w1.58a8": 1.58, "w2a8": 2, "w4a8": 4}


def weights() -> dict[str, torch.Tensor]:
    """By what is odd about them."""
    gaussian = torch.randn(N, K)
    return {
        "Gaussian": gaussian,
        "Student's t of 3 degrees": torch.distributions.StudentT(3.0).sample((N, K)),
        "two levels, 10 % noise": torch.sign(torch.randn(N, K)) + 0.1 * gaussian,
        "90 % zeros": gaussian * (torch.rand(N, K) < 0.1),
        "rows of unlike scale": gaussian * torch.exp(torch.randn(N, 1)),
        "columns of unlike scale": gaussian * torch.exp(torch.randn(1, K)),
        "ternary, a third zeros": torch.randint(-1, 2, (N, K)) * 0.02,
        "deviation 1e-6": gaussian * 1e-6,
    }


def measured(weight: torch.Tensor, bits: float) -> float:
    """In dB, by the contract."""
    layer = BitLinear(K, N, weight_bits=bits)
    layer.weight.data = weight
    x = torch.randn(TOKENS, K)
    twin = twin_forward(layer, x)
    return 10 * math.log10(float(twin.square().sum() / (twin - contract_forward(layer, x)).square().sum()))


def main() -> None:
    """Print the table in Markdown."""
    torch.manual_seed(0)
    print("| weight | kurtosis | row spread |", *(f"{scheme} |" for scheme in SCHEMES))
    print("|---|---|---|" + "---|" * len(SCHEMES))
    for name, weight in weights().items():
        moments = Moments.of(weight)
        cells = []
        for scheme, bits in SCHEMES.items():
            told = predict_from_moments(moments, scheme)
            doubt = "?" if told.doubts else ""
            cells.append(f"{measured(weight, bits):.1f} / {predict(weight, scheme).sqnr:.1f} / {told.sqnr:.1f}{doubt}")
        print("|", " | ".join([name, f"{moments.kurtosis:.1f}", f"{moments.row_spread:.2f}", *cells]), "|")


if __name__ == "__main__":
    main()
