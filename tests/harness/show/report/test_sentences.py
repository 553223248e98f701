"""The answer in a sentence: what to use, by how much, at what cost, and what would change it."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.intervals import Comparison, Summary
from harness.analysis.ranking import leading, led
from harness.analysis.results import contests
from harness.analysis.view import View
from harness.model import StoredRun
from harness.model.metrics import METRICS
from harness.show.report.answers.contest import answers
from harness.show.report.answers.points import measured_pace, pace
from harness.show.report.answers.questions import ContestAnswer
from harness.show.report.answers.sentences import sentences
from tests.harness.data.factories import make_case, make_error_records, make_record, make_run


def found(records, usage=lambda *_: "", fastest=None):
    (view,) = led([View.of(StoredRun(make_run(), tuple(records)), METRICS)])
    measured = [result for result in view.results if result.measured]
    groups = contests(measured).items()
    won = {name: fastest or answers(members, view.ratios, view.baselines)[0] for name, members in groups}
    return sentences(measured, view, won, usage)


def said(records, **changes):
    """The layer, the answer and what would change it, with spaces that break."""
    return [
        tuple(text.replace("\N{NO-BREAK SPACE}", " ") for text in (one.layer, one.answer, one.change))
        for one in found(records, **changes)
    ]


def timed(name, seconds, params=None, wobble=0.01, rounds=3, facts=None, **exact):
    """One record a round."""
    return [
        make_record(
            make_case(name, **(params or {})),
            turn,
            {"latency": seconds * factor} | (exact if not turn else {}),
            facts={"weight_bits": 1.58} | (facts or {}),
        )
        for turn, factor in enumerate((1.0, 1 + wobble, 1 - wobble)[:rounds])
    ]


def plain(params=None, rounds=3):
    return [
        *timed("linear-fp32", 4.0, params, rounds=rounds, weight_bytes=1600, bits_per_weight=32),
        *timed("linear-bf16", 2.0, params, rounds=rounds, weight_bytes=800, bits_per_weight=16),
    ]


def test_the_answer_is_one_short_sentence_and_three_chips_hold_the_intervals():
    exact = {"weight_bytes": 100, "bits_per_weight": 2, "error_sqnr": 8.04}
    records = [*plain(), *timed("small", 0.5, **exact), *timed("other", 1.0, error_sqnr=8.0)]
    ((layer, answer, change),) = said(records)

    assert layer == "2560 × 2560, w1.58a8"
    assert answer == "Use small: 4× faster than linear-bf16; 8× smaller; error 8.0 dB, usual for 1.58 bits."
    assert change == "Not varied: the number of tokens M (1), the number of threads (2) and the cache regime."
    speed, size, error = found(records)[0].chips
    assert (speed.name, size.name, error.name) == ("Speed", "Size", "Error")
    assert speed.entries[0][:2] == ("4× faster", "[4.00, 4.00]")
    assert size.entries[0].words == "2 bits a weight"
    assert error.entries[0].words == "SQNR, usual for 1.58 bits"


def test_an_error_is_held_against_the_prediction_or_else_against_others_of_its_scheme():
    here = {"predicted_sqnr": 8.0}
    ((_, near, _),) = said([*plain(), *timed("a", 0.5, facts=here, error_sqnr=7.9)])
    ((_, far, _),) = said([*plain(), *timed("a", 0.5, facts=here, error_sqnr=6.0), *timed("b", 1.0, error_sqnr=6.0)])
    ((_, alone, _),) = said([*plain(), *timed("a", 0.5, error_sqnr=7.9)])
    assert near.endswith("error 7.9 dB, usual for 1.58 bits.")
    assert far.endswith("error 6.0 dB, 2.00 dB worse than usual for 1.58 bits.")
    assert alone.endswith("error 7.9 dB.")


def test_circumstances_share_a_sentence_and_say_whether_they_decide():
    few, many = {"m": 1}, {"m": 128}
    alike = [*plain(few), *timed("a", 1.0, few), *plain(many), *timed("a", 1.6, many)]
    ((_, answer, change),) = said(alike)
    assert answer == "Use a: 2× faster than linear-bf16 for one token, 1.2× for 128 tokens."
    assert change.startswith("The advice does not depend on the number of tokens M, as far as measured.")

    other = [*plain(few), *timed("a", 1.0, few), *timed("b", 1.5, few)]
    other += [*plain(many), *timed("a", 1.5, many), *timed("b", 1.0, many)]
    ((_, answer, change),) = said(other)
    assert answer == "Use a for one token: 2× faster than linear-bf16; use b for 128 tokens (2× faster)."
    assert change.startswith("The advice depends on the number of tokens M.")


def test_noise_at_one_circumstance_does_not_change_the_answer():
    few, many = {"m": 1}, {"m": 128}
    clear = [*plain(few), *timed("a", 1.0, few), *timed("b", 1.5, few)]
    close = [make_record(make_case("b", **many), turn, {"latency": s}) for turn, s in enumerate((0.99, 1.02, 0.97))]
    ((_, answer, change),) = said([*clear, *plain(many), *timed("a", 1.0, many), *close])

    assert answer.startswith("Use a for one token")
    assert "use b or a for 128 tokens" in answer
    assert change.startswith("Whether the advice depends on the number of tokens M is not known.")


def test_many_circumstances_are_told_by_the_least_and_the_largest_gain():
    points = [({"m": m}, 2.0 / gain) for m, gain in ((1, 4), (8, 3), (32, 2.5), (128, 2))]
    ((_, answer, _),) = said([record for params, s in points for record in (*plain(params), *timed("a", s, params))])
    assert answer == "Use a: 2× faster than linear-bf16 for 128 tokens, 4× for one token."


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_plain_layer_that_is_faster_is_kept_even_by_one_round(rounds):
    few, many = {"m": 1}, {"m": 128}
    records = [*plain(few, rounds), *timed("a", 156.0, few, rounds=rounds, weight_bytes=100)]
    records += [*plain(many, rounds), *timed("a", 3.0, many, rounds=rounds)]
    ((_, answer, change),) = said(records)
    assert answer == (
        "Keep nn.Linear: a is 78× slower than linear-bf16 for one token, 1.5× for 128 tokens; only its size speaks for"
        " it: 8× smaller."
    )
    assert "within noise" not in answer
    assert change.startswith("The advice does not depend on")


def test_any_plain_layer_that_is_faster_is_kept_whatever_the_baseline_is():
    few, many = {"m": 1}, {"m": 128}
    here = [*timed("linear-fp32", 1.0, few), *timed("linear-bf16", 2.0, few), *timed("a", 1.5, few)]
    ((_, answer, change),) = said([*here, *plain(many), *plain({"m": 8}), *timed("a", 0.01, many)])
    assert answer == (
        "Keep nn.Linear for one token: a is 1.5× slower than linear-fp32; use a for 128 tokens (200× faster than"
        " linear-bf16)."
    )
    assert change.startswith("The advice depends on")


def test_within_noise_is_only_said_of_what_is_near():
    wide = [make_record(make_case("a"), turn, {"latency": s}) for turn, s in enumerate((0.95, 1.6, 1.15))]
    near = [make_record(make_case("a"), turn, {"latency": s}) for turn, s in enumerate((1.5, 2.5, 1.6))]
    (_, far, _), (_, close, _) = *said([*plain(), *wide]), *said([*plain(), *near])
    assert far.startswith("Perhaps a: 1.7× faster than linear-bf16, not certain: more rounds decide")
    assert close.startswith("Perhaps a: 1.1× faster than linear-bf16, within noise")


def test_a_rival_within_noise_is_named_and_one_that_is_far_away_is_not():
    close = [make_record(make_case("b"), turn, {"latency": s}) for turn, s in enumerate((1.01, 0.98, 1.03))]
    ((_, answer, _),) = said([*plain(), *timed("a", 1.0), *close])
    assert answer.startswith("Use a or b: 2× faster than linear-bf16")
    ((_, answer, _),) = said([*plain(rounds=1), *timed("a", 0.1, rounds=1), *timed("b", 1.0, rounds=1)])
    assert answer.startswith("Use a: 20× faster than linear-bf16"), "one round has no interval"


def test_nothing_is_recommended_where_nobody_is_known_to_be_fastest():
    ((_, answer, _),) = said([*plain(), *timed("a", 1.0), *timed("b", 1.0)], fastest=ContestAnswer("Fastest"))
    assert answer.startswith("Not known: the timings scatter too much")
    ((_, answer, _),) = said([*plain(), *timed("a", 9.0)], fastest=ContestAnswer("Fastest"))
    assert answer.startswith("Keep nn.Linear: a is 4.5× slower")


def test_rounds_that_are_not_shared_are_no_comparison():
    apart = [make_record(make_case("a"), turn, {"latency": 1.0}) for turn in (7, 8)]
    assert said([*plain(), *apart]) == []


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
    first, second = found(records)
    assert (first.layer, second.layer) == ("64 × 2560, w1.58a8", "128 × 2560, w1.58a8")
    assert first.answer.startswith("Use a: 2× faster than linear-bf16")
    assert first.chips[0].entries[0].bounds == "no interval"


def test_the_line_of_code_belongs_to_what_is_recommended():
    def usage(name, params):
        return f"use({name}, {params['scheme']})"

    assert [one.code for one in found([*plain(), *timed("a", 1.0)], usage)] == ["use(a, w1.58a8)"]
    assert [one.code for one in found([*plain(), *timed("a", 9.0)], usage)] == [""]


@given(st.floats(1e-6, 1e6))
def test_a_ratio_is_told_by_a_factor_that_is_no_less_than_one(ratio):
    words = pace(ratio)
    assert words == "as fast" or (float(words.split("×")[0]) >= 1 and words.endswith("slower") == (ratio > 1))


def test_the_baseline_is_the_fastest_plain_layer_over_all_contests_of_the_page():
    assert (
        leading([{"linear-fp32": 3.0, "linear-bf16": 1.0}, {"linear-fp32": 1.0, "linear-bf16": 2.0}]) == "linear-bf16"
    )
    assert leading([{"linear-fp32": 1.0, "linear-bf16": 9.0}]) == "linear-fp32"
    assert leading([{"linear-fp32": 1.0}, {"linear-fp32": 1.0, "linear-bf16": 0.5}]) == "linear-fp32", "in the most"
    assert leading([{}]) == ""

    slow = View.of(StoredRun(make_run(), (*timed("linear-fp32", 3.0), *timed("linear-bf16", 1.0))), METRICS)
    fast = View.of(StoredRun(make_run(), (*timed("linear-fp32", 1.0), *timed("linear-bf16", 9.0))), METRICS)
    assert [view.baselines[0] for view in led([slow])] == ["linear-bf16"]
    assert [view.baselines[0] for view in led([slow, fast])] == ["linear-fp32"] * 2
    untimed = replace(slow, results=[])
    assert len(led([untimed])[0].baselines) == 2


def test_a_factor_whose_interval_says_nothing_is_not_told():
    """linear-bf16 leads over both sizes; at one token its own latency scatters and that of small does not."""
    one, many = {"m": 1}, {"m": 128}
    wild = [
        make_record(make_case("linear-bf16", **one), turn, {"latency": 4.0 * factor})
        for turn, factor in enumerate((1.0, 0.3, 3.0))
    ]
    records = [
        *timed("linear-fp32", 4.0, one), *wild, *timed("small", 0.5, one),
        *timed("linear-fp32", 40.0, many), *timed("linear-bf16", 4.0, many), *timed("small", 2.0, many),
    ]  # fmt: skip
    ((_, answer, _),) = said(records)
    assert answer == (
        "Perhaps small for one token: not known to be faster or slower than linear-bf16, not certain: more rounds"
        " decide; use small for 128 tokens (2× faster)."
    )
    (speed, *_) = found(records)[0].chips
    assert [entry.value for entry in speed.entries] == ["not known", "2× faster"]


def test_a_pace_is_told_as_far_as_its_interval_goes():
    once = Summary("latency", 1.0, 1.0, 1.0, 0.95, 3)

    def over(ratio, lo, hi):
        return Comparison("latency", once, once, ratio, lo, hi, True)

    assert measured_pace(over(0.1, 0.02, 0.5), "base") == "faster than base by an unknown factor"
    assert measured_pace(over(10.0, 2.0, 50.0)) == "slower by an unknown factor"
    assert measured_pace(over(1.0, 0.3, 3.0), "base") == "not known to be faster or slower than base"
    assert measured_pace(over(0.5, 0.3, 0.9), "base") == "2× faster than base"
    assert measured_pace(over(0.5, math.nan, math.nan), "base") == "2× faster than base", "one round"
