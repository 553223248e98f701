"""The verdict on a paired metric: from the mean difference unit by unit, with its interval, to a word.

There is one look, and each case is judged by itself, at the level of the interval that is shown.
"""

import math
from collections.abc import Mapping

import msgspec

from harness.estimators.intervals import Comparison
from harness.judge.verdict import Cure, Note, Verdict, Word
from harness.model.metrics import Paired
from harness.model.metrics.paired import PairedWord

HOPELESS = 100
"""So many times as many units as there are is more than anybody would take."""
_WORDS: Mapping[PairedWord, Word] = {
    "worse": "regressed",
    "better": "improved",
    "ok": "ok",
    "undecided": "inconclusive",
}


def unit_by_unit(verdict: Verdict, metric: Paired, found: Comparison) -> Verdict:
    """`verdict` with what the comparison says, by the tolerance of `metric`.

    A mean that is not a number is as of an exact metric: nothing to judge by on base, and a regression on head.
    """
    if math.isnan(found.baseline.centre):
        return _without_change(verdict, "not_measured", Note("not_a_number", "base"), "measure_again")
    if math.isnan(found.candidate.centre):
        return _without_change(verdict, "regressed", Note("not_a_number", "head"))
    difference = found.difference
    if difference is None or math.isnan(difference.centre):
        detail = "units became infinite and others finite, so that the difference is not a number"
        return _without_change(verdict, "regressed", Note("not_a_number", detail=detail))
    allowed, word = metric.allowed(found.baseline.centre), metric.word(found)
    note: Note | None = None
    cure: Cure | None = None
    needed = 0
    if word == "worse":
        note = Note("beyond_tolerance")
    elif word == "undecided" and difference.units == 1:
        note, cure = Note("one_unit"), "several_units"
    elif word == "undecided":
        needed = difference.needed(allowed if metric.better == "lower" else -allowed)
        note, cure = Note("undecided_units"), _cure(needed, difference.units)
    return msgspec.structs.replace(verdict, word=_WORDS[word], note=note, cure=cure, needed=needed, allowed=allowed)


def _cure(needed: int, units: int) -> Cure:
    return "more_units" if needed <= HOPELESS * units else "wider_tolerance"


def _without_change(verdict: Verdict, word: Word, note: Note, cure: Cure | None = None) -> Verdict:
    return msgspec.structs.replace(verdict, word=word, note=note, cure=cure, change=None)
