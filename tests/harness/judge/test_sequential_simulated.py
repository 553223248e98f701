"""The gate's error rates and its power, on simulated machines of known truth, with the real decision.

Seeds are fixed: what is asserted is what the docs promise, and `docs/experiments/gate/simulated.py` prints the table.
"""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from harness.estimators.intervals import log_ratio
from harness.runner.schedule import Timing
from tests.harness.fakes.simulated_machine import ABBA, BLOCKS, MACHINES, Gated, Machine, Suites, estimate

TYPICAL = MACHINES["typical"]


def share(suites: list[Gated], happened: list[bool]) -> float:
    return sum(happened) / len(suites)


def test_the_vectorised_estimator_is_the_real_one() -> None:
    for machine in MACHINES.values():
        logs, first = machine.samples(np.random.default_rng(0), 2, 3, 2)
        estimated = estimate(logs, first)
        for index in np.ndindex(estimated.shape):
            sides = np.where(first[index][:, None] == 0, ABBA, 1 - ABBA)
            blocks = np.broadcast_to(np.arange(BLOCKS)[:, None], sides.shape)
            base, head = (
                Timing(tuple(np.exp(logs[index][sides == side].astype(float))), 1, tuple(blocks[sides == side]))
                for side in (0, 1)
            )
            assert estimated[index] == pytest.approx(log_ratio(base, head, apart=True), abs=1e-6)


@pytest.mark.parametrize(("name", "noise"), [("quiet", 0.005), ("typical", 0.013)])
def test_the_machines_are_as_noisy_as_they_are_called(name: str, noise: float) -> None:
    rounds = MACHINES[name].rounds(np.random.default_rng(0), np.zeros(20), 50, 10)
    assert rounds.std() == pytest.approx(noise, rel=0.05)


@pytest.mark.parametrize("truth", [(0.0,) * 8, (0.03,) * 6, (0.05, 0.02, 0.0)])
def test_a_suite_that_is_spared_the_decision_comes_out_alike(truth: tuple[float, ...]) -> None:
    for machine in (TYPICAL, MACHINES["heavy-tailed"]):
        spared, not_spared = (Suites(machine, truth, 30, abridged=abridged).gate() for abridged in (True, False))
        assert [(one.states, one.mean, one.rounds) for one in spared] == [
            (one.states, one.mean, one.rounds) for one in not_spared
        ]


@pytest.mark.parametrize("name", MACHINES)
def test_of_2000_suites_of_20_cases_of_the_same_code_at_most_1_percent_have_a_false_red(name: str) -> None:
    suites = Suites(MACHINES[name], (0.0,) * 20, 2000, seed=1).gate()
    red = sum(one.is_red for one in suites)
    interval = binomtest(red, len(suites)).proportion_ci(method="exact")
    rounds = np.mean([one.rounds for one in suites])
    print(f"\n{name}: {red} of {len(suites)} suites with a false red", end="")
    print(f" [{100 * interval.low:.2f}, {100 * interval.high:.2f}] %, {rounds:.1f} rounds a case")
    assert red / len(suites) <= 0.01
    assert rounds < 12, "same code is soon known to be that"


def test_at_the_edge_of_the_margin_the_error_budget_holds() -> None:
    suites = Suites(TYPICAL, (0.03,) * 20, 1000, seed=2).gate()  # every one takes 20 rounds
    assert share(suites, [bool(one.red) for one in suites]) <= 0.05


def test_at_the_edge_of_the_margin_few_cases_are_called_ok() -> None:
    suites = Suites(TYPICAL, (0.03,) * 20, 300, seed=3).gate()
    assert np.mean([state == "ok" for one in suites for state in one.states]) <= 0.05


@pytest.mark.parametrize("name", MACHINES)
def test_10_percent_in_one_of_six_is_red_and_nothing_else(name: str) -> None:
    suites = Suites(MACHINES[name], (0.10, *(0.0,) * 5), 300, seed=4).gate()
    assert share(suites, [one.red == (0,) for one in suites]) >= 0.95
    assert share(suites, [bool(set(one.red) - {0}) for one in suites]) <= 0.01


def test_5_percent_in_one_of_six_is_red_in_most_suites_and_never_ok() -> None:
    suites = Suites(TYPICAL, (0.05, *(0.0,) * 5), 300, seed=5).gate()
    assert share(suites, [0 in one.red for one in suites]) >= 0.9
    assert not [one for one in suites if one.states[0] == "ok"]


def test_2_percent_in_all_of_six_is_seen_in_the_geometric_mean_alone() -> None:
    suites = Suites(TYPICAL, (0.02,) * 6, 300, seed=6).gate()
    assert share(suites, [not one.red for one in suites]) >= 0.99
    assert share(suites, [one.mean == "regressed" for one in suites]) >= 0.8


@pytest.mark.parametrize("name", MACHINES)
def test_10_percent_less_is_improved_and_never_red(name: str) -> None:
    suites = Suites(MACHINES[name], (-0.10, *(0.0,) * 5), 200, seed=7, abridged=False).gate()
    assert not [one for one in suites if one.is_red]
    assert share(suites, [one.faster == {0} for one in suites]) >= 0.95


def test_a_loud_machine_costs_rounds_and_decisions_and_no_false_red() -> None:
    loud = Machine(luck=0.05, noise=0.1)
    suites = Suites(loud, (0.0,) * 6, 300, seed=8).gate()
    assert not [one for one in suites if one.is_red]
    assert math.isclose(np.mean([one.rounds for one in suites]), 20, abs_tol=1)
