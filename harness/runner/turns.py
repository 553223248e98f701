"""Cases that are timed against each other in one round: visits in turns, and what the machine does meanwhile."""

import random
from collections.abc import Callable, Sequence

from harness.model import Budget
from harness.runner.case_round import CaseRound
from harness.runner.record_builder import RoundNoise
from harness.runner.schedule import take_turns


def time_in_turns(
    rounds: Sequence[CaseRound], budget: Budget, rng: random.Random, now: Callable[[], float]
) -> RoundNoise:
    """Time `rounds`, at least one, until `budget.seconds` are spent; what happened to the machine, block by block.

    It is observed by the worker that was visited last: at random, so that no side has one that a canary warms up.

    Raises CaseEndedError when one of them cannot go on, which then is the one that has `ended`.
    """
    noise = RoundNoise()
    noise.take_in(rounds[0].observe())
    timings = take_turns(
        CaseRound.take,
        {one: one.loop for one in rounds},
        seconds=budget.seconds,
        sample=budget.sample,
        rng=rng,
        now=now,
        after_block=lambda last: noise.take_in(last.observe()),
    )
    for one, timing in timings.items():
        one.builder.timing = timing
    return noise
