"""Means over units and differences unit by unit: by hand, by scipy, and at the edges."""

import math

import numpy as np
import pytest
from scipy import stats

from harness.estimators.sample_mean import HUGE, MANY, Difference, Interval, sample_mean

BEFORE = (1.0, 2.0, 3.0, 4.0)
AFTER = (1.1, 2.3, 3.1, 4.3)


def test_few_units_have_students_interval() -> None:
    """By hand: the differences 0.1, 0.3, 0.1, 0.3 have the mean 0.2 and the deviation sqrt(0.04 / 3)."""
    found = Difference.of(BEFORE, AFTER)
    half = 3.182446305284263 * math.sqrt(0.04 / 3) / 2
    assert (found.centre, found.lo, found.hi) == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    assert (found.units, found.alike, found.deviation) == (4, 0, pytest.approx(math.sqrt(0.04 / 3)))
    theirs = stats.ttest_rel(AFTER, BEFORE).confidence_interval(0.95)
    assert (found.lo, found.hi) == pytest.approx((theirs.low, theirs.high))


def test_pairing_takes_out_what_makes_a_unit_hard() -> None:
    apart = sample_mean(AFTER)
    assert apart.hi - apart.lo > 10 * (Difference.of(BEFORE, AFTER).hi - Difference.of(BEFORE, AFTER).lo)


def test_many_units_have_the_bootstrap_that_scipy_gives_the_same_each_time() -> None:
    values = np.random.default_rng(7).lognormal(size=2 * MANY)
    found = sample_mean(values.tolist())
    theirs = stats.bootstrap((values,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(0))
    assert found == (
        pytest.approx(values.mean()),
        theirs.confidence_interval.low,
        theirs.confidence_interval.high,
    )
    assert sample_mean(values.tolist()) == found
    assert found.hi - found.centre > found.centre - found.lo, "the long tail lies above"


@pytest.mark.parametrize("count", [MANY - 1, HUGE])
def test_fewer_and_far_more_units_have_students_interval(count: int) -> None:
    values = np.random.default_rng(1).lognormal(size=count)
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert sample_mean(values.tolist())[1:] == pytest.approx((theirs.low, theirs.high))


def test_zeros_and_ones_are_a_share() -> None:
    found = sample_mean([1.0] * 9 + [0.0])
    z = stats.norm.ppf(0.975)
    centre, half = (0.9 + z**2 / 20) / (1 + z**2 / 10), z * math.sqrt(0.009 + z**2 / 400) / (1 + z**2 / 10)
    assert found == (0.9, pytest.approx(centre - half), pytest.approx(centre + half))
    assert found.hi < 1


@pytest.mark.parametrize("values", [[1.0], [1.0] * 5, [0.0] * 200, [math.inf] * 2])
def test_equal_values_say_nothing_of_others(values: list[float]) -> None:
    centre, lo, hi = sample_mean(values)
    assert centre == values[0]
    assert math.isnan(lo)
    assert math.isnan(hi)


@pytest.mark.parametrize(
    ("before", "after", "centre", "bounds"),
    [
        ((1.0, math.inf), (1.0, math.inf), 0.0, (0.0, 0.0)),
        ((1.0,), (1.0,), 0.0, (0.0, 0.0)),
        ((1.0,), (2.0,), 1.0, (math.nan, math.nan)),
        ((1.0, 2.0), (1.0, math.inf), math.inf, (math.inf, math.inf)),
        ((1.0, math.inf), (1.0, 2.0), -math.inf, (-math.inf, -math.inf)),
        ((1.0, math.inf), (math.inf, 2.0), math.nan, (math.nan, math.nan)),
        ((1.0, 2.0), (1.0, math.nan), math.nan, (math.nan, math.nan)),
        ((0.0, 0.0), (1e300, 1.0), 5e299, (math.nan, math.nan)),
        ((1.0, 2.0, 3.0), (2.0, 3.0, 4.0), 1.0, (1.0, 1.0)),
    ],
)
def test_the_edges(
    before: tuple[float, ...], after: tuple[float, ...], centre: float, bounds: tuple[float, float]
) -> None:
    found = Difference.of(before, after)
    assert (found.centre, found.lo, found.hi) == pytest.approx((centre, *bounds), nan_ok=True)


def test_sides_of_unlike_numbers_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Difference.of((1.0, 2.0), (1.0,))


@pytest.mark.parametrize("ones", [1, 2, MANY - 1])
def test_samples_of_two_values_have_an_interval_that_holds_the_mean(ones: int) -> None:
    found = Difference.of((0.0,) * MANY, (1.0,) * ones + (0.0,) * (MANY - ones))
    assert found.alike == MANY - ones
    assert found.lo <= found.centre <= found.hi
    assert found.lo < found.hi


def test_values_that_differ_by_the_last_bit_have_an_interval() -> None:
    values = [0.1] * MANY
    values[3] = math.nextafter(0.1, 1)
    assert sample_mean(values) == pytest.approx(Interval(0.1, 0.1, 0.1))


@pytest.mark.parametrize("limit", [0.0, 0.19, 0.1, 0.4])
def test_units_needed_part_the_mean_from_the_limit_and_one_less_does_not(limit: float) -> None:
    found = Difference.of(BEFORE, AFTER)

    def parts(count: int) -> bool:
        half = stats.t.ppf(0.975, count - 1) * found.deviation / math.sqrt(count)
        return bool(half <= abs(found.centre - limit))

    count = found.needed(limit)
    assert parts(count)
    assert count == 4 or not parts(count - 1)


def test_no_number_of_units_parts_a_mean_from_itself() -> None:
    flat = Difference.of((1.0, 1.0), (1.0, 3.0))
    assert flat.needed(1.0) == 1_000_000
    assert Difference.of((1.0,), (2.0,)).needed(0.5) == 0
    assert flat.centre == 1.0
