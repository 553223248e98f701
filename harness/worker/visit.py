"""One visit to a contestant: warm up, then time inner loops, in seconds per call. Runs in the worker."""

import gc
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

Call = Callable[[], object]


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
    """Call `warmup` times, then time `samples` inner loops: seconds per call of each, and what the last call returned.

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
