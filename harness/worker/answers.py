"""What a worker's replies are made of."""

import math
from collections.abc import Mapping

import msgspec

from harness.model import Case
from harness.model.messages import Answer
from harness.model.workload import Check, Measured
from harness.user_code.plain_text import one_line
from harness.worker.guard.guard import Findings

WARNING = 2000
"""Characters that a warning may have: several refusals are one."""


def of_whom(case: Case, doubts: tuple[str, ...]) -> tuple[str, ...]:
    """The doubts, with the name of whom they are about."""
    return tuple(f"{case.implementation}: {doubt}" for doubt in doubts)


def judged(check: Check) -> Answer:
    """The reply to a check: what it measured, and whether it failed.

    A wrong answer always has a value, NaN if there is no number: that is what tells it from an answer that never came.
    """
    values = raw(check.values)
    empty = (name for name, some in values.items() if not some)
    warnings = (
        *filter(None, (check.warning,)),
        *(f"{name} has no value at all: there was nothing to measure it on" for name in empty),
    )
    if check.wrong:
        values = values or {"agreement_sqnr": (math.nan,)}
        return Answer("failed", check.wrong, values, warnings=warnings, trace=check.trace)
    return Answer(values=values, warnings=warnings)


def with_findings(answer: Answer, findings: Findings) -> Answer:
    """What tampers gets no number, even if its output is right. Whatever failed already keeps its own reason."""
    faults = ", ".join(findings.faults)
    warnings = answer.warnings + findings.doubts
    if faults and answer.outcome == "measured":
        return Answer("failed", f"not to be trusted: it {faults}", warnings=warnings)
    return msgspec.structs.replace(answer, warnings=warnings + ((f"it also {faults}",) if faults else ()))


def singles(values: Mapping[str, float]) -> dict[str, tuple[float, ...]]:
    """As raw values, of which there is one each."""
    return {name: (float(value),) for name, value in values.items()}


def raw(values: Measured) -> dict[str, tuple[float, ...]]:
    """As raw values: a distribution and a paired metric have many, and everything else one."""
    return {name: value if isinstance(value, tuple) else (float(value),) for name, value in values.items()}


def said(answer: Answer) -> Answer:
    """The answer with all that a contestant may have said in it as plain lines."""
    warnings = tuple(one_line(text, WARNING) for text in answer.warnings)
    return msgspec.structs.replace(answer, reason=one_line(answer.reason, WARNING), warnings=warnings)
