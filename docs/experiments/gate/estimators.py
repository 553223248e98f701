"""What one round is best summed up by, when base and head run in two processes: `python estimators.py GATE...`.

Each GATE is the directory of a gate of the same code on both sides, so that every log ratio is an error. Prints, for
each case and estimator, the root mean square of the rounds' log ratios in per cent, as Markdown.
"""

import math
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from harness.analysis.results import results
from harness.estimators.intervals import log_ratio, midmean
from harness.model import Measurement
from harness.model.metrics import METRICS
from harness.store import load

Estimator = Callable[[Measurement, Measurement], float]


def blocks(taken: Measurement) -> dict[int, list[float]]:
    """Logs of the samples of each block."""
    found: dict[int, list[float]] = {}
    for block, value in zip(taken.blocks, taken.values, strict=True):
        found.setdefault(block, []).append(math.log(value))
    return found


def of_blocks(of_block: Callable[[list[float]], float], of_all: Callable[[list[float]], float]) -> Estimator:
    """`of_all` blocks, of the difference of what stands for a block on either side."""

    def estimate(base: Measurement, head: Measurement) -> float:
        one, other = blocks(base), blocks(head)
        return of_all([of_block(other[number]) - of_block(one[number]) for number in one.keys() & other.keys()])

    return estimate


def of_samples(statistic: Callable[[list[float]], float]) -> Estimator:
    """The ratio of a statistic of all samples."""
    return lambda base, head: math.log(statistic(list(head.values)) / statistic(list(base.values)))


ESTIMATORS: dict[str, Estimator] = {
    "midmean of blocks' lowest": lambda base, head: log_ratio(base, head, apart=True),
    "midmean of blocks' means": log_ratio,
    "median of blocks' lowest": of_blocks(min, statistics.median),
    "median of blocks' means": of_blocks(statistics.fmean, statistics.median),
    "midmean, second visits only": of_blocks(lambda logs: statistics.fmean(logs[len(logs) // 2 :]), midmean),
    "ratio of medians": of_samples(statistics.median),
    "ratio of lowest quarters": of_samples(lambda values: statistics.quantiles(values, n=4)[0]),
    "ratio of lowest": of_samples(min),
}


def main() -> None:
    """A row a case, and one for all."""
    print("| case | us | " + " | ".join(ESTIMATORS) + " |\n" + "|---" * (len(ESTIMATORS) + 2) + "|")
    latency = METRICS["latency"]
    squares: dict[str, list[float]] = {name: [] for name in ESTIMATORS}
    for directory in map(Path, sys.argv[1:]):
        base, head = (results(load(directory / side).records) for side in ("base", "head"))
        for name, one in base.items():
            mine, theirs = one.rounds(latency.name), head[name].rounds(latency.name)
            common = mine.keys() & theirs.keys()
            if not common:
                continue
            cells = []
            for estimator, estimate in ESTIMATORS.items():
                found = [100 * estimate(mine[number], theirs[number]) for number in sorted(common)]
                squares[estimator].append(statistics.fmean(value**2 for value in found))
                cells.append(f"{math.sqrt(squares[estimator][-1]):.2f}")
            summary = one.summary(latency.name)
            seconds = summary.centre if summary else math.nan
            case = f"{one.case.implementation}, M={one.case.params['m']}"
            print(f"| {case} | {1e6 * seconds:.0f} | " + " | ".join(cells) + " |")
    print("| all | | " + " | ".join(f"{math.sqrt(statistics.fmean(values)):.2f}" for values in squares.values()) + " |")


if __name__ == "__main__":
    main()
