import math
import random
import statistics
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.estimators.intervals import (
    ONE_ROUND,
    Rounds,
    log_ratio,
    round_value,
    rounds_needed,
)
from harness.estimators.looks import LOOKED_AT, LOOKS
from harness.model import Measurement
from harness.model.metrics import METRICS, Exact

LATENCY = METRICS["latency"]
BYTES = METRICS["weight_bytes"]
SQNR = METRICS["error_sqnr"]

durations = st.floats(1e-9, 1e3)
sampled_rounds = st.lists(st.lists(durations, min_size=1, max_size=5), min_size=2, max_size=8)
scales = st.floats(1e-3, 1e3)
TINY = 1e-9


def taken(values: Sequence[float], blocks: Sequence[int] = ()) -> Measurement:
    return Measurement("latency", tuple(values), 1, tuple(blocks))


def by_number(values: list[list[float]]) -> Rounds:
    return {number: taken(one) for number, one in enumerate(values)}


@given(sampled_rounds)
def test_the_interval_contains_the_centre_and_the_centre_lies_among_the_rounds(values: list[list[float]]) -> None:
    summary = LATENCY.summarise(values)
    middles = [round_value(one) for one in values]
    assert summary.lo <= summary.centre <= summary.hi
    assert min(middles) * (1 - TINY) <= summary.centre <= max(middles) * (1 + TINY)
    assert (summary.n, summary.warnings) == (len(values), ())


@given(sampled_rounds, scales)
def test_another_unit_gives_the_same_interval(values: list[list[float]], scale: float) -> None:
    here = LATENCY.summarise(values)
    there = LATENCY.summarise([[value * scale for value in one] for one in values])
    for name in ("centre", "lo", "hi"):
        assert getattr(there, name) == pytest.approx(getattr(here, name) * scale, rel=1e-6, abs=0)


@given(sampled_rounds, st.randoms(use_true_random=False))
def test_the_order_of_rounds_does_not_matter(values: list[list[float]], rng: random.Random) -> None:
    shuffled = rng.sample(values, len(values))
    assert LATENCY.summarise(shuffled).hi == pytest.approx(LATENCY.summarise(values).hi, rel=1e-9)
    numbers = rng.sample(range(len(values)), len(values))
    base, head = by_number(values), {n: taken([2 * value for value in values[n]]) for n in numbers}
    assert LATENCY.compare(base, head, paired=True).ratio == pytest.approx(2)


@given(sampled_rounds, st.lists(scales, min_size=8, max_size=8))
def test_swapping_the_sides_inverts_a_ratio(values: list[list[float]], factors: list[float]) -> None:
    head = by_number([[value * factors[n] for value in one] for n, one in enumerate(values)])
    for paired in (True, False):
        there = LATENCY.compare(by_number(values), head, paired=paired)
        back = LATENCY.compare(head, by_number(values), paired=paired)
        assert there.ratio * back.ratio == pytest.approx(1)
        assert there.lo <= there.ratio <= there.hi
        if 0 < back.hi < math.inf:
            assert there.lo == pytest.approx(1 / back.hi, rel=1e-6, abs=0)


def test_the_interval_is_students() -> None:
    """For logs 0, 1, 2: mean 1, standard error 1/sqrt(3), and t = 4.3027 at two degrees of freedom (any t table)."""
    summary = LATENCY.summarise([[math.e**n] for n in range(3)])
    assert math.log(summary.centre) == pytest.approx(1)
    assert math.log(summary.hi) == pytest.approx(1 + 4.302653 / math.sqrt(3), abs=1e-6)


def test_the_unpaired_ratio_is_welchs() -> None:
    """Against `scipy.stats`, on sides of different size and noise."""
    stats = pytest.importorskip("scipy.stats")
    rng = random.Random(1)
    base = [rng.lognormvariate(0, 0.02) for _ in range(4)]
    head = [rng.lognormvariate(0.1, 0.2) for _ in range(9)]
    ours = LATENCY.compare(by_number([[v] for v in base]), by_number([[v] for v in head]))
    theirs = stats.ttest_ind([math.log(v) for v in head], [math.log(v) for v in base], equal_var=False)
    interval = theirs.confidence_interval(0.95)
    assert (math.log(ours.lo), math.log(ours.hi)) == pytest.approx((interval.low, interval.high))


def test_pairing_removes_what_a_round_does_to_both() -> None:
    luck = [1.0, 1.5, 0.7, 1.2]
    base, head = by_number([[v] for v in luck]), by_number([[1.1 * v] for v in luck])
    paired, unpaired = LATENCY.compare(base, head, paired=True), LATENCY.compare(base, head)
    assert (paired.lo, paired.hi) == pytest.approx((1.1, 1.1))
    assert unpaired.lo < 0.9 < 1.3 < unpaired.hi
    assert (paired.paired, unpaired.paired) == (True, False)


def test_only_common_rounds_are_paired() -> None:
    ratio = LATENCY.compare(
        by_number([[1.0], [2.0], [9.0]]), {1: taken([4.0]), 0: taken([2.0]), 5: taken([1.0])}, paired=True
    )
    assert (ratio.ratio, ratio.lo, ratio.hi) == (2, 2, 2)
    apart = LATENCY.compare({0: taken([1.0])}, {1: taken([1.0])}, paired=True)
    assert math.isnan(apart.ratio)
    assert "no round has both sides" in apart.warnings[0]


@pytest.mark.parametrize("paired", [True, False])
def test_one_round_has_no_interval_and_names_the_cure(paired: bool) -> None:
    summary = LATENCY.summarise([[2e-6, 4e-6]])
    assert summary.centre == pytest.approx(3e-6)
    assert (summary.n, summary.warnings) == (1, (ONE_ROUND,))
    assert math.isnan(summary.lo)
    assert math.isnan(summary.hi)
    both = LATENCY.compare(by_number([[1.0]]), by_number([[2.0]]), paired=paired)
    assert (both.ratio, both.warnings) == (2, (ONE_ROUND,))
    assert math.isnan(both.hi)


def test_a_metric_taken_once_a_run_does_not_ask_for_rounds() -> None:
    summary = METRICS["first_call"].summarise([[1.5]])
    assert (summary.centre, summary.warnings) == (1.5, ())


@pytest.mark.parametrize("bad", [0.0, -1e-6, math.nan, math.inf])
def test_values_that_are_no_durations_are_left_out_with_a_warning(bad: float) -> None:
    values = [[1.0], [bad], [1.0]]
    summary = LATENCY.summarise(values)
    assert (summary.centre, summary.n) == (1, 2)
    assert "1 of 3 rounds left out" in summary.warnings[0]
    for paired in (True, False):
        both = LATENCY.compare(by_number(values), by_number(values), paired=paired)
        assert (both.ratio, both.hi) == (1, 1)
        assert "left out" in both.warnings[0]
    assert math.isnan(LATENCY.summarise([[bad]]).centre)
    assert math.isnan(LATENCY.summarise([]).centre)


@pytest.mark.parametrize("noise", [0.003, 0.05])
def test_the_interval_covers_the_truth_as_often_as_it_says(noise: float) -> None:
    """2,000 simulated runs of 5 rounds; three standard deviations of the count are 1.5 %."""
    rng = random.Random(2)
    covered = shut = 0
    for _ in range(2000):
        luck = [rng.gauss(0, 0.2) for _ in range(5)]
        base = {n: taken([math.exp(luck[n] + rng.gauss(0, noise))]) for n in range(5)}
        head = {n: taken([1.1 * math.exp(luck[n] + rng.gauss(0, noise))]) for n in range(5)}
        paired = LATENCY.compare(base, head, paired=True)
        covered += paired.lo <= 1.1 <= paired.hi
        centred = LATENCY.summarise([base[n].values for n in range(5)])
        shut += centred.lo <= 1 <= centred.hi
    assert covered / 2000 == pytest.approx(0.95, abs=0.015)
    assert shut / 2000 == pytest.approx(0.95, abs=0.015)


def test_the_ratio_of_a_round_is_that_of_what_was_taken_close_together() -> None:
    """The machine gets ten times slower from block to block; the candidate takes 5 % longer throughout."""
    base = taken([1.0, 1.0, 10.0, 10.0, 100.0, 1000.0], [0, 0, 1, 1, 2, 3])
    head = taken([1.05, 105.0, 1050.0], [0, 2, 3])
    assert math.exp(log_ratio(base, head)) == pytest.approx(1.05)
    spoilt = taken([1.05, 10.5, 900.0, 1050.0], [0, 1, 2, 3])
    assert math.exp(log_ratio(base, spoilt)) == pytest.approx(1.05)
    assert log_ratio(base, base) == 0
    assert math.exp(log_ratio(taken([1.0, 3.0]), taken([4.0]))) == pytest.approx(2)  # no blocks: medians
    assert math.isnan(log_ratio(taken([1.0] * 3, [0, 1, 2]), taken([1.0, math.nan, 1.0], [0, 1, 2])))


@pytest.mark.parametrize("noise", [0.5, 0.8, 1.2, 2.0, 4.0])
def test_an_interval_that_was_looked_at_repeatedly_holds(noise: float) -> None:
    """Same code on both sides, `noise` in units of the precision: 4,000 contests that end at the first look at which
    the interval is narrow enough. Three standard deviations of the count are 1 %.
    """
    rng = random.Random(5)
    covered, precision = 0, 0.02
    for _ in range(4000):
        base, head = {}, {}
        for look in LOOKS:
            for n in range(len(base), look):
                base[n], head[n] = taken([1.0]), taken([math.exp(rng.gauss(0, noise * precision))])
            ratio = LATENCY.compare(base, head, looked_at=True, paired=True)
            if math.log(ratio.hi / ratio.ratio) <= precision:
                break
        covered += ratio.lo <= 1 <= ratio.hi
    assert 0.93 <= covered / 4000 <= 0.98
    assert ratio.baseline.confidence == 0.95 < LOOKED_AT


def test_rounds_needed_makes_the_interval_as_narrow_as_asked() -> None:
    needed = rounds_needed(3, half_width=0.1, target=0.025)
    rng = random.Random(3)
    noise = 0.1 * math.sqrt(3) / 2.776445 / math.sqrt(2)  # of one round of one side; t at four degrees of freedom
    widths = []
    for _ in range(300):
        base, head = ({n: taken([math.exp(rng.gauss(0, noise))]) for n in range(needed)} for _ in range(2))
        ratio = LATENCY.compare(base, head)
        widths.append(math.log(ratio.hi / ratio.ratio))
    assert statistics.median(widths) == pytest.approx(0.025, rel=0.15)
    assert rounds_needed(3, half_width=10.0, target=0.001) == 1000


@pytest.mark.parametrize(
    ("metric", "base", "value", "same"),
    [
        (BYTES, 100, 100, True),
        (BYTES, 100, 101, False),
        (SQNR, 8.0, 8.009, True),
        (SQNR, 8.0, 8.02, False),
        (SQNR, math.inf, math.inf, True),
        (SQNR, math.inf, 8.0, False),
        (SQNR, math.nan, math.nan, False),
        (METRICS["error_relative"], 1.0, 1.0009, True),
        (METRICS["error_relative"], math.inf, 1.0, False),
    ],
)
def test_tolerance(metric: Exact, base: float, value: float, same: bool) -> None:
    assert metric.is_same(base, value) is same


def test_exact_metrics_are_their_value() -> None:
    summary = BYTES.summarise([[640.0], [640.0]])
    assert (summary.centre, summary.lo, summary.hi, summary.warnings) == (640, 640, 640, ())
    wobbly = BYTES.summarise([[640.0], [700.0], [640.0]])
    assert (wobbly.centre, wobbly.lo, wobbly.hi) == (640, 640, 700)
    assert "should be exact and differs" in wobbly.warnings[0]
    assert math.isnan(SQNR.summarise([[8.0], [math.nan]]).centre)


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [(2, 3, 1.5), (0, 0, 1), (math.inf, math.inf, 1), (math.inf, 4, 0), (4, math.inf, math.inf)],
)
def test_exact_ratios(base: float, head: float, expected: float) -> None:
    ratio = BYTES.compare(by_number([[base]]), by_number([[head]]))
    assert (ratio.ratio, ratio.lo, ratio.hi) == (expected, expected, expected)
    assert math.isnan(BYTES.compare(by_number([[0.0]]), by_number([[3.0]])).ratio)
