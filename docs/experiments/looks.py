"""Which confidence every planned look needs, so that the interval at the end holds with 95 %: `python looks.py`.

Same code on both sides, independent Gaussian rounds. A contest ends at the first look at which the interval is narrow
enough, or at the last one; what counts is whether the interval that it then shows contains the truth. That depends on
noise over precision alone, so the table gives the worst and the best over a range of it.
"""

import numpy as np
from scipy.stats import t as student

LOOKS = (4, 6, 9, 14, 20)
CONTESTS = 400_000
NOISE_OVER_PRECISION = np.geomspace(0.25, 6, 14)


def coverage(confidence: float, looks: tuple[int, ...], noise: float, rounds: np.ndarray) -> float:
    """Share of contests whose interval contains the truth, with a precision of 1 over `noise`."""
    going = np.ones(len(rounds), bool)
    holds = np.zeros(len(rounds), bool)
    for look in looks:
        taken = rounds[going, :look]
        half = student.ppf(0.5 + confidence / 2, look - 1) * taken.std(1, ddof=1) / np.sqrt(look)
        ends = (half <= 1 / noise) | (look == looks[-1])
        index = np.flatnonzero(going)[ends]
        holds[index] = np.abs(taken[ends].mean(1)) <= half[ends]
        going[index] = False
    return float(holds.mean())


def main() -> None:
    """Print the table."""
    rounds = np.random.default_rng(0).standard_normal((CONTESTS, LOOKS[-1]))
    print(f"looks after {LOOKS} rounds")
    for confidence in (0.95, 0.96, 0.965, 0.97, 0.975, 0.98):
        found = [coverage(confidence, LOOKS, noise, rounds) for noise in NOISE_OVER_PRECISION]
        print(f"{confidence:.3f} at every look: {100 * min(found):.1f} to {100 * max(found):.1f} % at the end")


if __name__ == "__main__":
    main()
