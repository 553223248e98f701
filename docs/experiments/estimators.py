"""How far from 0 is the log ratio of equal code in one round, by estimator: `python estimators.py RUN` of `same`.

Standard deviation over rounds, in per cent, of each way to turn the samples of one round into one log ratio.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.store import load

Samples = np.ndarray
"""Logs of seconds per call, `(blocks, samples of a block)`."""


def midmean(values: np.ndarray) -> float:
    """Mean of the middle half."""
    cut = max(len(values) // 4, 1)
    return float(np.sort(values)[cut : len(values) - cut].mean())


def quantile(q: float) -> Callable[[Samples, Samples], float]:
    """Ratio of quantiles."""
    return lambda a, b: float(np.quantile(b, q) - np.quantile(a, q))


ESTIMATORS: dict[str, Callable[[Samples, Samples], float]] = {
    "ratio of medians": quantile(0.5),
    "ratio of means": lambda a, b: float(np.log(np.exp(b).mean() / np.exp(a).mean())),
    "ratio of minima": quantile(0),
    "ratio of 10 % quantiles": quantile(0.1),
    "ratio of lower quartiles": quantile(0.25),
    "ratio of midmeans": lambda a, b: midmean(b.ravel()) - midmean(a.ravel()),
    "ratio of means of the lower half": lambda a, b: lower_half(b) - lower_half(a),
    "median of block differences (means)": lambda a, b: float(np.median(b.mean(1) - a.mean(1))),
    "median of block differences (minima)": lambda a, b: float(np.median(b.min(1) - a.min(1))),
    "midmean of block differences (means)": lambda a, b: midmean(b.mean(1) - a.mean(1)),
    "midmean of block differences (minima)": lambda a, b: midmean(b.min(1) - a.min(1)),
}


def lower_half(samples: Samples) -> float:
    """Mean of the lower half."""
    return float(np.sort(samples.ravel())[: samples.size // 2].mean())


def rounds(path: Path) -> dict[str, list[tuple[Samples, Samples]]]:
    """By product: the samples of both names in every round."""
    sides: dict[tuple[str, int], dict[str, Samples]] = {}
    for record in load(path).records:
        (timing,) = (m for m in record.measurements if m.metric == "latency")
        p = record.case.params
        key = (f"{p['m']}x{p['k']}x{p['n']}", record.round)
        sides.setdefault(key, {})[record.case.implementation] = np.log(timing.values).reshape(-1, 4)
    found: dict[str, list[tuple[Samples, Samples]]] = {}
    for (product, _), both in sides.items():
        found.setdefault(product, []).append((both["one"], both["other"]))
    return found


def main() -> None:
    """Print the table."""
    products = rounds(Path(sys.argv[1]))
    print("| estimator |", " | ".join(f"{name} ({len(taken)} rounds)" for name, taken in products.items()), "|")
    print("|---" * (len(products) + 1) + "|")
    for name, estimate in ESTIMATORS.items():
        spreads = [np.std([estimate(a, b) for a, b in taken], ddof=1) for taken in products.values()]
        print(f"| {name} |", " | ".join(f"{100 * spread:.2f}" for spread in spreads), "|")


if __name__ == "__main__":
    main()
