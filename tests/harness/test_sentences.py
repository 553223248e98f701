"""The answer in a sentence: what to use, by how much, at what cost, and what would change it."""

import pytest

from harness.metric import METRICS
from harness.report.rivals import answers
from harness.report.sentences import sentences
from harness.result_table import View
from harness.results import contests
from harness.store import StoredRun
from tests.harness.factories import make_case, make_error_records, make_record, make_run


def said(records):
    view = View.of(StoredRun(make_run(), tuple(records)), METRICS)
    measured = [result for result in view.results if result.measured]
    fastest = {name: answers(members, view.ratios)[0] for name, members in contests(measured).items()}
    return [
        tuple(text.replace("\N{NO-BREAK SPACE}", " ") for text in (one.layer, one.answer, one.change))
        for one in sentences(measured, view, fastest)
    ]


def timed(name, seconds, params=None, wobble=0.01, **exact):
    """Three rounds."""
    return [
        make_record(
            make_case(name, **(params or {})), turn, {"latency": seconds * factor} | (exact if not turn else {})
        )
        for turn, factor in enumerate((1.0, 1 + wobble, 1 - wobble))
    ]


def plain(params=None):
    return [
        *timed("linear-fp32", 4.0, params, weight_bytes=1600, bits_per_weight=32),
        *timed("linear-bf16", 2.0, params),
    ]


def test_one_sentence_has_the_gain_over_both_baselines_the_size_and_the_error():
    exact = {"weight_bytes": 100, "bits_per_weight": 2, "error_sqnr": 8.0}
    ((layer, answer, change),) = said([*plain(), *timed("small", 0.5, **exact), *timed("other", 1.0)])

    assert layer == "2560 × 2560, w1.58a8"
    assert answer == (
        "Use small: it has 4.00 times [4.00, 4.00] the speed of linear-bf16 and 8.00 times [8.00, 8.00] that of "
        "linear-fp32; small stores 100 B (2.00 bits per weight), 16.0 times less than linear-fp32, and its output has "
        "an SQNR of 8.00 dB against full precision."
    )
    assert change == "The number of tokens M (1), the number of threads (2) and the cache regime were not varied."


def test_circumstances_share_a_sentence_and_say_whether_they_decide():
    few, many = {"m": 1}, {"m": 128}
    alike = [*plain(few), *timed("a", 1.0, few), *plain(many), *timed("a", 1.6, many)]
    ((_, answer, change),) = said(alike)
    assert "at M = 1, and 1.25 times" in answer
    assert change.startswith("The number of tokens M does not change the answer here;")

    other = [*plain(few), *timed("a", 1.0, few), *timed("b", 1.5, few)]
    other += [*plain(many), *timed("a", 1.5, many), *timed("b", 1.0, many)]
    ((_, answer, change),) = said(other)
    assert answer.startswith("Use a at M = 1: it has 2.00 times")
    assert "; use b at M = 128: it has 2.00 times" in answer
    assert change.startswith("The number of tokens M changes the answer here;")


def test_noise_at_one_circumstance_does_not_change_the_answer():
    few, many = {"m": 1}, {"m": 128}
    clear = [*plain(few), *timed("a", 1.0, few), *timed("b", 1.5, few)]
    close = [make_record(make_case("b", **many), turn, {"latency": s}) for turn, s in enumerate((0.99, 1.02, 0.97))]
    ((_, answer, change),) = said([*clear, *plain(many), *timed("a", 1.0, many), *close])

    assert answer.startswith("Use a at M = 1")
    assert "undecided at M = 128: b has" in answer
    assert change.startswith("The number of tokens M is not known to change the answer here;")


def test_many_circumstances_are_told_by_the_least_and_the_largest_gain():
    points = [({"m": m}, 2.0 / gain) for m, gain in ((1, 4), (8, 3), (32, 2.5), (128, 2))]
    ((_, answer, _),) = said([record for params, s in points for record in (*plain(params), *timed("a", s, params))])
    assert "from 2.00 times" in answer
    assert "at M = 128 to 4.00 times" in answer
    assert "M = 8" not in answer


def test_undecided_is_said_as_such():
    close = [
        record
        for turn, s in enumerate((1.01, 0.98, 1.03))
        for record in [make_record(make_case("b"), turn, {"latency": s})]
    ]
    ((_, answer, _),) = said([*plain(), *timed("a", 1.0), *close])
    assert answer.startswith("Undecided: a has 2.00 times")
    assert "and b is within noise of it" in answer


@pytest.mark.parametrize(
    ("seconds", "words"), [(3.0, "Keep a plain linear layer unless memory counts: a, the fastest, has 0.667")]
)
def test_a_loss_is_no_recommendation(seconds, words):
    ((_, answer, _),) = said([*plain(), *timed("a", seconds)])
    assert answer.startswith(words)


def test_nothing_is_said_without_a_bitlinear_or_without_a_baseline():
    assert said(plain()) == []
    assert said(timed("a", 1.0)) == []
    assert said(make_error_records(weight_bits=("w1",), groups=(1,))) == []


def test_every_layer_has_its_own_sentence_and_one_round_no_interval():
    records = [
        make_record(make_case(name, n=n), 0, {"latency": s})
        for n in (64, 128)
        for name, s in (("linear-bf16", 2.0), ("a", 1.0))
    ]
    first, second = said(records)
    assert (first[0], second[0]) == ("64 × 2560, w1.58a8", "128 × 2560, w1.58a8")
    assert "2.00 times (no interval) the speed of linear-bf16 (within noise)" in first[1]
