"""Who is timed when: randomised blocks, ABBA for two, until the time is spent. Imports no torch."""

import itertools
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

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


class Visit(NamedTuple):
    """What is done when a member has its turn."""

    iterations: int
    """Calls in one sample."""
    samples: int
    warmups: int
    """Calls before the first sample, which bring back to the caches what others have driven out."""


class Loop(NamedTuple):
    """How a member is timed, once that is known."""

    iterations: int
    """Calls in one sample."""
    seconds: float
    """Of one sample, about."""


Take = Callable[[Member, Visit], Sequence[float]]
"""(member, visit) -> seconds per call of each sample."""


ORDER = "blocks of a random permutation and its mirror image (ABBA for two), from the recorded seed"


SAMPLES_A_VISIT = 2
"""So that a call as long as the sample target spends two thirds of its visit in timed regions, and not half."""


SLOW_SHARE = 4.0
"""A member whose sample exceeds this many sample targets, and as many samples of a middling rival, is visited in
proportionally fewer blocks, and once in each."""


WARM = 0.25
"""Seconds of a call that needs no call before it, because to fill the largest cache takes some hundredths of that, and
no second one after it."""


def calibrate(take: Take[Member], member: Member, sample: float, first_call: float = 0.0) -> Loop:
    """The loop: its count is a power of two with which one sample lasts about `sample` seconds, or one call.

    A count is believed when a second sample confirms it: one interruption must not leave a short call alone with the
    cost of looking at the clock, for all rounds. A long call is believed at once, if its first one was as long.
    """
    iterations, warmups = 1, 0
    while True:
        seconds = min(take(member, Visit(iterations, 1, warmups))) * iterations
        warmups = _warmups(seconds / iterations)
        if seconds >= sample / 2 and (warmups or first_call < WARM):
            seconds = min(seconds, min(take(member, Visit(iterations, 1, warmups))) * iterations)
        if seconds >= sample / 2:
            return Loop(iterations, seconds)
        # Grow by at most 64 at a time: the first estimate of a very short call is mostly clock.
        factor = min(64.0, sample / max(seconds, sample / 64))
        iterations *= 2 ** max(1, round(math.log2(factor)))


def take_turns(
    take: Take[Member],
    loops: Mapping[Member, Loop],
    *,
    seconds: float,
    sample: float,
    rng: random.Random,
    now: Callable[[], float] = time.perf_counter,
    after_block: Callable[[Member], object] = lambda _: None,
) -> dict[Member, Timing]:
    """Time all members interleaved until `seconds` are spent, at least one block.

    A block visits the members in a random order and then in the reverse of it, so that a drift of the machine within
    the block falls on all alike. Members that are slow beside the others sit out blocks at regular intervals and are
    visited once in the others, in a half chosen at random, so that they do not use up the time of their rivals.
    `after_block` is told the member that was visited last.
    """
    taken: dict[Member, list[tuple[float, int]]] = {member: [] for member in loops}
    strides = _strides(loops, sample)
    visits = {member: _visit(loop) for member, loop in loops.items()}
    start = now()
    for block in itertools.count():
        order = [member for member in loops if block % strides[member] == 0]
        rng.shuffle(order)
        halves = {member: rng.random() < 0.5 for member in order if strides[member] > 1}
        there = [member for member in order if halves.get(member, True)]
        back = [member for member in reversed(order) if not halves.get(member, False)]
        for member in (*there, *back):
            taken[member] += [(value, block) for value in take(member, visits[member])]
            last = member
        after_block(last)
        if now() - start >= seconds:
            break
    return {
        member: Timing(tuple(v for v, _ in pairs), loops[member].iterations, tuple(block for _, block in pairs))
        for member, pairs in taken.items()
    }


def _visit(loop: Loop) -> Visit:
    warmups = _warmups(loop.seconds / loop.iterations)
    return Visit(loop.iterations, SAMPLES_A_VISIT if warmups else 1, warmups)


def _warmups(seconds: float) -> int:
    """Before a sample of calls that take so long."""
    return 1 if seconds < WARM else 0


def _strides(loops: Mapping[Member, Loop], sample: float) -> dict[Member, int]:
    """Every how many blocks each member is visited: at least half of them in every one."""
    middling = statistics.median_low(loop.seconds for loop in loops.values())
    most = SLOW_SHARE * max(sample, middling)
    return {member: max(1, math.ceil(loop.seconds / most)) for member, loop in loops.items()}
