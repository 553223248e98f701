"""Cases of one run beside the case that they are compared with: constructed values by unit, and the word for each."""

import msgspec
import pytest

from harness.analysis.columns import difference_columns
from harness.analysis.view import View
from harness.model.metrics import METRICS, Paired
from harness.model.stored_run import StoredRun
from tests.harness.data.factories import make_case, make_record, make_run

SCORE = Paired(name="score", unit="%", better="higher", tolerance=1.0)
BITS = Paired(name="bits", unit="bit/B", better="lower", tolerance=0.02)
FULL = (90.0, 92.0, 94.0, 96.0)
"""Of four seeds that differ from each other by far more than schemes do."""


def trained(scheme, score=FULL, bits=None, against="scheme=w16a16", units="seeds", by="reference"):
    case = make_case(by, scheme=scheme)
    facts = {"units": units} | ({"compared_with": against} if against else {})
    return make_record(case, values={"score": score} | ({"bits": bits} if bits else {}), facts=facts)


def view(*records):
    run = msgspec.structs.replace(make_run(), metrics=(SCORE, BITS))
    return View.of(StoredRun(run, records))


def words(*records):
    """By case, what the column says of the score."""
    shown = view(*records)
    columns = difference_columns(shown, SCORE)
    readings = {one.case: column.read(one) for column in columns for one in shown.results}
    return {case: reading.text.rpartition(" ")[2] for case, reading in readings.items() if reading}


def word(score):
    (found,) = words(trained("w16a16"), trained("w1a8", score)).values()
    return found


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (FULL, "ok"),
        ((90.1, 91.9, 94.1, 95.9), "ok"),
        ((88.0, 90.1, 91.9, 94.0), "worse"),
        ((92.0, 94.1, 95.9, 98.0), "better"),
        ((88.0, 93.0, 92.0, 97.0), "undecided"),
    ],
)
def test_the_difference_by_seed_decides_and_not_the_spread_over_seeds(score, expected):
    assert word(score) == expected


def test_a_scheme_is_compared_with_the_case_that_differs_in_that_param_alone():
    others = [trained("w16a16-nonorm"), trained("w4a8", FULL), trained("w1a8", tuple(v - 5 for v in FULL))]
    found = {str(case.params["scheme"]): said for case, said in words(trained("w16a16"), *others).items()}
    assert found == {"w16a16-nonorm": "ok", "w4a8": "ok", "w1a8": "worse"}


def test_the_case_may_be_of_another_implementation():
    both = "scheme=w16a16 implementation=reference"
    records = [trained("w16a16"), trained("w1a8", by="native"), trained("w1a8", by="eager", against=both)]
    assert [case.implementation for case in words(*records)] == ["eager"]


def test_nothing_is_compared_without_its_counterpart():
    assert words(trained("w1a8"), trained("w4a8")) == {}
    assert words(trained("w16a16"), trained("w1a8", against="")) == {}
    assert words(trained("w16a16"), trained("w1a8", FULL[:3])) == {}
    assert words(trained("w16a16"), trained("w1a8", units="other seeds")) == {}


def test_the_column_says_word_and_difference_in_the_unit_of_the_metric():
    low = trained("w1a8", tuple(v - 5 - 0.1 * n for n, v in enumerate(FULL)), bits=(2.9, 3.0, 3.1, 3.0))
    shown = view(trained("w16a16", bits=(2.7, 2.8, 2.9, 2.8)), low)
    ((score,), (bits,)) = (difference_columns(shown, metric) for metric in (SCORE, BITS))
    assert (score.heading, score.unit, bits.unit) == ("vs w16a16", "%", "bit/B")
    full, quantised = shown.results
    assert score.read(full) is None
    reading = score.read(quantised)
    assert (reading.value, reading.n) == (pytest.approx(-5.15), 4)
    assert reading.text == "-5.15 [-5.36, -4.94] %, worse"
    assert bits.read(quantised).text.startswith("+0.2")


def test_what_is_not_paired_has_no_such_column():
    record = make_record(values={"latency": 1.0}, facts={"compared_with": "scheme=w16a16"})
    assert difference_columns(View.of(StoredRun(make_run(), (record,))), METRICS["latency"]) == []
