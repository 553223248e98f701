"""What the gate decides on machines that do not exist, of known noise and truth: `python simulated.py` (a minute).

The rounds come from tests/harness/fakes/simulated_machine.py, and what is decided from harness/judge/sequential.py,
look by look as in a live gate of 20 rounds at most. A wrong red is a case that is red although it is no slower than
the margin, or the geometric mean where all cases together are no slower than its own; its interval is Clopper and
Pearson's, 95 %.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from harness.model.rules import Rules
from tests.harness.fakes.simulated_machine import MACHINES, Gated, Suites

SUITES = 2000
TRUTHS: dict[str, Sequence[float]] = {
    "same code, 20 cases": (0.0,) * 20,
    "+3 % in each of 20": (0.03,) * 20,
    "+2 % in each of 6": (0.02,) * 6,
    "+5 % in one of 6": (0.05, *(0.0,) * 5),
    "+10 % in one of 6": (0.10, *(0.0,) * 5),
    "-10 % in one of 6": (-0.10, *(0.0,) * 5),
}
HEADINGS = (
    *("machine", "truth", "wrong red, % of suites", "slower case: red, %", "ok, %", "inconclusive, %"),
    *("geometric mean red, %", "improved, %", "rounds a case"),
)


def row(machine: str, truth: str) -> list[str]:
    """One line of the table."""
    changes, rules = TRUTHS[truth], Rules()
    suites = Suites(MACHINES[machine], changes, SUITES, abridged=min(changes) >= 0).gate()
    mean_moved = np.log1p(changes).mean() > np.log1p(rules.geometric_mean)
    guilty = [case for case, change in enumerate(changes) if change > rules.margin]
    wrong = sum(bool(set(one.red) - set(guilty)) or (one.mean == "regressed" and not mean_moved) for one in suites)
    lo, hi = binomtest(wrong, SUITES).proportion_ci(method="exact")
    of_guilty = [one.states[case] for one in suites for case in guilty]
    found = [_percent([state == wanted for state in of_guilty]) for wanted in ("regressed", "ok")]
    found.append(_percent([state in ("open", "accused") for state in of_guilty]))
    return [
        *(machine, truth, f"{100 * wrong / SUITES:.2f} [{100 * lo:.2f}, {100 * hi:.2f}]", *found),
        _percent([one.mean == "regressed" for one in suites]),
        _percent([0 in one.faster for one in suites]) if min(changes) < 0 else "",
        f"{_mean_rounds(suites):.1f}",
    ]


def _percent(happened: Sequence[bool]) -> str:
    return f"{100 * np.mean(happened):.1f}" if happened else ""


def _mean_rounds(suites: Sequence[Gated]) -> float:
    return float(np.mean([one.rounds for one in suites]))


def main() -> None:
    """Print the table."""
    print("|", " | ".join(HEADINGS), "|")
    print("|---" * len(HEADINGS) + "|")
    for truth in TRUTHS:
        for machine in MACHINES:
            print("|", " | ".join(row(machine, truth)), "|", flush=True)


if __name__ == "__main__":
    main()
