"""Asking an implementation for one property."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bitlinear.conformance import PROPERTIES, agreement, behaviour
from bitlinear.conformance.subject import Subject, in_words

_ASKED: Mapping[str, Callable[[Subject], Iterator[str]]] = {
    name: getattr(agreement if hasattr(agreement, name) else behaviour, name) for name in PROPERTIES
}


@dataclass(frozen=True)
class PropertyFinding:
    """What came of it."""

    examples: int
    """On how many it holds."""
    fault: str = ""
    """Why it fails, and the smallest example on which it does; empty if it holds."""
    cut: bool = False
    """Whether time was up before all examples were asked."""
    raised: BaseException | None = None
    """The error that it fails with, if it is one."""


def check(name: str, subject: Subject, seconds: float = float("inf")) -> PropertyFinding:
    """Ask for the property `name`, example by example, until one fails, all hold, or `seconds` have gone by.

    What holds on no example at all, because no layer could be built, fails.
    """
    deadline, held = time.monotonic() + seconds, 0
    try:
        for fault in _ASKED[name](subject):
            if fault:
                return PropertyFinding(held, _located(fault, subject))
            held += 1
            if time.monotonic() > deadline:
                return PropertyFinding(held, cut=True)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an op may raise anything, and that is its fault
        return PropertyFinding(held, _located(f"raised {in_words(error)}", subject), raised=error)
    return PropertyFinding(held, "" if held else f"no layer could be built: {(subject.raised + subject.refusals)[0]}")


def refused(subject: Subject) -> str:
    """Why it cannot be asked at all, or nothing: it offers none of the schemes, and says so properly."""
    for _ in subject.ops(subject.examples()):
        return ""
    return "" if subject.raised else subject.refusals[0]


def _located(fault: str, subject: Subject) -> str:
    return f"{fault}; with {subject.example}" if subject.example else fault
