"""`bitbench run` with real workers: what is printed, what is kept, which exit code."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import store
from harness.machine.environment import usable_cores
from harness.model import Case, Record
from tests.harness.fakes.command_line import Done, bitbench
from tests.suites.tiny import TINY

OWN = "tests.suites.contestants:"


pytestmark = pytest.mark.usefixtures("timed_for_a_moment")


def outcomes(records: tuple[Record, ...]) -> dict[str, tuple[str, str]]:
    return {record.case.implementation.removeprefix(OWN): (record.outcome, record.reason) for record in records}


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    out = tmp_path_factory.mktemp("runs") / "small"
    names = "linear-fp32,linear-bf16,int8"
    return out, bitbench("run", "quick", *TINY, "--impl", names, "--rounds", "2", "--out", out)


def test_a_run_prints_its_table_and_last_its_directory(
    small_run: tuple[Path, Done],
) -> None:
    out, done = small_run
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(out)
    assert "linear-fp32" in done.stdout
    assert "round 2" in done.stderr
    stored = store.load(out)
    assert [record.outcome for record in stored.records] == ["measured"] * 6
    assert {m.metric for record in stored.records for m in record.measurements} >= {
        "latency",
        "first_call",
        "prepare",
        "weight_bytes",
        "resident_bytes",
        "peak_forward_bytes",
        "agreement_sqnr",
        "error_sqnr",
    }
    assert str(out) not in (out / store.FILE_NAME).read_text()


def test_stored_bytes_are_those_of_the_codes_and_scales(
    small_run: tuple[Path, Done],
) -> None:
    first = {r.case.implementation: r for r in store.load(small_run[0]).records if r.round == 0}
    assert first["linear-fp32"].values("weight_bytes") == (48 * 32 * 4,)
    assert first["linear-bf16"].values("weight_bytes") == (48 * 32 * 2,)
    assert first["int8"].values("weight_bytes") == (48 * 32 + 4,)
    assert first["int8"].values("bits_per_weight") == (8 * (48 * 32 + 4) / (48 * 32),)
    assert first["int8"].values("resident_bytes") == (48 * 32 + 4,)


def test_a_run_is_shown_and_gated_against_its_copy(small_run: tuple[Path, Done], tmp_path: Path) -> None:
    out, _ = small_run
    rows = json.loads(bitbench("show", out, "--format", "json").stdout)["rows"]
    assert {row["implementation"] for row in rows} == {"linear-fp32", "linear-bf16", "int8"}
    gated = bitbench("gate", out, shutil.copytree(out, tmp_path / "copy"), "--metric", "exact")
    assert gated.returncode == 0, gated.stdout


def test_an_existing_run_is_not_overwritten_and_a_finished_one_has_nothing_to_resume(
    small_run: tuple[Path, Done],
) -> None:
    out, _ = small_run
    before = (out / store.FILE_NAME).read_bytes()
    refused = bitbench("run", "quick", *TINY, "--out", out)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    resumed = bitbench("run", "--resume", "--out", out)
    assert resumed.returncode == 0, resumed.stderr
    assert (out / store.FILE_NAME).read_bytes() == before


def test_contestants_that_misbehave_cost_their_own_row(tmp_path: Path) -> None:
    bad = ["Shape", "Dtype", "NotANumber", "Scaled", "Raises", "Exits", "Hangs", "broken_build"]
    names = ",".join(["linear-fp32", *(OWN + name for name in ["honest", *bad])])
    done = bitbench(
        "run", "quick", *TINY, "--impl", names, "--rounds", "1", "--case-limit", "5s", "--out", tmp_path / "run"
    )
    assert done.returncode == 1
    found = outcomes(store.load(tmp_path / "run").records)
    assert found["linear-fp32"] == found["honest"] == ("measured", "")
    for name, outcome, reason in [
        ("Shape", "failed", "wrong answer: shape (3, 47), expected (3, 48)"),
        ("Dtype", "failed", "wrong answer: dtype torch.float64, expected the input's torch.float32"),
        ("NotANumber", "failed", "wrong answer: 1 of 144 values are NaN or infinite"),
        ("Raises", "failed", "RuntimeError: out of luck"),
        ("Exits", "crashed", "the worker exited with status 3"),
        ("Hangs", "timed_out", "no answer within its time limit of 5 s"),
        ("broken_build", "failed", "ValueError: cannot pack 32 features"),
    ]:
        assert found[name] == (outcome, reason)
    told = " ".join(bitbench("show", tmp_path / "run", "--failures").stdout.split())
    assert "tests/suites/contestants.py:" in told
    assert f'in broken_build: raise ValueError(f"cannot pack {"{layer.in_features}"} features")' in told
    assert 'in forward: raise RuntimeError("out of luck")' in told
    assert str(Path.cwd()) not in (tmp_path / "run" / store.FILE_NAME).read_text()
    assert found["Scaled"][0] == "failed"
    assert found["Scaled"][1].startswith("wrong answer: relative error")


def test_what_cannot_run_here_is_skipped_and_a_run_of_nothing_is_not_a_success(tmp_path: Path) -> None:
    done = bitbench("run", "quick", *TINY, "--impl", "int8", "--axis", "scheme=w1a16", "--out", tmp_path / "run")
    assert done.returncode == 5
    assert "activation_bits=16" in done.stderr
    assert outcomes(store.load(tmp_path / "run").records)["int8"][0] == "skipped"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "quikc"), "unknown suite 'quikc'; choose from: quick"),
        (("run", "quick", "--axis", "mm=1"), "suite quick has no axis 'mm'; it has: shape, m"),
        (("run", "quick", "--axis", "shape=4"), "4 is not a shape; write NxK"),
        (("run", "quick", "--axis", "scheme=w1a8g3"), "in_features=2560 is not divisible by groups=3"),
        (("run", "quick", "--axis", "dtype=int4"), "'int4' is unknown; choose from: float32"),
        (("run", "quick", "--device", "tpu"), "choose from: auto"),
        (
            ("run", "quick", "--metric", "speed"),
            "unknown metric 'speed'; choose from: exact, sampled, paired, portable",
        ),
        (("run", "quick", "--budget", "soon"), "'soon' is not a duration; write 90s, 5m or 1h30m"),
        (
            ("run", "quick", *TINY, "--impl", f"int8,{OWN}missing"),
            "has no attribute 'missing'; it has tests.suites.contestants:Float, tests.suites.contestants:honest, ",
        ),
        (("run", "quick", "--impl", "eagre"), "unknown implementation 'eagre'; choose from: linear-fp32"),
        (("run", "quick", "--impl", "tests.suites.contestants"), "; it has tests.suites.contestants:Float, tests"),
        (("run", "--resume"), "--resume needs --out DIR"),
        (("run",), "name at least one suite"),
        (("shwo",), "unknown command 'shwo'; choose from: list, run, fleet, show"),
        (("baseline", "acept"), "unknown command 'acept'; choose from: accept, show; did you mean accept?"),
        (("run", "quick", "--memory-limit", "4"), "'4' is 4 B, and no case can do with it; write 4GiB, 500MB or none"),
        (("show", "no/such/run"), "no/such/run"),
    ],
)
def test_bad_input_gets_one_clear_line_and_exit_code_2(words: tuple[str, ...], message: str) -> None:
    done = bitbench(*words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_directory_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = bitbench("run", "quick", *TINY, "--impl", "eager", "--out", tmp_path / "file" / "run")
    assert done.returncode == 2
    assert "a file is in the way" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = [
        sys.executable,
        "-m",
        "harness.cli",
        "run",
        "quick",
        *TINY,
        "--impl",
        "linear-fp32,eager",
        "--rounds",
        "3",
        "--out",
        str(out),
    ]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "round 2" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stderr.read()
    assert process.returncode == 130
    assert f"bitbench run --resume --out {out}" in rest
    assert "Traceback" not in rest
    kept = store.load(out).records
    assert {record.round for record in kept} == {0}

    resumed = bitbench("run", "--resume", "--out", out)
    assert resumed.returncode == 0, resumed.stderr
    records = store.load(out).records
    assert records[: len(kept)] == kept
    assert {(r.case.implementation, r.round) for r in records} == {
        (name, number) for name in ("linear-fp32", "eager") for number in range(3)
    }


def test_a_dry_run_names_every_case_and_measures_nothing_without_torch_in_the_controller(tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from harness.cli import main; sys.exit(main(sys.argv[1:]))"
    words = ("run", "quick", *TINY, "--impl", "linear-fp32", "--impl", "int8", "--dry-run", "--out", tmp_path / "run")
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    *cases, summary, seconds = done.stdout.splitlines()
    assert [Case.parse(line).implementation for line in cases] == ["linear-fp32", "int8"]
    assert summary == "quick: 2 cases in 1 contest, at most 4 rounds each, fewer where 5 % is reached before"
    assert seconds.startswith("time: 5 s of timing and 10 s of building and checking at most")
    assert not (tmp_path / "run").exists()
    assert [line for line in cases if "implementation=int8" in line] == [
        line for line in bitbench(*words[:-3], "-k", "int8", "--dry-run").stdout.splitlines() if "/" in line
    ]


def test_what_leaves_no_case_names_the_command_that_lists_them() -> None:
    done = bitbench("run", "quick", *TINY, "--impl", "int8", "-k", "nosuch")
    assert done.returncode == 5
    assert "no case is left by -k 'nosuch'; `bitbench run quick --dry-run` lists the cases" in done.stderr


def test_a_finished_run_is_extended_from_what_is_there(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("quick", *TINY, "--impl", "linear-fp32,int8", "--metric", "latency")
    assert bitbench("run", *words, "--rounds", "1", "--out", out).returncode == 0
    before = (out / store.FILE_NAME).read_bytes()
    planned = bitbench("run", "--resume", "--out", out, "--precision", "2%", "--rounds", "3", "--dry-run")
    assert "2 cases in 1 contest, at most 2 rounds each, fewer where 2 % is reached" in planned.stdout
    assert (out / store.FILE_NAME).read_bytes() == before
    extended = bitbench("run", "--resume", *words, "--out", out, "--precision", "2%", "--rounds", "3")
    assert extended.returncode == 0, extended.stderr
    assert "(at most 3, fewer where known to 2 %)" in extended.stdout
    stored = store.load(out)
    assert (out / store.FILE_NAME).read_bytes().startswith(before)
    assert sorted(record.round for record in stored.records) == [0, 0, 1, 1, 2, 2]
    (extension,) = stored.extensions
    assert extension.aims["quick"].precision == 0.02
    assert "extended" in bitbench("show", out).stdout


def test_every_suite_runs(tmp_path: Path) -> None:
    small = ("--axis", "shape=64x64", "--axis", "m=4", "--threads", "1", "--rounds", "1", "--budget", "60s")
    done = bitbench(
        *("run", "latency", "memory", "training", "scaling", *small, "--impl", "linear-fp32,reference"),
        *("--out", tmp_path / "run"),
    )
    assert done.returncode == 0, done.stderr
    records = store.load(tmp_path / "run").records
    assert {record.case.suite for record in records} == {"latency", "memory", "training", "scaling"}
    assert {record.outcome for record in records} == {"measured"}
    trained = {r.case.implementation: r for r in records if r.case.suite == "training"}
    for name in ("weight_gradient_cosine", "input_gradient_cosine"):
        assert trained["linear-fp32"].values(name)[0] == pytest.approx(1.0, abs=1e-6)
        assert 0.5 < trained["reference"].values(name)[0] < 1


def test_the_error_suite_measures_what_theory_predicts(tmp_path: Path) -> None:
    axes = ("--axis", "weight_bits=1.58,4", "--axis", "activation_bits=8", "--axis", "groups=4", "--threads", "1")
    pairs = ("--axis", "distribution=gaussian,laplace", "-k", "w1.58a8g4 and gaussian or w4a8g4 and laplace")
    done = bitbench("run", "error", *axes, *pairs, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    records = store.load(tmp_path / "run").records
    assert len(records) == 2
    for record in records:
        predicted = float(record.facts["predicted_sqnr"])
        assert record.values("error_sqnr")[0] == pytest.approx(predicted, abs=0.3)


def test_pytest_benchmark_runs_the_cases_as_its_users_know_it(tmp_path: Path) -> None:
    words = ["suites", "--benchmark-only", "-p", "no:cacheprovider", "--benchmark-max-time=0.01"]
    words += ["-k", "quick and n:2560 and m:1/ and (linear-fp32 or int8)", f"--benchmark-json={tmp_path / 'out.json'}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k not in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER")},
    )
    assert done.returncode == 0, done.stdout
    benchmarks = json.loads((tmp_path / "out.json").read_text())["benchmarks"]
    assert {b["extra_info"]["implementation"] for b in benchmarks} == {"linear-fp32", "int8"}
    assert all(b["extra_info"]["k"] == 2560 and b["extra_info"]["weight_bits"] == 1.58 for b in benchmarks)
    point = {"device": "cpu", "dtype": "float32", "k": 2560, "m": 1, "n": 2560, "scheme": "w1.58a8"}
    for b in benchmarks:
        assert b["params"] == {**point, "implementation": b["extra_info"]["implementation"], "threads": usable_cores()}
    assert len({b["group"] for b in benchmarks}) == 1
