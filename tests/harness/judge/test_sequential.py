"""What follows from rounds, look by look: every promise of the decision, apart from its error rates."""

import itertools
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.analysis.looks import looks
from harness.analysis.pairs import LogsByRound, mean_by_round
from harness.analysis.t_test import POWER, LogRatio
from harness.judge.rules import Rules
from harness.judge.sequential import (
    CONFIRMING,
    ONCE,
    CaseHistory,
    Evidence,
    Sequential,
    SingleLook,
    improved,
    looks_until,
)

RULES = Rules()
MARGIN = math.log1p(RULES.margin)
LAST = RULES.looks[-1] + CONFIRMING

logs = st.floats(-0.3, 0.3).map(lambda log: round(log, 4))


def rounds(mean: float, noise: float = 0.01, count: int = LAST, seed: int = 0) -> LogsByRound:
    """Of exactly that mean over every pair of rounds; each with noise of a fixed size."""
    rng = random.Random(seed)
    signs = [sign for _ in range(count // 2 + 1) for sign in rng.sample((1, -1), 2)]
    return {number: mean + signs[number] * noise * (1 + 0.1 * rng.random()) for number in range(count)}


def courses(
    taken: Mapping[str, LogsByRound],
    reached: int = LAST,
    rules: Rules = RULES,
    design: Callable[[Rules, int], Sequential] = Sequential.ended,
) -> dict[str, CaseHistory]:
    return design(rules, reached).courses({name: Evidence(MARGIN, logs, None) for name, logs in taken.items()})


def looked_at_once(shifts: Mapping[str, LogRatio], limit: float) -> dict[str, CaseHistory]:
    return SingleLook(RULES).courses({name: Evidence(limit, {}, shift) for name, shift in shifts.items()})


def states(course: CaseHistory) -> list[str]:
    return [look.state for look in course.looks]


@given(st.lists(logs, min_size=2, max_size=20), st.floats(-0.1, 0.1))
def test_a_paired_shift_is_students_test(values: list[float], limit: float) -> None:
    shift = LogRatio.paired(values)
    assert shift is not None
    assert shift.above(limit) + shift.below(limit) == pytest.approx(1) or shift.error == 0
    if len(set(values)) > 1:
        expected = scipy_stats.ttest_1samp(values, limit, alternative="greater").pvalue
        assert shift.above(limit) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(st.lists(logs, min_size=2, max_size=9, unique=True), st.lists(logs, min_size=2, max_size=9, unique=True))
def test_a_shift_between_separate_rounds_is_welchs_test(base: list[float], head: list[float]) -> None:
    shift = LogRatio.between(base, head)
    expected = scipy_stats.ttest_ind(head, base, equal_var=False, alternative="greater")
    assert shift is not None
    assert shift.above(0.0) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


def test_what_is_no_number_says_nothing() -> None:
    assert LogRatio.paired([0.1, math.nan, math.inf]) is None
    assert LogRatio.paired([0.1, math.nan, 0.3]) == LogRatio.paired([0.1, 0.3])
    assert LogRatio.between([0.1, math.nan], [0.1, 0.2]) is None


def test_without_noise_the_mean_is_the_truth() -> None:
    shift = LogRatio.paired([0.125] * 4)
    assert shift is not None
    assert (shift.above(0.12), shift.below(0.12)) == (0.0, 1.0)
    assert (shift.above(0.13), shift.below(0.13)) == (1.0, 0.0)
    assert (shift.above(0.125), shift.below(0.125)) == (1.0, 1.0), "at the limit nothing is known"
    assert shift.half_width(0.95) == 0
    assert shift.rounds_needed(0.125, 0.05) >= 4


def test_the_detectable_effect_is_found_nine_times_in_ten() -> None:
    noise, count, level = 0.01, 9, 0.01
    shift = LogRatio(0.0, noise / math.sqrt(count), count - 1, count)
    truth = shift.detectable(MARGIN, level)
    rng = random.Random(0)
    found = 0
    for _ in range(2000):
        taken = LogRatio.paired([rng.gauss(truth, noise) for _ in range(count)])
        found += taken is not None and taken.above(MARGIN) <= level
    assert found / 2000 == pytest.approx(POWER, abs=0.03)


def test_the_rounds_needed_are_enough_and_one_less_are_not() -> None:
    shift = LogRatio.paired([0.02 + sign * 0.02 for sign in (1, -1, 1, -1)])
    assert shift is not None
    needed = shift.rounds_needed(0.0, 0.01)
    noise = shift.error * math.sqrt(shift.rounds)
    reached = [LogRatio(0.02, noise / math.sqrt(n), n - 1, n).above(0.0) <= 0.01 for n in (needed - 1, needed)]
    assert reached == [False, True]
    assert shift.rounds_needed(shift.mean, 0.01) == 1000


def test_the_looks_are_those_planned_one_that_confirms_and_one_where_the_time_ended_it() -> None:
    assert looks_until(RULES, 3) == ()
    assert looks_until(RULES, 14) == (4, 6, 9, 14)
    assert looks_until(RULES, 19) == (4, 6, 9, 14, 19)
    assert looks_until(RULES, 23) == (4, 6, 9, 14, 20, 23)
    assert looks_until(RULES, 100) == (4, 6, 9, 14, 20, 25)
    assert looks_until(Rules(looks=looks(4)), 100) == (4, 9)


@given(st.integers(0, LAST))
def test_the_error_budget_is_enough_for_every_look_that_decides(reached: int) -> None:
    assert sum(look <= RULES.looks[-1] for look in looks_until(RULES, reached)) <= len(RULES.looks)
    for design in (Sequential.ended, Sequential.so_far):
        course = courses({"a": dict.fromkeys(range(LAST), MARGIN)}, reached, design=design)["a"]
        spent = sum(look.below_level for look in course.looks if look.rounds <= RULES.looks[-1])
        assert spent <= RULES.false_ok * 1.000001
        assert design == Sequential.so_far or not course.looks or spent == pytest.approx(RULES.false_ok)


def test_what_looks_that_do_not_come_would_have_used_is_the_last_ones() -> None:
    uncertain = {number: 0.012 + 0.02 * (-1) ** number for number in range(LAST)}
    assert courses({"a": uncertain}, 10, design=Sequential.so_far)["a"].state == "open"
    assert courses({"a": uncertain}, 10)["a"].state == "ok"


def test_a_case_is_red_only_when_fresh_rounds_say_so_too() -> None:
    slow = rounds(0.2)
    assert states(courses({"a": slow})["a"]) == ["accused", "accused", "regressed"], "two fresh rounds are too few"
    unlucky = {number: 0.2 if number < 4 else 0.0 for number in slow} | {0: 0.21, 5: 0.001}
    course = courses({"a": unlucky})["a"]
    assert states(course)[:2] == ["accused", "accused"]
    assert "regressed" not in states(course)
    assert course.shift is not None


def test_what_fresh_rounds_refute_is_open_again_and_may_be_acquitted() -> None:
    quiet = rounds(0.0, 0.002)
    unlucky = quiet | {number: 0.2 + 0.001 * number for number in range(4)}
    course = courses({"a": unlucky})["a"]
    assert states(course)[:3] == ["accused", "accused", "open"]
    assert course.accused_at == 0
    # Four rounds of 20 % are never outweighed in 25, so it stays open; of 4 % they are.
    course = courses({"a": quiet | {number: 0.04 + 0.0001 * number for number in range(4)}})["a"]
    assert states(course) == ["accused", "accused", "open", "ok"]


def test_an_accusation_at_the_last_look_is_confirmed_by_the_rounds_added_after_it() -> None:
    noisy = {number: (0.05 if number < 14 else 0.1) + 0.05 * (-1) ** number for number in range(LAST)}
    until_last = courses({"a": noisy}, 20)["a"]
    assert until_last.state == "accused"
    assert until_last.accused_at == 20
    assert courses({"a": noisy}, LAST)["a"].state == "regressed"
    fine_since = noisy | {number: 0.01 * (-1) ** number for number in range(20, LAST)}
    assert courses({"a": fine_since}, LAST)["a"].state == "open", "the last look confirms, and decides nothing else"


def test_an_accused_case_waits_while_it_has_no_fresh_rounds() -> None:
    stopped = {number: log for number, log in rounds(0.2).items() if number < 6}
    assert states(courses({"a": stopped})["a"]) == ["accused"] * 6


def test_a_case_with_fewer_than_two_rounds_is_open_and_has_no_look() -> None:
    assert courses({"a": {}, "b": {3: 0.2}})["a"].looks == ()
    assert courses({"b": {3: 0.2}})["b"].state == "open"
    assert courses({}) == {}


def test_missing_rounds_are_left_out_and_late_ones_count_where_they_were_taken() -> None:
    full = rounds(0.2)
    some = {number: log for number, log in full.items() if number not in (0, 4, 5)}
    course = courses({"a": some})["a"]
    assert states(course) == ["accused", "accused", "regressed"], "rounds 6, 7 and 8 are three fresh ones"
    assert [look.rounds for look in course.looks] == [4, 6, 9]


def test_without_noise_every_case_is_decided() -> None:
    flat = {name: dict.fromkeys(range(LAST), log) for name, log in {"slow": 0.1, "same": 0.0, "edge": MARGIN}.items()}
    assert {name: course.state for name, course in courses(flat).items()} == {
        "slow": "regressed",
        "same": "ok",
        "edge": "open",
    }


families = st.dictionaries(
    st.sampled_from("abcdef"), st.lists(logs, min_size=LAST, max_size=LAST), min_size=1, max_size=4
).map(lambda drawn: {name: dict(enumerate(values)) for name, values in drawn.items()})
spread = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(st.floats(-0.05, 0.12), st.floats(0.001, 0.05), st.integers(0, 99)),
    min_size=1,
    max_size=4,
).map(lambda drawn: {name: rounds(mean, noise, LAST, seed) for name, (mean, noise, seed) in drawn.items()})


@given(families | spread, st.sampled_from(looks_until(RULES, LAST)))
def test_what_is_settled_stays_settled(taken: dict[str, LogsByRound], reached: int) -> None:
    early, late = courses(taken, reached, design=Sequential.so_far), courses(taken)
    for name, course in early.items():
        assert late[name].looks[: len(course.looks)] == course.looks
        if course.is_settled:
            assert late[name] == course


@given(families | spread, st.randoms(use_true_random=False))
def test_neither_the_order_of_cases_nor_that_of_rounds_matters(
    taken: dict[str, LogsByRound], rng: random.Random
) -> None:
    mixed = {
        name: dict(rng.sample(list(taken[name].items()), len(taken[name])))
        for name in rng.sample(list(taken), len(taken))
    }
    one, other = courses(taken), courses(mixed)
    assert {name: states(course) for name, course in one.items()} == {
        name: states(course) for name, course in other.items()
    }


@given(families | spread, st.floats(-0.05, 0.12), st.floats(0.001, 0.05))
def test_one_case_more_that_is_fine_accuses_nobody_who_was_not_accused(
    taken: dict[str, LogsByRound], mean: float, noise: float
) -> None:
    before, after = courses(taken), courses({**taken, "fine": rounds(-0.5)})
    for name, course in before.items():
        first = [look.rounds for look in course.looks if look.state == "accused"][:1]
        then = [look.rounds for look in after[name].looks if look.state == "accused"][:1]
        assert not then or (first and first[0] <= then[0])


def holm(chances: Sequence[float], level: float) -> set[int]:
    """By the closure principle, of which Holm's procedure is the shortcut: what every set that holds it rejects."""
    everyone = range(len(chances))
    sets = [chosen for size in everyone for chosen in itertools.combinations(everyone, size + 1)]
    rejected = {chosen: min(chances[one] for one in chosen) <= level / len(chosen) for chosen in sets}
    return {one for one in everyone if all(rejected[chosen] for chosen in sets if one in chosen)}


@given(st.lists(st.sampled_from([1e-9, 0.003, 0.0041, 0.0049, 0.006, 0.008, 0.012, 0.024, 0.03, 0.5]), max_size=6))
def test_holm_is_the_closed_test(chances: list[float]) -> None:
    quantile = statistics.NormalDist().inv_cdf
    shifts = {str(number): LogRatio(quantile(1 - chance), 1.0, 1e12, 9) for number, chance in enumerate(chances)}
    courses = looked_at_once(shifts, 0.0)
    assert {int(name) for name, course in courses.items() if course.state == "regressed"} == holm(chances, ONCE)
    ends = [look.above_level for course in courses.values() for look in course.looks]
    assert all(ONCE / len(chances) <= level <= ONCE for level in ends)


@given(st.dictionaries(st.text(max_size=2), st.tuples(st.floats(-0.3, 0.3), st.floats(1e-3, 0.1)), max_size=8))
def test_improved_is_benjamini_and_hochberg(cases: dict[str, tuple[float, float]]) -> None:
    found = courses({name: rounds(mean, noise) for name, (mean, noise) in cases.items()})
    chances = [course.shift.below(-MARGIN) for course in found.values() if course.shift]
    adjusted = scipy_stats.false_discovery_control(chances) if chances else []
    expected = {name for name, chance in zip(found, adjusted, strict=True) if chance <= RULES.false_improved}
    assert improved(found, RULES) == expected


def test_a_case_that_is_red_is_not_improved_too() -> None:
    shift = LogRatio(-0.5, 0.01, 3, 4)
    (course,) = courses({"a": rounds(0.2)}).values()
    assert improved({"a": CaseHistory(MARGIN, course.looks, shift)}, RULES) == set()
    assert improved({"a": CaseHistory(MARGIN, (), shift)}, RULES) == set(), "nobody has looked at it"


def test_rounds_that_are_looked_at_once_are_judged_by_the_interval_that_is_shown() -> None:
    level = statistics.NormalDist().inv_cdf(1 - ONCE)
    for distance, state in ((1.01 * level, "regressed"), (0.0, "open"), (-1.01 * level, "ok")):
        shift = LogRatio(MARGIN + 0.01 * distance, 0.01, 1e9, 4)
        assert looked_at_once({"a": shift}, MARGIN)["a"].state == state
    twice = looked_at_once(dict.fromkeys("ab", LogRatio(MARGIN + 0.0101 * level, 0.01, 1e9, 4)), MARGIN)
    assert {course.state for course in twice.values()} == {"open"}, "Holm's first level is half of it"


def test_the_geometric_mean_is_of_the_rounds_that_all_have() -> None:
    assert mean_by_round([]) == {}
    assert mean_by_round([{0: 0.1, 2: 0.3}, {2: 0.1, 1: 0.5}]) == {2: pytest.approx(0.2)}
    assert mean_by_round([{0: 0.1}, {}]) == {}
