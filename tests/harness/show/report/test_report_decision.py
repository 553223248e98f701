"""The decision table: who is how much faster where, said in words too, and what is absent and why."""

import json

from harness.analysis.view import View
from harness.model import StoredRun
from harness.model.metrics import METRICS
from harness.show.report import decision, page
from harness.show.report.decision import decision_table
from tests.harness.data.factories import make_case, make_error_records, make_record, make_records, make_run


def table_of(records, **changes):
    view = View.of(StoredRun(make_run(**changes), tuple(records)), METRICS)
    suites = page._suite_parts(view, rows=99)
    return decision_table([view], {(view.stored.run.id, k): one for part in suites for k, one in part.fastest.items()})


def cells(table, row=0):
    return dict(zip(table.columns, table.contests[row].cells, strict=True))


def timed(name, *seconds, m=1, **facts):
    return [make_record(make_case(name, m=m), turn, {"latency": value}) for turn, value in enumerate(seconds)]


def test_a_cell_is_the_speed_up_with_its_interval_the_latency_and_a_word():
    table = table_of(make_records(troubles=False))
    assert table.baselines == ["linear-fp32", "linear-bf16"]
    assert table.columns[0] == "int8"
    assert table.columns[-1] == "eager"
    winner = cells(table)["int8"]
    (over_fp32, bounds), (over_bf16, _) = winner.gains
    assert over_fp32.startswith("2.")
    assert over_fp32.endswith("×")
    assert bounds.startswith("[2.")
    assert over_bf16.startswith("1.")
    assert (winner.word, winner.latency[-2:]) == ("fastest", "µs")
    assert cells(table)["linear-fp32"].gains[0] == ("1×", "")
    assert {cell.word for cell in table.contests[0].cells} == {"fastest", ""}


def test_whoever_is_within_noise_is_undecided():
    table = table_of([*timed("a", 2.0, 2.04, 1.96), *timed("b", 2.04, 2.0, 2.02), *timed("linear-fp32", 4.0, 4.0, 4.0)])
    assert {name: cell.word for name, cell in cells(table).items()} == {
        "a": "undecided",
        "b": "undecided",
        "linear-fp32": "",
    }


def test_what_was_not_timed_says_why_in_its_cell_or_has_no_column():
    table = table_of(make_records())
    last = cells(table, row=-1)
    assert (last["compiled"].word, last["compiled"].kind) == ("failed", "absent")
    assert table.absent == ["fp16"]
    alone = table_of([*timed("a", 1.0, 1.0), *timed("b", 1.0, 1.0, m=2)])
    assert cells(alone)["b"].word == "not asked for"
    assert cells(alone)["a"].gains == []


def test_what_varies_is_a_filter_and_what_does_not_is_said_once():
    table = table_of(make_records())
    assert json.loads(table.filters) == ["shape", "M"]
    assert json.loads(table.contests[1].fields) == ["2560 × 2560", "128"]
    assert "scheme w1.58a8" in table.shared
    assert "threads 2" in table.shared


def test_nothing_timed_is_no_table_and_many_contests_are_counted(monkeypatch):
    assert table_of(make_error_records()) is None
    monkeypatch.setattr(decision, "CELLS", 12)
    table = table_of(make_records(implementations=("linear-fp32", "int8"), tokens=range(1, 7), troubles=False))
    assert (len(table.contests), table.left_out) == (6, 6)
