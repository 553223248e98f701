"""A history on disk: what three real readers make of it, and writers that meet or are killed."""

import math
import multiprocessing
import os
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from harness.analysis.history.rows import identity, rows
from harness.cli import main
from harness.errors import StoreError
from harness.model import StoredRun
from harness.model.metrics import Exact
from harness.store import history
from tests.harness.data.factories import make_case, make_record, make_records, make_run, write_run

pytest.importorskip("pyarrow")
import pyarrow.compute as pc
import pyarrow.parquet as parquet

PAGE = Path(__file__).parents[4] / "docs/reference/history.md"
ODD = Exact(name="odd", unit="dB", better="higher")
"""A metric of which a value may be infinite, or not a number."""


def odd_run() -> StoredRun:
    """Cases of 1, 3, NaN and infinity dB, and one that was skipped."""
    numbers = {"a": 1.0, "b": 3.0, "c": math.nan, "d": math.inf}
    records = [make_record(make_case(name), values={"odd": value}) for name, value in numbers.items()]
    run = msgspec.structs.replace(make_run(), metrics=(ODD,))
    return StoredRun(run, (*records, make_record(make_case("e"), reason="no such instruction")), ())


def put(folder: Path, stored: StoredRun) -> history.folder.State:
    return history.add(folder, stored.run.id, identity(stored.run), len(stored.records), rows(stored))


def test_missing_and_nan_are_one_thing_to_all_readers(tmp_path: Path) -> None:
    """NaN has no place in the order that the statistics of a file rely on, and each reader has its own for it."""
    duckdb, pandas, polars = map(pytest.importorskip, ("duckdb", "pandas", "polars"))
    put(tmp_path, odd_run())
    files = str(tmp_path / "*.parquet")
    by_sql = duckdb.sql(
        f"select count(*), count(value), max(value) filter (value < 1e9), count(*) filter (value > 2), "
        f"count(*) filter (not isfinite(value)), len(max(values) filter (implementation = 'c')) from '{files}'"
    ).fetchall()[0]
    frame = pandas.read_parquet(tmp_path)
    value = frame["value"]
    nan_values = frame[frame["implementation"] == "c"]["values"].iloc[0]
    by_pandas = (len(value), value.count(), value[value < 1e9].max(), (value > 2).sum(), (value == math.inf).sum())
    assert by_sql == (*by_pandas, len(nan_values)) == (5, 3, 3.0, 2, 1, 1)
    lazy = polars.scan_parquet(files)
    one = polars.col("value")
    by_polars = lazy.select(
        polars.len().alias("n"), one.count().alias("known"), one.filter(one < 1e9).max().alias("max"),
        (one > 2).sum().alias("above"), one.is_infinite().sum().alias("infinite"),
        polars.col("values").filter(polars.col("implementation") == "c").first().list.len().alias("raw"),
    ).collect().row(0)  # fmt: skip
    assert by_polars == by_sql


def test_rows_say_what_the_run_says(tmp_path: Path) -> None:
    stored = StoredRun(make_run(), tuple(make_records(rounds=2)), ())
    put(tmp_path, stored)
    held = history.dataset(tmp_path).to_table().to_pylist()
    expected = sum(max(1, len(record.measurements)) for record in stored.records)
    assert len(held) == expected
    timed = [row for row in held if row["metric"] == "latency" and row["implementation"] == "int8"]
    first = [record for record in stored.records if record.case.name == timed[0]["case"]]
    assert timed[0]["values"] == list(first[0].values("latency"))
    assert timed[0]["started"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    of_case = [row for row in timed if row["case"] == timed[0]["case"]]
    assert [row["is_first"] for row in of_case] == [True, False]
    assert of_case[0]["lo"] < of_case[0]["centre"] == of_case[1]["centre"] < of_case[0]["hi"]
    assert all(row["value"] is None and row["reason"] for row in held if row["outcome"] != "measured")


def test_a_run_counts_once_and_may_grow(tmp_path: Path) -> None:
    records = tuple(make_records(rounds=2))
    part, whole = (StoredRun(make_run(), some, ()) for some in (records[:9], records))
    states = [put(tmp_path, one) for one in (part, part, whole, part)]
    assert states == ["added", "already there", "brought up to date", "already there"]
    (file,) = tmp_path.glob("*.parquet")
    assert parquet.read_table(file)["round"].to_pylist().count(1) > 0
    other = msgspec.structs.replace(make_run(), argv=("bitbench", "run", "elsewhere"))
    put(tmp_path, StoredRun(other, records, ()))
    assert len(list(tmp_path.glob("*.parquet"))) == 2, "two machines may give one id"


def _add_again_and_again(folder: Path, stored: StoredRun, times: int) -> None:
    for count in range(1, times + 1):
        put(folder, StoredRun(stored.run, stored.records[:count], ()))


def test_two_writers_and_a_killed_one_leave_whole_files(tmp_path: Path) -> None:
    stored = StoredRun(make_run(), tuple(make_records(rounds=3)), ())
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_add_again_and_again, args=(tmp_path, stored, 40)) for _ in range(3)]
    for writer in writers:
        writer.start()
    while not list(tmp_path.glob("*.parquet")):
        time.sleep(0.01)
    os.kill(writers[0].pid or 0, signal.SIGKILL)
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [-signal.SIGKILL, 0, 0]
    (file,) = tmp_path.glob("*.parquet")
    assert len(parquet.read_table(file).group_by(["case", "round"]).aggregate([])) == 40
    assert set(history.read(tmp_path, ("run",))["run"]) == {stored.run.id}


def test_what_a_dead_writer_left_is_cleared_in_time(tmp_path: Path) -> None:
    old, young = (tmp_path / f".run-{name}.parquet.1.partial" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"PAR1")
    os.utime(old, (0, 0))
    put(tmp_path, odd_run())
    assert (old.exists(), young.exists()) == (False, True)
    assert len(history.read(tmp_path, ("run",))) == 5


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    put(tmp_path, StoredRun(make_run(), tuple(make_records(rounds=2)), ()))
    frame = history.read(tmp_path, ("case", "centre"), pc.field("is_first") & (pc.field("metric") == "latency"))
    assert list(frame) == ["case", "centre"]
    assert frame["case"].is_unique


def test_what_is_no_history_is_refused_in_one_line(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(StoreError, match="history add"):
            history.read(folder, ("run",))
    (tmp_path / "mine.parquet").write_bytes(b"not a table")
    with pytest.raises(StoreError, match="no history") as error:
        history.read(tmp_path, ("run",))
    assert "\n" not in str(error.value)


def test_the_command_adds_runs_and_both_sides_of_a_gate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "one", make_run(run_id="../one"), [make_record(values={"latency": 1.0})])
    for side in ("base", "head"):
        write_run(tmp_path / "gate" / side, make_run(run_id=f"gate-{side}"), [make_record(values={"latency": 1.0})])
    words = ["history", "add", str(run), str(tmp_path / "gate"), "--to", str(tmp_path / "history")]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines() == ["../one: added", "gate-base: added", "gate-head: added"]
    assert len(list((tmp_path / "history").glob("run-*.parquet"))) == 3


def test_the_reference_names_every_column() -> None:
    named = [
        line.split("`")[1]
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `") and line.count(" | ") == 2
    ]
    assert named == list(history.columns.COLUMNS)
