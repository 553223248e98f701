"""The canary: a fixed product that tells a slow machine from a slow contestant."""

import time
from collections.abc import Callable

import torch

CANARY = 192
"""Size of the canary's matrices, which the caches of one core hold."""


def canary() -> Callable[[], float]:
    """A fixed loop on all of torch's threads, a third of a millisecond on two cores; a call says how long it took now.

    It keeps its own clock and product: a contestant may replace those of the modules.
    """
    clock, product = time.perf_counter, torch.mm
    a, out = torch.ones(CANARY, CANARY), torch.empty(CANARY, CANARY)

    def sing() -> float:
        product(a, a, out=out)  # wakes the threads
        start = clock()
        for _ in range(4):
            product(a, a, out=out)
        return clock() - start

    return sing
