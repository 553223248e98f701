"""Every note and cure has its words, and a change has one sign."""

from typing import get_args

import pytest
from msgspec.structs import replace

from harness.estimators.intervals import Comparison, Summary
from harness.judge.verdict import EVERYTHING, Cure, Note, NoteCode, RelativeChange, Verdict
from harness.model.metrics import METRICS
from harness.show.report.verdict_sentence import sentence
from harness.show.verdict_words import cure_words, note_words, reason
from tests.harness.data.factories import make_case


@pytest.mark.parametrize("code", get_args(NoteCode))
def test_every_note_is_a_sentence_about_somebody(code: NoteCode) -> None:
    note = Note(code, "head", "crashed", 2, 4, "signal 11", RelativeChange(0.2, 0.1, 0.3))
    words = note_words(Verdict(make_case(), "latency", "inconclusive", note=note, margin=0.03))
    assert words
    assert words.split()[0].lower() not in ("what", "whatever", "who", "whoever", "where", "wherever")


@pytest.mark.parametrize("cure", get_args(Cure))
def test_every_cure_says_what_to_do(cure: Cure) -> None:
    verdict = Verdict(make_case(), "latency", "inconclusive", cure=cure, needed=12)
    assert cure_words(verdict)
    assert ("12 rounds" in cure_words(verdict)) == (cure == "more_rounds")


@pytest.mark.parametrize(
    ("centre", "lo", "hi", "words"),
    [
        (-0.324, -0.788, 1.158, "-32.4 % [-78.8, +115.8]"),
        (0.297, 0.26, 0.334, "+29.7 % [+26.0, +33.4]"),
        (-0.0001, -0.025, 0.025, "+0.0 % [-2.5, +2.5]"),
    ],
)
def test_less_is_negative_whatever_the_interval_holds(centre: float, lo: float, hi: float, words: str) -> None:
    verdict = Verdict(make_case(), "latency", "inconclusive", RelativeChange(centre, lo, hi))
    assert reason(verdict) == words
    unsure = Verdict(
        EVERYTHING, "latency", "inconclusive", RelativeChange(centre, lo, hi), Note("undecided"), margin=0.1
    )
    assert sentence(unsure, METRICS["latency"]).startswith(f"all cases together changed by {words}: the margin is 10 %")


def test_an_exact_metric_says_both_values_and_only_if_they_differ() -> None:
    sides = [Summary("weight_bytes", value, value, value, 0.95, 1) for value in (640.0, 600.0)]
    smaller = Comparison("weight_bytes", *sides, 0.9375, 0.9375, 0.9375, False)
    exact = Verdict(make_case(), "weight_bytes", "improved", unit="B", is_exact=True)
    verdict = replace(exact, change=RelativeChange.of(smaller), comparison=smaller)
    assert reason(verdict) == "640 B became 600 B (-6.2 %)"
    same = Comparison("weight_bytes", sides[0], sides[0], 1.0, 1.0, 1.0, False)
    assert reason(replace(exact, word="ok", change=RelativeChange.of(same), comparison=same)) == "640 B"
