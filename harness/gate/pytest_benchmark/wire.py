"""What a gate says to the two processes that run tests (`on_demand`), and what they reply."""

from typing import Literal, TypeAlias

import msgspec


class Collect(msgspec.Struct, frozen=True, tag="collect"):
    """Say which benchmark tests there are. Answered by `Collected`, once pytest has collected them."""


class Visit(msgspec.Struct, frozen=True, tag="visit"):
    """Run a test once, as pytest-benchmark does. Answered by `Visited`."""

    test: str
    """Its node id."""


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    """Take down what fixtures have built, and end. There is no answer."""


Demand: TypeAlias = Collect | Visit | Leave


class Collected(msgspec.Struct, frozen=True):
    """What pytest has found."""

    tests: tuple[str, ...]
    """Node ids of those that use the fixture `benchmark`, in pytest's order."""
    broken: dict[str, str]
    """Files and classes that could not be collected, by node id, with the reason."""
    python: str
    """Version of the interpreter."""
    modules: dict[str, str]
    """The modules that are loaded, with their files."""


class Visited(msgspec.Struct, frozen=True):
    """How a test ended. `values` are seconds a call, one a round of pytest-benchmark, if it passed."""

    outcome: Literal["measured", "skipped", "failed"]
    reason: str = ""
    values: tuple[float, ...] = ()
    iterations: int = 1
    """Calls that one value is the mean of."""
    warnings: tuple[str, ...] = ()
    modules: dict[str, str] = {}
    """Those that were loaded since the last reply, with their files."""
