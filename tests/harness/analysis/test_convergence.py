"""When a case is precise enough, and what is said of one that is not."""

import math
import random

import pytest

from harness.analysis.convergence import Convergence, baseline_of, convergence, half_width, undecided
from harness.analysis.looks import looks
from harness.analysis.results import Result, results
from harness.model import Aim
from tests.harness.data.factories import make_case, make_record

AIM = Aim("base", 0.02, 9)


def contest(sigmas: dict[str, float], rounds: int = 6, aim: Aim = AIM) -> list[Result]:
    """Every contestant takes a millisecond, times luck of its own in each round."""
    rng = random.Random(1)
    records = [
        make_record(make_case(name), number, {"latency": [1e-3 * rng.lognormvariate(0, sigma)] * 3})
        for number in range(rounds)
        for name, sigma in sigmas.items()
    ]
    return list(results(records, {"quick": aim}).values())


def states(members: list[Result]) -> dict[str, str]:
    return {case.implementation: found.state for case, found in convergence(members).items()}


def test_looks_are_planned_and_the_last_is_at_the_end() -> None:
    assert looks(20) == (4, 6, 9, 14, 20)
    assert looks(5) == (4, 5)
    assert looks(1) == (1,)
    assert looks(30)[-1] == 30


def test_each_row_says_how_far_it_came() -> None:
    members = contest({"base": 0.0, "steady": 0.002, "restless": 0.05, "wild": 0.9})
    assert states(members) == {
        "base": "budget",
        "steady": "converged",
        "restless": "budget",
        "wild": "unstable",
    }
    found = {case.implementation: one for case, one in convergence(members).items()}
    assert (found["steady"].rounds, found["steady"].samples) == (6, 18)
    assert found["steady"].precision <= AIM.precision < found["restless"].precision
    assert 6 < found["restless"].needed <= 60 < found["wild"].needed


def test_those_that_are_not_precise_enough_go_on_and_take_their_baseline_along() -> None:
    members = contest({"base": 0.0, "steady": 0.002, "restless": 0.05})
    assert {case.implementation for case in undecided(members)} == {"base", "restless"}
    assert undecided(contest({"base": 0.05, "steady": 0.0})) == {make_case("base"), make_case("steady")}
    assert undecided(contest({"base": 0.0, "steady": 0.002})) == set()


def test_a_contestant_that_is_alone_is_held_against_itself() -> None:
    assert undecided(contest({"only": 0.002})) == set()
    assert undecided(contest({"only": 0.2})) == {make_case("only")}
    assert states(contest({"only": 0.002})) == {"only": "converged"}


def test_without_the_suites_baseline_the_first_that_was_timed_takes_its_place() -> None:
    members = contest({"other": 0.0, "third": 0.002})
    found = baseline_of(members)
    assert found is not None
    assert found.case.implementation == "other"
    untimed = list(results([make_record(make_case("base"), 0, {"weight_bytes": 8})]).values())
    assert baseline_of(untimed) is None
    assert convergence(untimed) == {}
    assert undecided(untimed) == set()


def test_one_round_is_never_precise_enough_and_fixed_rounds_have_no_state() -> None:
    (base, other) = contest({"base": 0.0, "steady": 0.0}, rounds=1)
    assert math.isnan(half_width(other, base))
    assert undecided([base, other])
    assert states(contest({"base": 0.0, "steady": 0.002}, aim=Aim(rounds=6))) == {"base": "", "steady": ""}


def test_the_precision_is_the_half_width_of_the_interval_shown() -> None:
    base, other = contest({"base": 0.0, "steady": 0.002})
    one = convergence([base, other])[other.case]
    assert isinstance(one, Convergence)
    assert one.precision == pytest.approx(half_width(other, base))


def test_a_single_look_at_the_end_widens_no_interval() -> None:
    """Four rounds at most are looked at once, when there is nothing left to decide."""
    sigmas = {"base": 0.0, "steady": 0.002}
    base, other = contest(sigmas, rounds=4, aim=Aim("base", 0.02, 4))
    fixed_base, fixed = contest(sigmas, rounds=4, aim=Aim(rounds=4))
    _, sequential = contest(sigmas, rounds=4, aim=AIM)
    assert half_width(other, base) == half_width(fixed, fixed_base) < half_width(sequential, base)
