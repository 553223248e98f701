"""Contestants of known cost: they spin for a set time, copy, keep and store set numbers of bytes."""

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from harness.errors import UsageError
from harness.model import Case
from harness.model.suite import Catalogue, Check, Workload
from suites.special.selftest import BITS, COPY, KEEP, SPIN, WEIGHTS

TIMES = {"once": 1, "twice": 2}
_NOW = time.perf_counter
"""Bound at import: whoever replaces it later does not change how long a spin lasts."""


class Known(Workload):
    """Does its work `times` times. Right by construction: there is no answer to be wrong."""

    def __init__(self, times: int) -> None:
        self.times = times

    def why_not(self) -> str | None:
        """Runs everywhere."""
        return None

    @abstractmethod
    def build(self) -> Callable[[], object]:
        """The call whose cost is known."""

    def check(self, call: Callable[[], object], metrics: frozenset[str]) -> Check:
        """Nothing is computed that could be judged."""
        return Check({})

    def declared(self, call: Callable[[], object]) -> float | None:
        """No account is given, so none is doubted."""
        return None

    def stored(self, call: Callable[[], object]) -> Mapping[str, float]:
        """No weights."""
        return {}


class Spin(Known):
    """Lasts a set time by the clock, whatever the processor's frequency."""

    def build(self) -> Callable[[], object]:
        """A loop until the time is over."""
        seconds = self.times * SPIN

        def spin() -> None:
            end = _NOW() + seconds
            while _NOW() < end:
                pass

        return spin


class Copy(Known):
    """Copies a set number of bytes."""

    def build(self) -> Callable[[], object]:
        """A copy of one block."""
        return torch.zeros(self.times * COPY, dtype=torch.uint8).clone


class Keep(Known):
    """Keeps a set number of bytes alive."""

    def build(self) -> Callable[[], object]:
        """A call that holds a block."""
        kept = torch.zeros(self.times * KEEP, dtype=torch.uint8)

        def hold() -> Tensor:
            return kept

        return hold


class Store(Known):
    """Says that it stores a set number of weights in a set number of bits each, and does."""

    def build(self) -> Callable[[], object]:
        """A call that holds the weights."""
        return torch.zeros(self.times * WEIGHTS * BITS // 8, dtype=torch.uint8).size

    def stored(self, call: Callable[[], object]) -> Mapping[str, float]:
        """Of the block behind the call."""
        size = call.__self__.untyped_storage().nbytes() if hasattr(call, "__self__") else 0
        return {"weight_bytes": size, "bits_per_weight": 8 * size / (self.times * WEIGHTS)}


WORKS: dict[str, type[Known]] = {"spin": Spin, "copy": Copy, "keep": Keep, "store": Store}


def known(case: Case, seed: int) -> Workload:
    """The contestant that `case` names. Raises UsageError for any other name."""
    del seed  # nothing here is random
    if case.implementation not in TIMES:
        raise UsageError(f"selftest has no contestant {case.implementation!r}; choose from: {', '.join(TIMES)}")
    return WORKS[str(case.params["work"])](TIMES[case.implementation])


def catalogue() -> Catalogue:
    """The two contestants, which run everywhere."""
    return Catalogue({"once": "work of a known cost", "twice": "two times that work"}, _runs_everywhere)


def _runs_everywhere(name: str, device: str) -> None:
    del name, device
