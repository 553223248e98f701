"""How often the 95 % interval of a mean of differences holds the truth, by method and units: `python paired.py`.

Differences of three kinds: Gaussian (accuracy by seed), skewed (KL divergence by document, a log-normal), and of zeros
and ones (an answer that becomes right or wrong).
"""

import warnings
from collections.abc import Callable

import numpy as np
from scipy import stats

TRIALS = 1000
COUNTS = (3, 5, 10, 20, 30, 50, 100, 300)
CHANCES = (0.06, 0.91, 0.03)
"""Of an answer that becomes wrong, stays, becomes right."""
DRAWS: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], float]] = {
    "Gaussian": (lambda rng, n: rng.normal(0.0, 1.0, n), 0.0),
    "skewed": (lambda rng, n: rng.lognormal(0.0, 1.0, n), float(np.exp(0.5))),
    "zeros and ones": (lambda rng, n: rng.choice((-1.0, 0.0, 1.0), n, p=CHANCES), CHANCES[2] - CHANCES[0]),
}
"""How differences are drawn, and their true mean."""


def student(values: np.ndarray) -> tuple[float, float]:
    """Student's t."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - half, values.mean() + half


def bootstrap(values: np.ndarray, method: str) -> tuple[float, float]:
    """Of 2000 resamples; no width where all values are equal."""
    if np.ptp(values) == 0:
        return values[0], values[0]
    found = stats.bootstrap((values,), np.mean, n_resamples=2000, method=method, vectorized=True, rng=0)
    return found.confidence_interval.low, found.confidence_interval.high


METHODS: dict[str, Callable[[np.ndarray], tuple[float, float]]] = {
    "Student's t": student,
    "BCa": lambda values: bootstrap(values, "BCa"),
    "percentile": lambda values: bootstrap(values, "percentile"),
}


def main() -> None:
    """Print a line a kind and method: the share of intervals below the truth, that hold it, and above it, in %."""
    warnings.simplefilter("ignore", stats.DegenerateDataWarning)
    for kind, (draw, truth) in DRAWS.items():
        for count in COUNTS:
            rng = np.random.default_rng(count)
            samples = [draw(rng, count) for _ in range(TRIALS)]
            for name, method in METHODS.items():
                bounds = np.array([method(values) for values in samples])
                below, above = (bounds[:, 1] < truth).mean(), (bounds[:, 0] > truth).mean()
                print(
                    f"{kind:15} {count:4} {name:12}"
                    f" {100 * below:5.1f} {100 * (1 - below - above):5.1f} {100 * above:5.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
