"""Files that other benchmark tools wrote (`tests/data/exchange/make.sh`) say as a run what they said there."""

import contextlib
import json
import math
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import BitbenchError, StoreError
from harness.model import Record, Run
from harness.model.codec import encode
from harness.store.importers.assembly import UNKNOWN_MACHINE, imported
from harness.store.importers.quantities import quantity, scaled
from harness.store.importers.registry import FORMATS, read
from harness.store.schema import parse
from tests.harness.fakes.command_line import bitbench

FILES = Path(__file__).parents[2] / "data/exchange"
HAND = FILES / "by_hand"
TOOLS = {
    "pytest_benchmark_5.3.1.json": "pytest-benchmark",
    "pytest_benchmark_5.0.0.json": "pytest-benchmark",
    "pytest_benchmark_saved.json": "pytest-benchmark",
    "pyperf_one.json": "pyperf",
    "pyperf_two.json": "pyperf",
    "hyperfine.json": "hyperfine",
    "hyperfine_one.json": "hyperfine",
    "google_1.7.1.json": "google-benchmark",
    "google_1.9.5.json": "google-benchmark",
    "google_aggregates.json": "google-benchmark",
    "go_1.19.txt": "go",
    "asv/samples": "asv",
    "asv/quartiles/one/e61ffee7-existing-py.json": "asv",
    "by_hand/criterion": "criterion",
    "by_hand/nvbench.json": "nvbench",
    "by_hand/bencher.json": "bencher",
    "by_hand/github_array.json": "github-action-benchmark",
    "by_hand/data.js": "github-action-benchmark",
}


def records_of(*names: str) -> tuple[Run, dict[str, list[Record]]]:
    """The run of the files, and its records by implementation."""
    run, records = imported([FILES / name for name in names])
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(record.case.implementation, []).append(record)
    return run, by_name


@pytest.mark.parametrize("name", TOOLS)
def test_every_format_is_told_by_its_content_and_read(name: str) -> None:
    run, records = imported([FILES / name])
    assert run.origin is not None
    assert run.origin.tool == TOOLS[name]
    assert any(record.outcome == "measured" for record in records)
    declared = {metric.name for metric in run.metrics}
    assert {taken.metric for record in records for taken in record.measurements} <= declared
    assert len({(record.case.name, record.round) for record in records}) == len(records)


def test_all_formats_have_a_file_here() -> None:
    assert set(TOOLS.values()) == set(FORMATS)


def test_units_are_moved_by_their_decimal_point() -> None:
    assert quantity("", "ns/op").of(458.3) == 4.583e-07
    assert quantity("", "ms").of(2.5) == 0.0025
    assert scaled(0.1, -9) == 1e-10
    assert math.isinf(scaled(math.inf, -9))
    assert (quantity("", "MB/s").metric.better, quantity("", "MB/s").of(1.5)) == ("higher", 1_500_000)
    assert quantity("x", "furlongs").metric.informative


def test_pytest_benchmark_values_are_of_one_call_already() -> None:
    said = {
        one["fullname"]: one for one in json.loads((FILES / "pytest_benchmark_5.3.1.json").read_text())["benchmarks"]
    }
    _, records = records_of("pytest_benchmark_5.3.1.json")
    (record,) = records["TestTwice::test_plain"]
    data = next(one["stats"]["data"] for name, one in said.items() if "TestTwice" in name)
    assert (record.values("latency"), record.measurements[0].iterations) == (tuple(data), 20)


def test_pytest_benchmark_params_that_look_alike_or_tell_an_address_are_told_apart() -> None:
    _, records = records_of("pytest_benchmark_5.3.1.json")
    names = [record.case.params for record in records["test_names"]]
    assert [one.get("pytest_id") for one in names] == ["1.0_0", "1.0_1", None]
    assert names[2]["value_param"] == "a/b=c [d] \"e\" 'f'"
    objects = [record.case.params for record in records["test_objects"]]
    assert objects == [
        {"pytest_id": "thing0"},
        {"thing": 3},
        {"thing": 2.5},
        {"thing": '[1, "x"]'},
        {"thing": "None"},
        {"thing": "True"},
    ]
    assert {"TestTwice::test_plain", "test_plain", "test_fails_after_timing"} <= records.keys()


def test_without_raw_values_there_is_only_a_mean() -> None:
    for name in ("pytest_benchmark_saved.json", "google_aggregates.json", "by_hand/bencher.json"):
        _, records = imported([FILES / name])
        assert {record.facts.get("summary") for record in records} == {"mean"}, name
    _, records = imported([FILES / "asv/quartiles"])
    assert [record.facts.get("summary") for record in records] == ["median"]


def test_pyperf_calibration_and_warm_ups_are_no_rounds() -> None:
    said = json.loads((FILES / "pyperf_one.json").read_text())
    runs = said["benchmarks"][0]["runs"]
    assert "values" not in runs[0], "the first run is the calibration"
    _, records = records_of("pyperf_one.json")
    (taken,) = records.values()
    assert [record.values("latency") for record in taken] == [tuple(run["values"]) for run in runs[1:]]
    assert [record.round for record in taken] == [0, 1, 2]
    assert records.keys() == {'sum range/n=8 [a] "q"'}, "its name is in the metadata of the file"
    assert records_of("pyperf_two.json")[1].keys() == {'sum range/n=8 [a] "q"', "other"}


def test_hyperfine_times_are_processes_and_failed_ones_are_no_times() -> None:
    _, records = records_of("hyperfine.json")
    assert [record.round for record in records["echo a b"]] == [0, 1, 2]
    assert all(len(record.values("latency")) == 1 for record in records["echo a b"])
    assert {record.outcome for record in records["false"]} == {"failed"}
    assert len({record.case.name for record in records["false"]}) == 4, "equal commands stay apart"
    assert records['echo "c"'][0].case.params == {"word": '"c"'}


def test_google_benchmark_reads_raw_rows_in_the_unit_of_each() -> None:
    run, records = records_of("google_1.7.1.json")
    rows = json.loads((FILES / "google_1.7.1.json").read_text())["benchmarks"]
    raw = [
        row["real_time"]
        for row in rows
        if row["run_name"] == "BM_Args/n:8/repeats:3" and row["run_type"] == "iteration"
    ]
    record = next(one for one in records["BM_Args"] if one.case.params == {"n": 8})
    assert record.values("latency") == tuple(scaled(value, -9) for value in raw)
    assert len(raw) == 3, "no aggregate is among them"
    (slept,) = records["BM_Milliseconds/real_time"]
    assert 0.002 <= slept.values("latency")[0] < 1, "in milliseconds there"
    assert records["BM_Manual/manual_time"][0].values("latency") == (0.5,)
    (failed,) = records["BM_Error"]
    assert (failed.outcome, 'no such "thing"' in failed.reason, failed.measurements) == ("failed", True, ())
    assert all(map(math.isinf, record.values("endless")))
    assert all(map(math.isnan, record.values("not_a_number")))
    rate = next(one for one in run.metrics if one.name == "bytes_per_second")
    assert (rate.unit, rate.better) == ("B/s", "higher")


def test_go_counts_are_one_process_and_repeated_names_stay_apart() -> None:
    run, records = records_of("go_1.19.txt")
    assert {record.case.params["kind"] for record in records["Append"]} == {"a_b", "a_b#01"}
    assert all((record.round, len(record.values("latency"))) == (0, 3) for record in records["Append"])
    (plain,) = records["Plain"]
    lines = [
        line.split() for line in (FILES / "go_1.19.txt").read_text().splitlines() if line.startswith("BenchmarkPlain")
    ]
    assert plain.values("latency") == tuple(scaled(float(line[2]), -9) for line in lines)
    assert plain.case.suite == "example"
    known = {metric.name: metric for metric in run.metrics}
    assert known["widgets_op"].informative
    assert known["bytes_per_call"].unit == "B"


def test_go_trailing_number_is_the_processors(tmp_path: Path) -> None:
    file = tmp_path / "bench.txt"
    file.write_text("BenchmarkX/n=8-2 \t 10 \t 1.5 ns/op\nBenchmarkX/n=8 \t 10 \t 1.5 ns/op\n")
    _, records = imported([file])
    assert [record.case.params for record in records] == [{"gomaxprocs": 2, "n": 8}, {"n": 8}]


def test_asv_failed_is_null_and_skipped_is_nan() -> None:
    _, records = records_of("asv/samples")
    ends = {(r.case.params["kind"], r.case.params["size"]): r.outcome for r in records["time_sum"]}
    assert ends["b c", 1] == "skipped"
    assert ends["a", "None"] == "failed"
    assert ends["a", 1] == ends[1, "inf"] == "measured"
    assert {record.outcome for record in records["time_fails"]} == {"failed"}
    assert {record.outcome for record in records["track_nothing"]} == {"skipped"}
    endless = next(r for r in records["track_length"] if r.case.params == {"kind": "a", "size": 1})
    assert endless.values("objects") == (math.inf,)
    assert all(
        record.values("peak_memory")[0] > 1e6 for record in records["peakmem_list"] if record.outcome == "measured"
    )


def test_asv_samples_are_one_round_in_seconds() -> None:
    said = json.loads((FILES / "asv/samples/one/e61ffee7-existing-py.json").read_text())
    row = dict(zip(said["result_columns"], said["results"]["examples.time_plain"], strict=False))
    _, records = records_of("asv/samples")
    (record,) = records["time_plain"]
    assert record.values("latency") == tuple(row["samples"][0])
    assert imported([FILES / "asv/samples"])[0].revision.commit == said["commit_hash"]


def test_criterion_divides_a_sample_by_its_calls() -> None:
    _, records = records_of("by_hand/criterion")
    (raw,) = records["fast [n]"]
    assert (raw.case.suite, raw.case.params) == ("sum of", {"value_param": 8})
    assert raw.values("latency") == (2.6e-08, 2.65e-08, 2.7e-08)
    (mean,) = records["plain"]
    assert (mean.values("latency"), mean.facts["summary"]) == ((1.50025e-06,), "mean")


def test_nvbench_samples_lie_beside_it() -> None:
    run, records = records_of("by_hand/nvbench.json")
    raw, mean, skipped = records["copy"]
    assert raw.values("latency") == pytest.approx((1.25e-5, 1.0e-5, 1.5e-5), rel=1e-7)
    assert (raw.case.params, run.environment.gpu) == ({"Kind": "a b", "Size": 256}, "NVIDIA H200")
    assert (mean.values("latency"), mean.facts["summary"]) == ((2.5e-05,), "mean")
    assert (skipped.outcome, "too large" in skipped.reason) == ("skipped", True)


def test_github_action_turns_seconds_into_a_rate_that_is_better_higher() -> None:
    run, records = records_of("by_hand/data.js")
    (test,) = records["tests/x.py::test_a[1]"]
    assert (test.case.suite, test.values("rate")) == ("pytest", (2000.5,)), "of the last commit"
    assert next(one for one in run.metrics if one.name == "rate").better == "higher"
    assert records.keys() == {"tests/x.py::test_a[1]", "fib"}, "aggregates are no benchmarks"
    _, array = records_of("by_hand/github_array.json")
    assert array["as text"][0].values("latency") == (0.0015,)
    assert array['sort [8] "q"'][0].values("latency") == (4.583e-07,)


def test_bencher_latency_is_in_nanoseconds() -> None:
    _, records = records_of("by_hand/bencher.json")
    assert records["benchmark_name"][0].values("latency") == (8.8e-08,)


def test_several_files_are_several_processes_of_one_run(tmp_path: Path) -> None:
    name = "pytest_benchmark_5.3.1.json"
    run, records = records_of(name, name, name)
    assert [record.round for record in records["test_plain"]] == [0, 1, 2]
    assert run.origin is not None
    assert run.origin.files == (name,) * 3
    with pytest.raises(StoreError, match="not of one run"):
        imported([FILES / name, FILES / "pyperf_one.json"])


def test_who_does_not_tell_its_machine_is_doubted(tmp_path: Path) -> None:
    _, records = imported([FILES / "hyperfine.json"])
    assert {record.warnings for record in records} == {(UNKNOWN_MACHINE,)}
    for side, name in (("base", "hyperfine.json"), ("head", "hyperfine_one.json")):
        bitbench("import", FILES / name, "--out", tmp_path / side)
    assert "neither base nor head tells its machine" in bitbench("compare", tmp_path / "base", tmp_path / "head").stdout
    _, records = imported([FILES / "pyperf_one.json"])
    assert {record.warnings for record in records} == {()}


def test_no_name_of_a_host_and_no_folder_gets_into_a_run(tmp_path: Path) -> None:
    for number, name in enumerate(TOOLS):
        done = bitbench("import", FILES / name, "--out", tmp_path / str(number))
        assert done.returncode == 0, done.stderr
        text = (tmp_path / str(number) / "run.jsonl").read_text()
        assert '"host"' not in text, name
        assert "/folder" not in text, name
        assert str(FILES) not in text, name


BAD = {
    "": "is empty",
    "{": "is no whole JSON",
    "[1, 2]": "is in none of the formats",
    "plain words": "is in none of the formats",
    '{"machine_info": {}, "benchmarks": [{"name": "a", "stats": {}}]}': "required field `mean`",
    '{"machine_info": {}, "benchmarks": []}': "no benchmark is in it",
    '{"machine_info": {}, "benchmarks": [{"name": "a", "stats": {"mean": 1, "data": [1], "iterations": 0}}]}': "0 it",
    '{"version": "1.0", "benchmarks": [{"runs": [{"values": ["x"]}]}]}': "Expected `float`",
    '{"context": {}, "benchmarks": [{"name": 3}]}': "row 0",
    '{"commit_hash": "a", "result_columns": [], "results": {}, "version": 1}': "its version is 1",
    '[{"name": "a", "unit": "s", "value": "x"}]': "is no number",
    "[" * 100_000: "nested too deeply",
    "window.BENCHMARK_DATA = {": "no whole file of github-action-benchmark",
    "BenchmarkX 10 x ns/op": "is no number",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:30] or "empty")
def test_a_bad_file_is_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    done = bitbench("import", file, "--out", tmp_path / "run")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert BAD[text] in done.stderr
    assert not (tmp_path / "run").exists()


ODD = (None, "x", -1, 10**400, math.nan, [], {}, "\ud800")


@pytest.mark.parametrize(
    "name", ["hyperfine_one.json", "by_hand/bencher.json", "by_hand/nvbench.json", "pyperf_one.json"]
)
def test_whatever_stands_in_place_of_a_value_is_read_or_refused(name: str, tmp_path: Path) -> None:
    text = (FILES / name).read_text()
    file = tmp_path / "odd.json"
    for number in range(sum(1 for _ in places(json.loads(text)))):
        content = json.loads(text)
        within, key = list(places(content))[number]
        within[key] = ODD[number % len(ODD)]
        file.write_text(json.dumps(content))
        with contextlib.suppress(BitbenchError):
            run, records = imported([file])
            lines = b"".join(encode(line) + b"\n" for line in (run, *records))
            assert len(parse(lines, file).records) == len(records)


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a document with every key or index in it."""
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        yield content, key
        if isinstance(value, dict | list):
            yield from places(value)


def test_an_imported_run_is_shown_with_its_origin_and_never_gone_on_with(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert bitbench("import", FILES / "pyperf_two.json", "--out", run).stdout == f"{run}\n"
    shown = bitbench("show", run)
    assert shown.returncode == 0
    assert "imported from pyperf 2.11.0 (pyperf_two.json)" in shown.stdout
    assert "load" not in shown.stdout.splitlines()[1]
    resumed = bitbench("run", "--resume", "--out", run)
    assert (resumed.returncode, "was imported from pyperf" in resumed.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pyperf_two.json", "asv/samples", "by_hand/bencher.json"])
def test_an_imported_run_has_a_report(name: str, tmp_path: Path) -> None:
    bitbench("import", FILES / name, "--out", tmp_path / "run")
    done = bitbench("report", tmp_path / "run", "-o", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert "imported from" in (tmp_path / "page.html").read_text()


def test_a_run_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    for code in (0, 2):
        assert bitbench("import", FILES / "pyperf_two.json", "--out", tmp_path / "run").returncode == code


def test_what_is_no_text_or_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "bytes", tmp_path / "missing", tmp_path):
        done = bitbench("import", path)
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert bitbench("import", FILES / "pyperf_one.json", "--from", "hyperfine").returncode == 2


def test_a_negative_time_is_no_time(tmp_path: Path) -> None:
    file = tmp_path / "bad.txt"
    file.write_text("BenchmarkX 10 -1.5 ns/op\n")
    _, (record,) = imported([file])
    assert (record.outcome, record.reason) == ("failed", "the file has a negative latency")


def test_a_format_that_is_named_is_not_guessed() -> None:
    assert read(FILES / "pyperf_one.json", "pyperf").tool == "pyperf"


def test_centre_is_that_of_the_tool() -> None:
    """pytest-benchmark's own median of the raw values that were read."""
    said = json.loads((FILES / "pytest_benchmark_5.0.0.json").read_text())["benchmarks"]
    _, records = imported([FILES / "pytest_benchmark_5.0.0.json"])
    medians = [statistics.median(record.values("latency")) for record in records]
    assert medians == pytest.approx([one["stats"]["median"] for one in said])
