"""Latencies in the terminal: one unit a table, bars, and the winner of each contest."""

import re
from pathlib import Path

import pytest

from harness.analysis.ranking import fastest
from harness.analysis.view import View
from harness.model import StoredRun
from harness.show.report.answers import contest
from harness.show.report.tables import results_sheet
from harness.show.results import Page, page
from harness.show.table import bar, render, sayable
from tests.harness.data.factories import make_case, make_record, make_records, make_run, write_run
from tests.harness.fakes.printed import printed


def test_latencies_of_a_table_have_one_unit_and_their_points_below_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = {"eager": 34.1e-3, "int8": 37.81e-6, "compiled": 120.9e-6}
    records = [make_record(make_case(name), n, {"latency": seconds[name]}) for name in seconds for n in range(3)]
    lines = printed(capsys, str(write_run(tmp_path, None, records))).splitlines()
    rows = [line for line in lines if line.startswith(tuple(seconds))]
    assert [line.split()[1] for line in rows] == ["34100", "37.81", "120.9"]
    assert len({line.index("±") for line in rows}) == 1
    assert rows[1].index(".") == rows[2].index(".") == rows[0].index("34100") + 5
    assert [line.count("█") for line in rows] == [0, 8, 2]


def test_a_stream_without_blocks_gets_bars_of_ascii() -> None:
    assert (bar(1.0, 2), bar(0.75, 2), bar(1e-9), bar(0.0)) == ("██", "█▌", "▏", "")
    assert sayable("█▌▏ ±", "cp1252") == "##- ±"
    assert sayable("█▌▏", "utf-8") == "█▌▏"


def test_winners_have_a_colour_unless_nobody_wants_any(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = page(View.of(StoredRun(make_run(), tuple(make_records()))))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = render(blocks, "text")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = render(blocks, "text")
    assert "\x1b[1;32mfastest" in coloured
    assert "fastest" in plain
    assert not re.search(r"\x1b\[[0-9;]*3\d", plain)


def test_the_table_and_the_report_name_the_same_winners(tmp_path: Path) -> None:
    seconds = {
        "linear-fp32": (0.5e-3, 0.5e-3),
        "int8": (1e-3, 1.1e-3),
        "eager": (1.05e-3, 1.06e-3),
        "packed": (9e-3, 9e-3),
    }
    records = [make_record(make_case(name), n, {"latency": seconds[name][n]}) for name in seconds for n in range(2)]
    view = View.of(StoredRun(make_run(), tuple(records)))
    answer, *_ = contest.answers(view.results, view.ratios)
    assert tuple(one.case.implementation for one in fastest(view.results)) == answer.winners
    assert answer.undecided
    assert "undecided" in Page(view)._repr_html_()


def test_what_scatters_beyond_100_percent_is_not_known_and_nothing_is_fastest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = {"int8": (1e-3, 1e-1), "eager": (2e-2, 2.01e-2), "linear-fp32": (5e-3, 5.1e-3)}
    records = [make_record(make_case(name), n, {"latency": seconds[name][n]}) for name in seconds for n in range(2)]
    view = View.of(StoredRun(make_run(), tuple(records)))
    assert fastest(view.results) == []
    lines = printed(capsys, str(write_run(tmp_path, None, records))).splitlines()
    rows = {line.split()[0]: line for line in lines if line.startswith(tuple(seconds))}
    assert re.search(r"^int8 +not known +not known", rows["int8"])
    assert "█" not in rows["int8"]
    assert rows["linear-fp32"].count("█") == 8, "bars are of the fastest that is known"
    assert not any(word in line for line in rows.values() for word in ("fastest", "undecided"))
    sheet = results_sheet(view, "quick", (), 9)
    columns = [heading.text for heading in sheet.headings]
    (cells,) = (dict(zip(columns, row.cells, strict=True)) for row in sheet.blocks[0] if row.cells[0] == "int8")
    assert [cells[name] for name in ("latency", "vs linear-fp32", "±")] == ["", "", "not known"]
