"""What a suite gives the worker: a workload makes one case ready, and what it has prepared is called and judged.

The worker brings clock, device and profiler. The shortest workload says how a call is made and whether it is right:

    class Sum(Prepared):
        def __init__(self, terms: int) -> None:
            self.terms = terms

        def __call__(self) -> int:
            return sum(range(self.terms))

        def check(self, metrics: frozenset[str]) -> Check:
            return Check(wrong="" if self() == self.terms * (self.terms - 1) // 2 else "wrong answer: the sum is off")

    class Summing(Workload):
        def build(self) -> Sum:
            return Sum(int(self.case.params["terms"]))

A suite names it: `workload="package.module:Summing"`. Every other method has a default, and is overridden for what it
says: cold caches, new inputs before a visit, a look at the last timed output, bytes that are stored.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TypeAlias

from harness.model import Case

Measured: TypeAlias = Mapping[str, float | tuple[float, ...]]
"""By metric: one value, or the several of a distribution or of the units of a paired metric, in their order."""


@dataclass(frozen=True)
class Check:
    """The judgement on one output: what was measured of it, and the sentence that says why it is wrong, if it is."""

    values: Measured = field(default_factory=dict)
    """Of a wrong output too: they say how far it is off."""
    wrong: str = ""
    warning: str = ""
    """A doubt about an output that is not wrong, with its cure."""
    trace: tuple[str, ...] = ()
    """Where the contestant raised, if that is what is wrong."""


class Prepared(ABC):
    """A contestant that is built: it can be called, and answers for what its calls return. The worker may hold several.

    A method with a default says nothing, or that there is nothing to do.
    """

    @abstractmethod
    def __call__(self) -> object:
        """One call of the contestant."""

    @abstractmethod
    def check(self, metrics: frozenset[str]) -> Check:
        """Call, and judge what is returned. Agreement is always judged; other metrics are computed when asked for."""

    @property
    def timed(self) -> Callable[[], object]:
        """What the clock calls, as directly as Python can: `__call__` as a bound method.

        Overridden where `__call__` only passes the call on: the contestant would be charged for every function between
        it and the clock. For the same reason it is no instance, whose `__call__` Python must look up at each call.
        """
        return self.__call__

    def settle(self) -> Mapping[str, float]:
        """After the first call, untimed: build what else is to be there when calls are timed.

        Answers the metrics that this decides, such as `ring_bytes`. What is built here counts as nobody's memory.
        """
        return {}

    def refresh(self) -> None:  # noqa: B027 - empty and not abstract: mostly there is nothing to be done
        """Before every visit, untimed: get inputs that the contestant has not seen."""

    def inspect(self, output: object) -> str:
        """After every visit, untimed: why `output`, that of the last timed call, is wrong, or nothing.

        Also says when the calls have changed inputs or weights.
        """
        del output
        return ""

    @property
    def inspects(self) -> bool:
        """Whether `inspect` is this class's own: then it does for `check` in all rounds but the first."""
        return type(self).inspect is not Prepared.inspect

    def stored(self) -> Mapping[str, float]:
        """`weight_bytes` and `bits_per_weight` of the contestant, and `code_bytes` if they are apart."""
        return {}

    def storages(self) -> Mapping[int, int]:
        """Bytes by address of the memory behind its weights, which need not come from an allocator that is watched."""
        return {}

    def declared(self) -> float | None:
        """The bytes that it keeps alive by its own account: its weights, unless there is more; None for no account.

        A contestant that keeps more than that gets a warning.
        """
        return self.stored().get("weight_bytes")

    def peaks(self) -> Mapping[str, Callable[[], object]]:
        """What to trace for peak bytes, by metric, in this order: each part may go on where the last one ended."""
        return {"peak_forward_bytes": self.timed}

    def notes(self) -> tuple[str, ...]:
        """What the user ought to know of the contestant: warnings with their cures."""
        return ()


class Workload(ABC):
    """One case made real, in the worker. Created fresh for every round; the seed is the same for a whole contest."""

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        self.seed = seed

    def why_not(self) -> str | None:
        """A sentence saying why this case cannot run here, or None. Never raises."""
        return None

    def context(self) -> AbstractContextManager[object]:
        """Entered around all that is asked of a contestant once it is to be built, outside the timed regions."""
        return nullcontext()

    @abstractmethod
    def build(self) -> Prepared:
        """The contestant, ready to be called. May be asked for several times, also while an earlier one is in use."""

    def probe(self) -> Check:
        """Judge the contestant on other shapes and inputs than this case's own, as quickly as may be."""
        return Check()


def require(kind: type, made: object, maker: str) -> None:
    """Raises TypeError unless what `maker` has made is of this kind: a user's suite need not have been type-checked."""
    if not isinstance(made, kind):
        raise TypeError(f"{maker} returned {made!r}; it must return a {kind.__module__}.{kind.__name__}")


def built(workload: Workload) -> Prepared:
    """What its `build` makes. Raises TypeError if that is nothing prepared, as `require` does."""
    prepared = workload.build()
    require(Prepared, prepared, "build")
    return prepared
