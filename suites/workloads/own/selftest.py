"""Contestants of known cost: they spin for a set time, copy, keep and store set numbers of bytes."""

import time
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from harness.errors import UsageError
from harness.model.suite import Catalogue
from harness.model.workload import Check, Prepared, Workload
from suites.special.selftest import BITS, COPY, KEEP, SPIN, WEIGHTS

TIMES = {"once": 1, "twice": 2}
_NOW = time.perf_counter
"""Bound at import: whoever replaces it later does not change how long a spin lasts."""


class Known(Workload):
    """Work of a known cost, done as many times as the contestant is called."""

    def build(self) -> "Work":
        """The work that the case names. Raises UsageError for a contestant of any other name."""
        name = self.case.implementation
        if name not in TIMES:
            raise UsageError(f"selftest has no contestant {name!r}; choose from: {', '.join(TIMES)}")
        return WORKS[str(self.case.params["work"])](TIMES[name])


class Work(Prepared):
    """Right by construction: there is no answer to be wrong."""

    def check(self, metrics: frozenset[str]) -> Check:
        """Nothing is computed that could be judged."""
        return Check()


class Spin(Work):
    """Lasts a set time by the clock, whatever the processor's frequency."""

    def __init__(self, times: int) -> None:
        self._seconds = times * SPIN

    def __call__(self) -> None:
        """A loop until the time is over."""
        end = _NOW() + self._seconds
        while _NOW() < end:
            pass


class Copy(Work):
    """Copies a set number of bytes."""

    def __init__(self, times: int) -> None:
        self._block = torch.zeros(times * COPY, dtype=torch.uint8)

    def __call__(self) -> Tensor:
        """A copy of one block."""
        return self._block.clone()


class Keep(Work):
    """Keeps a set number of bytes alive."""

    def __init__(self, times: int) -> None:
        self._kept = torch.zeros(times * KEEP, dtype=torch.uint8)

    def __call__(self) -> Tensor:
        """The block that is kept."""
        return self._kept


class Store(Work):
    """Says that it stores a set number of weights in a set number of bits each, and does."""

    def __init__(self, times: int) -> None:
        self._count = times * WEIGHTS
        self._weights = torch.zeros(self._count * BITS // 8, dtype=torch.uint8)

    def __call__(self) -> Tensor:
        """The weights."""
        return self._weights

    def stored(self) -> Mapping[str, float]:
        """Of the block behind the call."""
        size = self._weights.untyped_storage().nbytes()
        return {"weight_bytes": size, "bits_per_weight": 8 * size / self._count}


WORKS: dict[str, Callable[[int], Work]] = {"spin": Spin, "copy": Copy, "keep": Keep, "store": Store}


def catalogue() -> Catalogue:
    """The two contestants, which run everywhere."""
    return Catalogue({"once": "work of a known cost", "twice": "two times that work"}, _runs_everywhere)


def _runs_everywhere(name: str, device: str) -> None:
    del name, device
