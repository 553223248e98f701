"""Contestants that failed: news that belongs on the first screen."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.results import Result
from harness.show.typography import listed

_FAILED = ("failed", "crashed", "timed_out")
"""Outcomes of those that were tried; what is skipped could not run here anyway."""
_REASON = 120
"""Characters of a reason."""


@dataclass(frozen=True)
class Failures:
    """How many implementations failed, which, and why most of them did."""

    headline: str
    """`21 of 24 implementations failed`."""
    reason: str


def failures(everything: Sequence[Result]) -> Failures | None:
    """Of all cases of one suite; None where nobody failed."""
    ended = [(result, result.end) for result in everything if result.end and result.end.outcome in _FAILED]
    if not ended:
        return None
    names = dict.fromkeys(result.case.implementation for result, _ in ended)
    total = len({result.case.implementation for result in everything})
    (reason, count), *others = Counter(end.reason for _, end in ended).most_common()
    short = reason if len(reason) <= _REASON else f"{reason[: _REASON - 1]}…"
    which = f"{listed(list(names), 3)}: " if len(names) < total else ""
    more = f" ({count} of {len(ended)} cases)" if others else ""
    return Failures(f"{len(names)} of {total} implementations failed", f"{which}{short}{more}")
