"""Who is timed when: randomised blocks, ABBA for two, until the time is spent. Imports no torch."""

import itertools
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.model import Measurement
from harness.model.units import amount


@dataclass(frozen=True, repr=False)
class Timing:
    """Raw values of one member: seconds per call, in the order taken, each over `iterations` calls."""

    values: tuple[float, ...]
    iterations: int
    blocks: tuple[int, ...] = ()
    """The block that each value was taken in."""

    @property
    def median(self) -> float:
        """Median seconds per call. A point estimate: one process gives no honest interval."""
        return statistics.median(self.values)

    def by_block(self) -> dict[int, Measurement]:
        """The values of each block."""
        values: dict[int, list[float]] = {}
        for block, value in zip(self.blocks, self.values, strict=True):
            values.setdefault(block, []).append(value)
        return {block: Measurement("latency", tuple(some), self.iterations) for block, some in values.items()}

    def __str__(self) -> str:
        return f"{amount(self.median, 's')} per call ({self.effort})"

    def __repr__(self) -> str:
        return f"<Timing: {self}>"

    @property
    def effort(self) -> str:
        """What the median rests on."""
        return f"median of {len(self.values)} samples of {self.iterations} call{'s' * (self.iterations > 1)}"


Member = TypeVar("Member")


Take = Callable[[Member, int, int], Sequence[float]]
"""(member, iterations, samples) -> seconds per call of each sample; the member is warmed up before the first."""


ORDER = "blocks of a random permutation and its mirror image (ABBA for two), from the recorded seed"


SAMPLES_A_VISIT = 2
"""So that a call longer than the sample target spends two thirds of its visit in timed regions, and not half."""


SLOW_SHARE = 4.0
"""A member whose sample exceeds this many sample targets is visited in proportionally fewer blocks."""


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
    after_block: Callable[[Member], object] = lambda _: None,
) -> dict[Member, Timing]:
    """Time all members interleaved until `seconds` are spent, at least one block.

    A block visits the members in a random order and then in the reverse of it, so that a drift of the machine within
    the block falls on all alike. Members whose samples are long sit out blocks at regular intervals, so that one slow
    member does not use up the time of the others. `after_block` is told the member that was visited last.
    """
    taken: dict[Member, list[tuple[float, int]]] = {member: [] for member in iterations}
    strides: dict[Member, int] = {}
    start = now()
    for block in itertools.count():
        order = [member for member in iterations if block % strides.get(member, 1) == 0]
        rng.shuffle(order)
        for member in [*order, *reversed(order)]:
            taken[member] += [(value, block) for value in take(member, iterations[member], SAMPLES_A_VISIT)]
            last = member
        after_block(last)
        if block == 0:
            strides = {member: _stride(pairs, iterations[member], sample) for member, pairs in taken.items()}
        if now() - start >= seconds:
            break
    return {
        member: Timing(tuple(v for v, _ in pairs), iterations[member], tuple(block for _, block in pairs))
        for member, pairs in taken.items()
    }


def _stride(taken: Sequence[tuple[float, int]], iterations: int, sample: float) -> int:
    """Every how many blocks a member is visited whose first block took so long."""
    return max(1, math.ceil(min(taken)[0] * iterations / (SLOW_SHARE * sample)))
