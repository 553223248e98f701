"""Another process that computes on the same machine: in the second half of a comparison only, or in bursts."""

import multiprocessing
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

KINDS = ("late", "bursts")
BURSTS = (0.5, 3.0)
"""Seconds that a burst and a pause last, at least and at most."""


@contextmanager
def neighbour(kind: str, half: float) -> Iterator[None]:
    """It computes while the block runs: `late` from `half` seconds on, `bursts` now and then, an empty kind never."""
    if not kind:
        yield
        return
    target, given = {"late": (_late, (half,)), "bursts": (_bursts, ())}[kind]
    busy = multiprocessing.get_context("spawn").Process(target=target, args=given, daemon=True)
    busy.start()
    try:
        yield
    finally:
        busy.kill()
        busy.join()


def _late(seconds: float) -> None:
    time.sleep(seconds)
    while True:
        _compute(1.0)


def _bursts() -> None:
    rng = random.Random()
    while True:
        _compute(rng.uniform(*BURSTS))
        time.sleep(rng.uniform(*BURSTS))


def _compute(seconds: float) -> None:
    """Keeps a core busy."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))
