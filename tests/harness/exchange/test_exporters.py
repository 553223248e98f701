"""Runs of ours in the formats of other tools: they read them, and what comes back is the run that went out."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness import store
from harness.analysis.results import of_run
from harness.judge.judge import judge_runs
from harness.model import Case, Measurement, Record, Run, StoredRun, known_metrics
from harness.model.metrics import METRICS
from harness.show.exporters.registry import EXPORTERS
from harness.show.verdict_words import reason
from harness.store.importers.assembly import imported
from tests.harness.data.factories import make_run
from tests.harness.fakes.command_line import bitbench

WITH_ROUNDS = ("pytest-benchmark", "pyperf", "go", "google-benchmark")
"""Formats that a run comes back from as it was judged."""
FILES = Path(__file__).parents[2] / "data/exchange"
NAMES = ("eager", 'a b/c=d [e] "f" %', "ends-8")
MEASURED = ("latency", "weight_bytes", "error_sqnr")
SECONDS = (4.583e-07, 1.0000000000000002e-3, 0.1)


def run_of(factor: float = 1.0, run: str = "a") -> tuple[Run, list[Record]]:
    """Three cases of hard names in three rounds, and two that did not come to their end."""
    header = make_run(run_id=run)
    records = []
    for name, seconds in zip(NAMES, SECONDS, strict=True):
        case = Case.of("quick", name, {"k": 8, "kind": "x=y/z", "last": "v-2", "case": 1})
        for number, wobble in enumerate((1.0, 1.001, 0.999)):
            value = seconds * wobble * factor
            latency = Measurement("latency", (value, value * 1.01, value * 1.02), 7)
            exact = [Measurement("weight_bytes", (4096.0,)), Measurement("error_sqnr", (-8.06,))] * (number == 0)
            records.append(Record(case, number, "measured", "", (latency, *exact)))
    failed = Case.of("quick", "failing", {"k": 8})
    records.append(Record(failed, 0, "measured", "", (Measurement("latency", (1.0,)),)))
    records.append(Record(failed, 1, "crashed", "it died"))
    records.append(Record(Case.of("quick", "absent", {"k": 8}), 0, "skipped", "no such device"))
    return header, records


def stored(folder: Path, factor: float = 1.0) -> Path:
    header, records = run_of(factor, folder.name)
    with store.create(folder, header) as writer:
        writer.append_all(records)
    return folder


def exported(run: Path, tool: str, file: Path) -> str:
    """What is written, read from the file; the other files of the format lie beside it."""
    done = bitbench("export", run, "--as", tool, "-o", file)
    assert done.returncode == 0, done.stderr
    return "".join(Path(line).read_text() for line in done.stdout.splitlines())


@pytest.mark.parametrize("tool", EXPORTERS)
def test_only_cases_that_were_measured_go_out(tool: str, tmp_path: Path) -> None:
    run = stored(tmp_path / "run")
    done = bitbench("export", run, "--as", tool, "-o", tmp_path / "file")
    assert "left out: quick/implementation=failing/k=8: crashed in round 2 (it died)" in done.stderr
    assert "left out: quick/implementation=absent/k=8: skipped in round 1 (no such device)" in done.stderr
    text = "".join(Path(line).read_text() for line in done.stdout.splitlines())
    assert "failing" not in text
    assert "absent" not in text


@pytest.mark.parametrize("tool", EXPORTERS)
def test_names_and_params_come_back_as_they_were(tool: str, tmp_path: Path) -> None:
    exported(stored(tmp_path / "run"), tool, tmp_path / "file")
    (first, *_) = sorted(tmp_path.glob("file*"))
    _, records = imported([first])
    assert {record.case for record in records} == {record.case for record in run_of()[1][:9]}


@pytest.mark.parametrize("tool", WITH_ROUNDS)
def test_what_comes_back_is_judged_as_it_was(tool: str, tmp_path: Path) -> None:
    sides = [stored(tmp_path / "base"), stored(tmp_path / "head", 1.2)]
    back = []
    for number, side in enumerate(sides):
        file = tmp_path / f"{number}.json"
        exported(side, tool, file)
        run, records = imported([file])
        back.append(StoredRun(run, tuple(records)))
    before = judge_runs(*map(store.load, sides), {"latency"})
    after = judge_runs(*back, {"latency"})
    words = {verdict.case: reason(verdict) for verdict in before.judged if verdict.case.implementation in NAMES}
    assert {verdict.case: reason(verdict) for verdict in after.judged if verdict.case.implementation in NAMES} == words
    assert {verdict.word for verdict in after.verdicts if verdict} == {"regressed", "ok"}, "the floor tolerates 92 ns"


@pytest.mark.parametrize("tool", ["go", "google-benchmark"])
def test_other_metrics_come_back_as_the_same_metrics(tool: str, tmp_path: Path) -> None:
    exported(stored(tmp_path / "run"), tool, tmp_path / "file")
    run, records = imported([tmp_path / "file"])
    assert {metric.name: metric for metric in run.metrics} == {name: METRICS[name] for name in MEASURED}
    taken = {(m.metric, m.values) for record in records for m in record.measurements if m.metric != "latency"}
    assert taken == {("weight_bytes", (4096.0,)), ("error_sqnr", (-8.06,))}


@pytest.mark.parametrize("tool", ["pytest-benchmark", "pyperf"])
def test_raw_values_come_back_bit_for_bit(tool: str, tmp_path: Path) -> None:
    exported(stored(tmp_path / "run"), tool, tmp_path / "file")
    _, records = imported([tmp_path / "file"])
    back = {(one.case, one.round): (one.values("latency"), one.measurements[0].iterations) for one in records}
    out = {(one.case, one.round): (one.values("latency"), 7) for one in run_of()[1] if (one.case, one.round) in back}
    assert back == out
    assert len(back) == 9


@pytest.mark.parametrize("tool", WITH_ROUNDS)
@pytest.mark.parametrize("name", ["pytest_benchmark_5.3.1.json", "google_1.7.1.json", "pyperf_one.json"])
def test_files_of_one_tool_go_to_another_and_come_back(name: str, tool: str, tmp_path: Path) -> None:
    assert bitbench("import", FILES / name, "--out", tmp_path / "run").returncode == 0
    exported(tmp_path / "run", tool, tmp_path / "file")
    _, records = imported([tmp_path / "file"])
    out = {one.case for one in store.load(tmp_path / "run").records if one.outcome == "measured"}
    assert {record.case for record in records} == out


@pytest.mark.parametrize("tool", ["bencher", "github-action-benchmark"])
def test_a_format_of_one_value_is_incomparable_and_says_why(tool: str, tmp_path: Path) -> None:
    exported(stored(tmp_path / "run"), tool, tmp_path / "file.json")
    file = next(path for path in tmp_path.glob("file*.json") if "bigger" not in path.name)
    for side in ("base", "head"):
        assert bitbench("import", file, "--out", tmp_path / side).returncode == 0
    base, head = (store.load(tmp_path / side) for side in ("base", "head"))
    judged = judge_runs(base, head, known_metrics(base.run))
    words = {(verdict.metric, verdict.word) for verdict in judged.verdicts if verdict}
    assert words >= {("latency", "incomparable"), ("weight_bytes", "ok")}
    why = next(reason(verdict) for verdict in judged.verdicts if verdict and verdict.metric == "latency")
    assert why.startswith("base has only a mean and head has only a mean and no raw values")
    (back,) = (one for one in base.records if one.case.implementation == "ends-8")
    summary = of_run(store.load(tmp_path / "run"))[back.case.name].summary("latency")
    assert summary is not None
    assert back.values("latency") == pytest.approx((summary.centre,), rel=1e-12)


def test_go_text_is_what_benchstat_reads(tmp_path: Path) -> None:
    text = exported(stored(tmp_path / "run"), "go", tmp_path / "file")
    lines = [line for line in text.splitlines() if line.startswith("Benchmark")]
    assert all(re.fullmatch(r"Benchmark[A-Z]\S+ \d+ -?[\d.]+ \S+", line) for line in lines), lines
    assert not any(re.match(r"\S+-\d+ ", line) for line in lines), "that would be GOMAXPROCS"
    assert sum(line.endswith(" ns/op") for line in lines) == 9, "a line a round, and not a sample"
    assert any(" 462.883 ns/op" in line for line in lines), "458.3 ns and 1 %, with no digit made by a product"
    assert "Unit error_sqnr better=higher" in text


def test_github_action_has_a_file_for_each_direction(tmp_path: Path) -> None:
    run = stored(tmp_path / "run")
    exported(run, "github-action-benchmark", tmp_path / "bench.json")
    smaller, bigger = (json.loads((tmp_path / f"bench-{name}.json").read_text()) for name in ("smaller", "bigger"))
    assert {one["name"].rpartition("=")[2] for one in smaller} == {"latency", "weight_bytes"}
    assert {(one["name"].rpartition("=")[2], one["unit"], one["value"]) for one in bigger} == {
        ("error_sqnr", "dB", -8.06)
    }
    alone = bitbench("export", run, "--as", "github-action-benchmark")
    assert alone.returncode == 2
    assert "name them by -o FILE" in alone.stderr


def test_bencher_has_centre_and_interval_in_nanoseconds(tmp_path: Path) -> None:
    document = json.loads(exported(stored(tmp_path / "run"), "bencher", tmp_path / "file"))
    latency = next(one["latency"] for name, one in document.items() if "ends-8" in name)
    assert latency["lower_value"] < latency["value"] < latency["upper_value"]
    assert math.isclose(latency["value"], 0.101e9, rel_tol=1e-3)


def test_pyperf_gets_no_value_that_it_refuses(tmp_path: Path) -> None:
    header, records = run_of()
    zero = msgspec.structs.replace(records[0], measurements=(Measurement("latency", (0.0,)),))
    with store.create(tmp_path / "run", header) as writer:
        writer.append_all([zero, *records[3:]])
    done = bitbench("export", tmp_path / "run", "--as", "pyperf")
    assert "pyperf has no value that is not above 0" in done.stderr
    names = [one["metadata"]["name"] for one in json.loads(done.stdout)["benchmarks"]]
    assert (len(names), [name for name in names if "eager" in name]) == (2, [])


def test_nothing_measured_is_no_file(tmp_path: Path) -> None:
    header, records = run_of()
    with store.create(tmp_path / "run", header) as writer:
        writer.append_all(records[-1:])
    done = bitbench("export", tmp_path / "run", "--as", "go", "-o", tmp_path / "file")
    assert done.returncode == 5
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("tool", ["pytest-benchmark", "pyperf", "google-benchmark"])
def test_without_latency_there_is_nothing_for_tools_that_time(tool: str, tmp_path: Path) -> None:
    done = bitbench("export", stored(tmp_path / "run"), "--as", tool, "--metric", "weight_bytes")
    assert (done.returncode, done.stdout) == (5, "")


def test_pytest_benchmark_compares_what_was_exported(tmp_path: Path) -> None:
    exported(stored(tmp_path / "run"), "pytest-benchmark", tmp_path / "file.json")
    program = "import sys; from pytest_benchmark.cli import main; main()"
    words = (sys.executable, "-c", program, "compare", str(tmp_path / "file.json"), "--columns=median,rounds")
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ends-8[case=1-k=8-kind=x=y/z-last=v-2]" in done.stdout


def test_pyperf_reads_what_was_exported(tmp_path: Path) -> None:
    pyperf = pytest.importorskip("pyperf")
    exported(stored(tmp_path / "run"), "pyperf", tmp_path / "file.json")
    suite = pyperf.BenchmarkSuite.load(str(tmp_path / "file.json"))
    assert [(one.get_nrun(), one.get_nvalue(), one.get_unit()) for one in suite] == [(3, 9, "second")] * 3
