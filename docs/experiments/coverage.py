"""How often the interval of equal code contains 1, and what it took: `python coverage.py RUN` of `same`."""

import sys
from collections import Counter
from pathlib import Path

from scipy.stats import binomtest

from harness.analysis.convergence import convergence
from harness.analysis.pairs import in_one_run
from harness.analysis.results import contests, results
from harness.store import load


def main() -> None:
    """Print the counts."""
    stored = load(Path(sys.argv[1]))
    inside: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    rounds = []
    for members in contests(results(stored.records, stored.run.aims).values()).values():
        one, other = members
        ratio = in_one_run(one, other)
        inside[str(ratio.lo <= 1 <= ratio.hi)] += 1
        found = convergence(members)[other.case]
        ended[found.state or "fixed rounds"] += 1
        rounds.append(found.rounds)
    bounds = binomtest(inside["True"], inside.total()).proportion_ci(0.95)
    print(
        f"{inside['True']} of {inside.total()} intervals contain 1: {100 * inside['True'] / inside.total():.1f} %",
        end="",
    )
    print(f" [{100 * bounds.low:.1f}, {100 * bounds.high:.1f}]")
    print(f"ended: {dict(ended)}; rounds: {dict(sorted(Counter(rounds).items()))}")


if __name__ == "__main__":
    main()
