"""Columns are declared once: what the terminal, the report, CSV and frames say of a result is one number."""

import csv
import io

import msgspec
import pytest

from harness import frames
from harness.analysis.columns import speedup_columns, standing_columns
from harness.analysis.view import View
from harness.model import Ceilings, StoredRun
from harness.show.report.tables import results_sheet
from harness.show.results import Page, tidy
from tests.harness.data.factories import make_records, make_run

ONE_POINT = {"shapes": ((2560, 2560),), "tokens": (1,)}


@pytest.fixture(scope="module")
def view() -> View:
    ceilings = Ceilings(
        device="cpu", threads=2, cache_bytes=1 << 20, cache_bandwidth=9e10, memory_bandwidth=2e10, float32=1e11
    )
    records = make_records(troubles=False, **ONE_POINT)
    for record in records:
        record.facts["activation_bytes"] = 20480
    return View.whole(StoredRun(msgspec.structs.replace(make_run(), ceilings=(ceilings,)), tuple(records)))


def test_every_rendering_says_the_same_of_a_result(view: View) -> None:
    frame = frames.wide(frames.summary(view)).set_index("implementation")
    rows = list(csv.DictReader(io.StringIO(tidy(view).csv())))
    (result,) = (one for one in view.results if one.case.implementation == "int8")
    mine = {row["metric"]: row for row in rows if row["implementation"] == "int8"}
    keys = [column.key for column in (*speedup_columns(view, view.baselines), *standing_columns(view)) if column.unit]
    assert len(keys) == 6
    for key in keys:
        assert float(mine[key]["centre"]) == frame.loc["int8", key]
    assert float(mine["speedup_linear-fp32"]["hi"]) == frame.loc["int8", "speedup_linear-fp32_hi"]
    assert mine["latency"]["samples"] == str(frame.loc["int8", "samples"]) == "24"
    assert mine["bandwidth"]["rounds"] == mine["latency"]["rounds"] == "3"

    gain, share = frame.loc["int8", "speedup_linear-fp32"], frame.loc["int8", "ceiling_share"]
    line = next(line for line in repr(Page(view)).splitlines() if line.startswith("int8"))
    assert f" {gain:.2f}x ±" in line
    assert f" {100 * share:.0f}% {frame.loc['int8', 'ceiling']}" in line
    sheet = results_sheet(view, "quick", (), 9)
    cells = next(row.cells for row in sheet.blocks[0] if row.cells[0] == "int8")
    named = dict(zip(((heading.text, heading.unit) for heading in sheet.headings), cells, strict=True))
    assert named["vs linear-fp32", ""] == f"{gain:.2f}×"
    assert named["of ceiling", "%"] == f"{100 * share:.0f}"
    assert float(named["reads", "GB/s"]) == pytest.approx(frame.loc["int8", "bandwidth"] / 1e9, rel=5e-3)
    assert result.summary("latency") is not None


def test_bounds_of_what_is_one_over_a_latency_change_ends(view: View) -> None:
    (result,) = (one for one in view.results if one.case.implementation == "eager")
    latency = result.summary("latency")
    assert latency is not None
    readings = {column.key: column.read(result) for column in standing_columns(view)}
    bandwidth, intensity = readings["bandwidth"], readings["intensity"]
    assert bandwidth is not None
    assert intensity is not None
    assert isinstance(bandwidth.value, float)
    assert bandwidth.lo < bandwidth.value < bandwidth.hi
    assert bandwidth.hi / bandwidth.value == pytest.approx(latency.centre / latency.lo)
    assert intensity.lo == intensity.value == intensity.hi, "it does not depend on how long a call takes"


def test_nothing_stands_where_nothing_was_measured() -> None:
    records = [record for record in make_records(**ONE_POINT) if record.outcome == "skipped"]
    view = View.whole(StoredRun(make_run(), tuple(records)))
    columns = (*speedup_columns(view, view.baselines), *standing_columns(view))
    assert [column.read(result) for column in columns for result in view.results] == [None] * len(columns)
