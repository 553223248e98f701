"""Timing: a clock, a budget and callables become raw values, in the order taken, in seconds per call.

Usable in a notebook, in one process:

    from harness.measure import interleave
    timings = interleave({"fp32": lambda: linear(x), "bit": lambda: layer(x)}, seconds=2.0)
    timings                         # a table: medians, and speed-ups over the first with their intervals
    timings["bit"].values           # seconds per call
"""

import gc
import itertools
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from harness.layout import Layout
from harness.timings import Timing, Timings

Member = TypeVar("Member")

Call = Callable[[], object]
Take = Callable[[Member, int, int], Sequence[float]]
"""(member, iterations, samples) -> seconds per call of each sample; the member is warmed up before the first."""

ORDER = "blocks of a random permutation and its mirror image (ABBA for two), from the recorded seed"
SAMPLES_A_VISIT = 2
"""So that a call longer than the sample target spends two thirds of its visit in timed regions, and not half."""
SLOW_SHARE = 4.0
"""A member whose sample exceeds this many sample targets is visited in proportionally fewer blocks."""


class Clock(Protocol):
    """What can time a call."""

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        """Seconds that `iterations` calls take together, at least one, and what the last of them returned."""


class WallClock:
    """The monotonic clock of the operating system, with the device drained before and after."""

    def __init__(
        self, now: Callable[[], float] = time.perf_counter, synchronise: Callable[[], object] | None = None
    ) -> None:
        self.now = now
        self.synchronise = synchronise

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        """Seconds that `iterations` calls take together, until the device has finished them, and the last output."""
        now, synchronise = self.now, self.synchronise
        if synchronise is not None:
            synchronise()
        start = now()
        for _ in itertools.repeat(None, iterations - 1):
            call()  # its output is let go of at once: to keep it would have the next one written elsewhere
        output = call()
        if synchronise is not None:
            synchronise()
        return now() - start, output


@contextmanager
def collector_paused() -> Iterator[None]:
    """No garbage collection inside: a collection would be charged to whoever happens to run."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def visit(clock: Clock, call: Call, iterations: int, samples: int, warmup: int = 1) -> tuple[tuple[float, ...], object]:
    """Warm up, then time `samples` inner loops; returns seconds per call of each, and what the last call returned.

    The warm-up refills the caches that other members have used.
    """
    values: list[float] = []
    output: object = None
    with collector_paused():
        for _ in range(warmup):
            call()
        for _ in range(samples):
            output = None  # whoever is timed next must find the memory of the last output free
            seconds, output = clock.elapsed(call, iterations)
            values.append(seconds / iterations)
    return tuple(values), output


def calibrate(take: Take[Member], member: Member, sample: float) -> int:
    """The inner loop count, a power of two, with which one sample lasts about `sample` seconds or one call.

    A count is believed when a second sample confirms it: one interruption must not leave a short call alone with the
    cost of looking at the clock, for all rounds.
    """
    iterations = 1
    while True:
        seconds = min(take(member, iterations, 1)) * iterations
        if seconds >= sample / 2:
            seconds = min(seconds, min(take(member, iterations, 1)) * iterations)
        if seconds >= sample / 2:
            return iterations
        # Grow by at most 64 at a time: the first estimate of a very short call is mostly clock.
        factor = min(64.0, sample / max(seconds, sample / 64))
        iterations *= 2 ** max(1, round(math.log2(factor)))


def take_turns(
    take: Take[Member],
    iterations: Mapping[Member, int],
    *,
    seconds: float,
    sample: float,
    rng: random.Random,
    now: Callable[[], float] = time.perf_counter,
    after_block: Callable[[], object] = lambda: None,
) -> Timings[Member]:
    """Time all members interleaved until `seconds` are spent, at least one block.

    A block visits the members in a random order and then in the reverse of it, so that a drift of the machine within
    the block falls on all alike. Members whose samples are long sit out blocks at regular intervals, so that one slow
    member does not use up the time of the others.
    """
    taken: dict[Member, list[tuple[float, int]]] = {member: [] for member in iterations}
    strides: dict[Member, int] = {}
    start = now()
    for block in itertools.count():
        order = [member for member in iterations if block % strides.get(member, 1) == 0]
        rng.shuffle(order)
        for member in [*order, *reversed(order)]:
            taken[member] += [(value, block) for value in take(member, iterations[member], SAMPLES_A_VISIT)]
        after_block()
        if block == 0:
            strides = {member: _stride(pairs, iterations[member], sample) for member, pairs in taken.items()}
        if now() - start >= seconds:
            break
    return Timings(
        (member, Timing(tuple(v for v, _ in pairs), iterations[member], tuple(block for _, block in pairs)))
        for member, pairs in taken.items()
    )


def _stride(taken: Sequence[tuple[float, int]], iterations: int, sample: float) -> int:
    """Every how many blocks a member is visited whose first block took so long."""
    return max(1, math.ceil(min(taken)[0] * iterations / (SLOW_SHARE * sample)))


def interleave(
    calls: Mapping[str, Call],
    *,
    seconds: float = 1.0,
    sample: float = 0.005,
    seed: int = 0,
    clock: Clock | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> Timings[str]:
    """Time several calls against each other in this process, for about `seconds` in all.

    Raises ValueError for what is no name to call mapping, and for times that are not above 0.
    """
    _require_calls(calls, seconds, sample)
    chosen = clock or WallClock()

    def take(name: str, iterations: int, samples: int) -> Sequence[float]:
        return visit(chosen, calls[name], iterations, samples)[0]

    counts = {name: calibrate(take, name, sample) for name in calls}
    return take_turns(take, counts, seconds=seconds, sample=sample, rng=random.Random(seed), now=now)


def interleave_builds(
    builds: Mapping[str, Callable[[], Call]],
    *,
    seconds: float = 1.0,
    sample: float = 0.005,
    seed: int = 0,
    clock: Clock | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> Timings[str]:
    """As `interleave`, of calls that are built anew now and then, so that where they lie in memory averages out."""
    _require_calls(builds, seconds, sample)
    chosen = clock or WallClock()
    calls: dict[str, Call] = {}
    layouts: dict[str, Layout] = {}

    def build(name: str) -> Call:
        call = builds[name]()
        call()
        return call

    def take(name: str, iterations: int, samples: int) -> Sequence[float]:
        if layouts[name].is_due:
            calls[name] = layouts[name].rebuild(lambda: build(name), now)
        values, _ = visit(chosen, calls[name], iterations, samples)
        layouts[name].timed += sum(values) * iterations
        return values

    for name in builds:
        start = now()
        calls[name] = build(name)
        layouts[name] = Layout(now() - start)
    counts = {name: calibrate(take, name, sample) for name in builds}
    return take_turns(take, counts, seconds=seconds, sample=sample, rng=random.Random(seed), now=now)


def _require_calls(calls: object, seconds: float, sample: float) -> None:
    if not isinstance(calls, Mapping) or not calls or not all(map(callable, calls.values())):
        raise ValueError(f"{calls!r} is no mapping of names to calls; give {{'mine': lambda: mine(x), ...}}")
    if not (0 < seconds < math.inf and 0 < sample < math.inf):
        raise ValueError(f"{seconds=}, {sample=}; give seconds above 0")
