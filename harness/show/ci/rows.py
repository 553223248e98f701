"""The verdicts of a gate as rows for people: the gravest first, in few words."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from harness.analysis.results import varying
from harness.judge.verdict import EVERYTHING, Word
from harness.model import Case
from harness.show.ci.verdict_file import VerdictFile
from harness.show.verdict_words import ToldVerdict
from harness.show.verdicts import WORDS


class VerdictRow(NamedTuple):
    """What became of one case; of all that are incomparable for one reason together."""

    word: Word
    implementation: str
    point: str
    """What distinguishes the case from others of the implementation."""
    metric: str
    reason: str


def shared_words(verdict: VerdictFile) -> str:
    """What all the cases have in common: suite and params."""
    shared, _ = varying(verdict.verdicts)
    suites = {one.case.suite for one in verdict.verdicts}
    return " ".join([*(suites if len(suites) == 1 else ()), *(f"{name}={value}" for name, value in shared.items())])


def rows(verdict: VerdictFile) -> list[VerdictRow]:
    """Metrics of one case that share a reason share a row."""
    groups: dict[tuple[Word, str, Case | None], list[ToldVerdict]] = {}
    for one in sorted(verdict.judged, key=_gravity):
        case = None if one.word == "incomparable" else one.case
        groups.setdefault((one.word, one.reason, case), []).append(one)
    _, differing = varying(verdict.verdicts)
    several = len({one.case.suite for one in verdict.verdicts}) > 1
    found = []
    for (word, reason, case), group in groups.items():
        metrics = list(dict.fromkeys(one.metric for one in group))
        named = ", ".join(metrics) if len(metrics) <= 2 else f"{len(metrics)} metrics"
        point = _point(case, differing, several) if case else f"{len(group)} row{'s' * (len(group) > 1)}"
        found.append(VerdictRow(word, case.implementation if case else "", point, named, reason))
    return found


def _gravity(verdict: ToldVerdict) -> tuple[int, float]:
    """What sorts first: the gravest word, then what has no number, then the largest change."""
    ratio = verdict.comparison.ratio if verdict.comparison else 0.0
    return WORDS.index(verdict.word), -abs(math.log(ratio)) if 0 < ratio < math.inf else -math.inf


def _point(case: Case, differing: Sequence[str], several: bool) -> str:
    if case == EVERYTHING:
        return case.suite
    words = [f"{name}={case.params[name]}" for name in differing if name in case.params]
    return " ".join([case.suite, *words] if several else words)
