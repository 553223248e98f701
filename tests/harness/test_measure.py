"""Schedules and loops, on a clock that only moves when told to."""

import gc
import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.measure import interleave, interleave_builds
from harness.runner.schedule import WARM, Loop, Visit, calibrate, take_turns
from harness.worker.layout import Layout
from harness.worker.visit import Call, WallClock, visit


class FakeTime:
    """Time that passes when a call spends it, and a little when it is looked at."""

    def __init__(self, glance: float = 0.0) -> None:
        self.time = 100.0
        self.glance = glance

    def now(self) -> float:
        self.time += self.glance
        return self.time

    def spend(self, seconds: float) -> None:
        self.time += seconds


def test_a_sample_is_per_call_and_excludes_the_warm_up() -> None:
    fake = FakeTime()
    calls: list[float] = []

    def call() -> int:
        calls.append(fake.time)
        fake.spend(9.0 if len(calls) == 1 else 0.25)
        return len(calls)

    values, output = visit(WallClock(fake.now), call, iterations=4, samples=3)
    assert values == (0.25, 0.25, 0.25)
    assert output == len(calls), "that of the last timed call, to be judged"
    assert len(calls) == 1 + 3 * 4


def test_a_queueing_device_is_waited_for_before_and_inside_the_timed_region() -> None:
    fake = FakeTime()
    queued = [7.0]

    def wait() -> None:
        fake.spend(sum(queued))
        queued.clear()

    assert WallClock(fake.now, wait).elapsed(lambda: queued.append(0.5), 4) == (2.0, None)


def test_the_collector_is_paused_while_timing_and_restored_after_a_failure() -> None:
    states = []

    def call() -> None:
        states.append(gc.isenabled())
        if len(states) == 3:
            raise ValueError("contestant")

    with pytest.raises(ValueError, match="contestant"):
        visit(WallClock(), call, iterations=5, samples=1)
    assert states == [False] * 3
    assert gc.isenabled()


@given(st.floats(1e-8, 10.0), st.floats(1e-4, 0.1))
def test_calibration_lands_within_a_factor_of_two_of_the_sample(call_seconds: float, sample: float) -> None:
    count, seconds = calibrate(lambda _, visit: [call_seconds] * visit.samples, "member", sample)
    assert count & (count - 1) == 0
    assert count == 1 or sample / 2 <= count * call_seconds <= 2 * sample
    assert seconds == count * call_seconds


def test_one_interruption_does_not_mislead_calibration() -> None:
    interruptions = iter([1.0])
    loop = calibrate(lambda _, visit: [1e-5 + next(interruptions, 0.0)] * visit.samples, "member", 0.005)
    assert loop.iterations == 512


def test_a_long_call_is_believed_at_once_if_the_first_one_was_as_long() -> None:
    visits: list[Visit] = []

    def take(member: str, visit: Visit) -> list[float]:
        visits.append(visit)
        return [1.0] * visit.samples

    assert calibrate(take, "long", 0.005, first_call=1.2) == Loop(1, 1.0)
    assert visits == [Visit(1, 1, 0)]
    assert calibrate(take, "interrupted", 0.005, first_call=0.001) == Loop(1, 1.0)
    assert visits[1:] == [Visit(1, 1, 0)] * 2, "it is asked again"


def _turns(costs: dict[str, float], seconds: float, seed: int = 0) -> tuple[list[str], dict[str, Sequence[float]]]:
    fake = FakeTime()
    order: list[str] = []

    def take(member: str, visit: Visit) -> list[float]:
        order.append(member)
        fake.spend(costs[member] * visit.iterations * visit.samples)
        return [costs[member]] * visit.samples

    loops = {member: Loop(1, cost) for member, cost in costs.items()}
    timings = take_turns(take, loops, seconds=seconds, sample=1.0, rng=random.Random(seed), now=fake.now)
    return order, {member: timing.values for member, timing in timings.items()}


def test_two_members_take_turns_as_abba_or_baab() -> None:
    order, values = _turns({"a": 1.0, "b": 1.0}, seconds=39.5)
    blocks = {"".join(order[i : i + 4]) for i in range(0, len(order), 4)}
    assert blocks == {"abba", "baab"}
    assert len(values["a"]) == len(values["b"]) == 20


def test_every_block_is_its_own_mirror_image_and_the_seed_decides_it() -> None:
    order, _ = _turns(dict.fromkeys("abcde", 1.0), seconds=99.5)
    for start in range(0, len(order), 10):
        block = order[start : start + 10]
        assert block == block[::-1]
        assert set(block) == set("abcde")
    assert order == _turns(dict.fromkeys("abcde", 1.0), seconds=99.5)[0]
    assert order != _turns(dict.fromkeys("abcde", 1.0), seconds=99.5, seed=1)[0]


def test_a_slow_member_sits_out_blocks_but_is_always_measured() -> None:
    order, values = _turns({"fast": 1.0, "slow": 40.0}, seconds=500.0)
    visits = Counter(order)
    assert visits["fast"] > 16 * visits["slow"] >= 32
    assert set(values["slow"]) == {40.0}


@given(st.lists(st.floats(0.1, 1000.0), min_size=1, max_size=9))
def test_the_first_block_has_everybody_and_the_slow_ones_once(costs: list[float]) -> None:
    """A slow one takes longer than four sample targets, and than four samples of a middling member."""
    named = {f"member {number}": cost for number, cost in enumerate(costs)}
    order, values = _turns(named, seconds=0.0)
    middling = sorted(costs)[(len(costs) - 1) // 2]
    for name, cost in named.items():
        slow = cost > 4 * max(1.0, middling)
        assert order.count(name) == (1 if slow else 2)
        assert len(values[name]) == order.count(name) * (2 if cost < WARM else 1)


def test_a_slow_member_is_not_always_in_the_same_half_of_a_block() -> None:
    halves = {_turns({"a": 1.0, "slow": 40.0, "b": 1.0}, 0.0, seed)[0].index("slow") < 2 for seed in range(20)}
    assert halves == {True, False}


def test_rivals_that_are_all_slow_are_in_every_block_both_ways() -> None:
    order, _ = _turns({"a": 40.0, "b": 40.0}, seconds=790.0)
    assert {"".join(order[i : i + 4]) for i in range(0, len(order), 4)} == {"abba", "baab"}


def test_after_every_block_it_is_told_who_was_visited_last() -> None:
    fake, visited = FakeTime(), []
    told: list[tuple[str, str]] = []

    def take(member: str, visit: Visit) -> list[float]:
        visited.append(member)
        fake.spend(1.0)
        return [1.0] * visit.samples

    loops = {"a": Loop(1, 1.0), "b": Loop(1, 1.0)}
    take_turns(
        take,
        loops,
        seconds=50.0,
        sample=1.0,
        rng=random.Random(2),
        now=fake.now,
        after_block=lambda last: told.append((last, visited[-1])),
    )
    assert {last for last, _ in told} == {"a", "b"}
    assert all(last == visit for last, visit in told)


def test_a_linear_drift_cancels_between_members() -> None:
    fake = FakeTime()

    def take(member: str, visit: Visit) -> list[float]:
        value = 1.0 + fake.time / 1000
        fake.spend(1.0)
        return [value] * visit.samples

    loops = {"a": Loop(1, 1.0), "b": Loop(1, 1.0)}
    timings = take_turns(take, loops, seconds=39.5, sample=1.0, rng=random.Random(3), now=fake.now)
    assert sum(timings["a"].values) == pytest.approx(sum(timings["b"].values))


def test_three_lines_in_a_notebook() -> None:
    fake = FakeTime()
    timings = interleave(
        {"fast": lambda: fake.spend(0.001), "slow": lambda: fake.spend(0.003)},
        seconds=1.0,
        clock=WallClock(fake.now),
        now=fake.now,
    )
    assert timings["slow"].median / timings["fast"].median == pytest.approx(3.0)
    assert str(timings["fast"]).startswith("1.00 ms per call (median of ")
    assert len(repr(timings["fast"])) < 100, "a notebook that is shown one shows no thousand values"


def test_what_interleave_gives_reads_as_a_table_with_ratios_and_intervals() -> None:
    fake, jitter = FakeTime(), random.Random(0)
    timings = interleave(
        {
            "fp32": lambda: fake.spend(0.003),
            "bit": lambda: fake.spend(0.002 * jitter.uniform(0.9, 1.1)),
            "slow": lambda: fake.spend(0.009),
        },
        seconds=20.0,
        clock=WallClock(fake.now),
        now=fake.now,
    )
    first, *rows = [line.split() for line in repr(timings).splitlines()[1:4]]
    assert first[:4] == ["fp32", "3.00", "ms", "1x"]
    name, _, unit, ratio, interval, *effort = rows[0]
    assert (name, unit, ratio[:3]) == ("bit", "ms", "1.5")
    assert 0 < float(interval.strip("±%")) < 5
    assert effort[:2] == ["median", "of"]
    assert rows[1][:5] == ["slow", "9.00", "ms", "0.33x", "±0.0%"]
    assert timings.ratio("fp32", "bit").ratio == pytest.approx(1 / timings.ratio("bit").ratio)
    assert "<td" in timings._repr_html_()
    assert list(timings) == ["fp32", "bit", "slow"]


def test_builds_are_made_anew_at_another_place_and_cost_little_beside_the_timing() -> None:
    fake = FakeTime()
    builds: list[str] = []

    def builder(name: str) -> Callable[[], Call]:
        def build() -> Call:
            builds.append(name)
            fake.spend(0.01)
            return lambda: fake.spend(0.001)

        return build

    timings = interleave_builds(
        {"a": builder("a"), "b": builder("b")}, seconds=2.0, clock=WallClock(fake.now), now=fake.now
    )
    assert timings["a"].median == pytest.approx(0.001)
    assert builds.count("a") > 5
    assert sum(timings["a"].values) * timings["a"].iterations > 2 * builds.count("a") * 0.01


def test_a_build_that_is_dear_is_kept() -> None:
    layout = Layout(cost=10.0)
    layout.timed = 10.0
    assert not layout.is_due
    layout.timed = 1000.0
    assert layout.is_due
    assert layout.rebuild(lambda: "new", iter([0.0, 3.0]).__next__) == "new"
    assert (layout.cost, layout.timed, layout.builds) == (3.0, 0.0, 2)


@pytest.mark.parametrize(
    ("calls", "options", "words"),
    [
        ([1], {}, "no mapping of names to calls"),
        ({}, {}, "no mapping of names to calls"),
        ({"a": 3}, {}, "no mapping of names to calls"),
        ({"a": int}, {"seconds": -1.0}, "give seconds above 0"),
        ({"a": int}, {"sample": float("nan")}, "give seconds above 0"),
    ],
)
def test_what_cannot_be_timed_is_said(calls, options, words):
    for time_them in (interleave, interleave_builds):
        with pytest.raises(ValueError, match=words):
            time_them(calls, **options)
