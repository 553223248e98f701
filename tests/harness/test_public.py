"""What `import harness` offers: measured by workers that make their answers up, in this process as in a notebook."""

import builtins
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import harness
from harness.cli import main
from harness.commands import run as run_command
from harness.errors import BitbenchError, NothingMeasuredError, StoreError, UsageError
from harness.model import Request
from harness.public import as_command
from harness.runner import pool
from harness.runner.process import WorkerProcess
from tests.harness.data.factories import make_case, make_record, make_run, write_run
from tests.harness.fakes.steadfast import NAMES

STEADFAST = "tests.harness.fakes.steadfast"
SLOW = ("torch", "pandas", "scipy", "matplotlib", "seaborn", "rich")


@pytest.fixture
def swift(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where runs lie by default."""
    swift = partial(WorkerProcess, program="tests.harness.fakes.swift_worker")
    monkeypatch.setattr(pool, "WorkerProcess", swift)
    monkeypatch.setenv("PYTHONPATH", str(harness.HOME))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results" / "runs"


def test_a_suite_is_run_shown_gated_and_found_again(swift: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = harness.run("steadfast", package=STEADFAST, implementations=["one", "two"], axes={"m": [1, 2]}, rounds=3)
    assert {(r.case.implementation, r.case.params["m"], r.round) for r in run.records} == {
        (name, m, number) for name in ("one", "two") for m in (1, 2) for number in range(3)
    }
    assert "[1/6] round 1" in capsys.readouterr().err
    assert run.directory is not None
    assert run.directory.resolve().parent == swift
    assert harness.load(run.directory) == run
    assert "steadfast" in repr(harness.show(run))
    assert "<table" in harness.show(run, metrics="weight_bytes", baselines="two")._repr_html_()
    assert set(harness.summary(run)["implementation"]) == {"one", "two"}
    assert len(harness.samples(run, metric="weight_bytes")) == 4
    compared, gated = harness.compare(run, run.directory), harness.gate(run, run, metrics="exact", policy="pr")
    assert gated.exit_code == 0
    assert "ok (exit code 0)" in repr(gated)
    assert "<table" in compared._repr_html_()
    assert set(compared.frame()["verdict"]) <= {"ok", "inconclusive"}
    assert run.run.argv == tuple(
        f"bitbench run steadfast --suites {STEADFAST} --impl one,two --rounds 3 --axis m=1,2".split()
    )


def test_progress_can_be_left_out_and_a_run_of_nothing_is_no_run(
    swift: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NothingMeasuredError, match="nothing was measured: it is elsewhere; the records are in out"):
        harness.run("steadfast", package=STEADFAST, implementations="elsewhere", out="out", progress=False)
    assert capsys.readouterr().err == ""
    assert {record.outcome for record in harness.load("out").records} == {"skipped"}


def test_an_interrupted_run_is_kept_and_says_how_to_go_on(swift: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient:
        def began(self, *_: object) -> None: ...
        def prepared(self, *_: object) -> None: ...

        def recorded(self, *_: object) -> None:
            raise KeyboardInterrupt

        def __enter__(self) -> "Impatient":
            return self

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr("harness.public.watcher", Impatient)
    with pytest.raises(KeyboardInterrupt) as stop:
        harness.run("steadfast", package=STEADFAST, out="out")
    said = "finished records are in out; go on with: bitbench run --resume --out out"
    assert said in stop.value.__notes__[0]
    assert harness.load("out").records
    assert main(["run", "--resume", "--out", "out"]) == 0
    assert {r.case.implementation for r in harness.load("out").records} == set(NAMES)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: harness.run("quikc"), "unknown suite 'quikc'; choose from: quick"),
        (lambda: harness.run(()), "name at least one suite, as in harness.run('quick')"),
        (
            lambda: harness.run("quick", implementations=[object]),
            "is no name; workers are processes of their own: give",
        ),
        (lambda: harness.run("quick", axes={"mm": 1}), "suite quick has no axis 'mm'; it has: shape, m"),
        (lambda: harness.run("quick", rounds="3"), "rounds='3': Expected `int`, got `str`"),  # type: ignore[arg-type]  # wrong
        (lambda: harness.run("quick", rounds=-1), "rounds=-1: Expected `int` >= 0"),
        (lambda: harness.run("quick", precision=2), "precision=2 is no share of at most 1: write 0.02 for 2 %"),
        (lambda: harness.run("quick", case_limit=0), "case_limit=0: nobody answers in no time; give seconds above 0"),
        (lambda: harness.run("quick", memory_limit=4), "memory_limit=4 is in bytes, and no case can do with it"),
        (lambda: harness.run("quick", metrics="speed"), "unknown metric 'speed'; choose from: exact, sampled"),
        (lambda: harness.gate("a", "b", policy="lax"), "unknown policy 'lax'; choose from: pr, release"),  # type: ignore[arg-type]  # wrong
        (lambda: harness.gate("a", "b", margin=3), "margin=3 is no share above 0 and at most 1: write 0.03 for 3 %"),
        (lambda: harness.show(3), "3 is no run; give its directory, or what harness.run or harness.load returns"),  # type: ignore[arg-type]  # wrong
    ],
)
def test_what_is_wrong_is_one_clear_line(call: object, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        call()  # type: ignore[operator]  # a lambda
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)


def test_runs_that_cannot_be_read_or_shown_or_compared_are_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot read nowhere"):
        harness.load("nowhere")
    one = write_run(tmp_path / "a", make_run(run_id="a"), [make_record(make_case("eager"), values={"latency": 1.0})])
    two = write_run(tmp_path / "b", make_run(run_id="b"), [make_record(make_case("int8"), values={"latency": 1.0})])
    with pytest.raises(NothingMeasuredError, match="share no case that both measured"):
        harness.compare(one, two)
    assert harness.gate(one, two).exit_code == 5
    with pytest.raises(UsageError, match="unknown baseline 'int8'; choose from: eager"):
        harness.show(one, baselines="int8")


class ZMQInteractiveShell:
    """Of this name is the shell of a notebook's kernel."""


def test_in_a_notebook_the_text_of_a_run_is_text_and_displays_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    displayed: list[object] = []
    module = ModuleType("IPython.display")
    module.display = displayed.append  # type: ignore[attr-defined]  # a stand-in
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(builtins, "get_ipython", ZMQInteractiveShell, raising=False)
    run = write_run(tmp_path, make_run(), [make_record(make_case("eager"), values={"latency": 1.0})])
    assert "eager" in repr(harness.show(run))
    assert displayed == []


class CaughtError(BitbenchError):
    pass


@pytest.mark.parametrize("memory_limit", [None, 0.0, 2.0**30])
def test_the_words_of_a_run_from_python_ask_the_command_line_for_the_same(
    memory_limit: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And every option is read as the type of its field."""
    request = Request(
        suites=("quick", "latency"),
        implementations=("int8", "x.y:Z"),
        axes={"m": (1, 128), "shape": ("64x32",)},
        models=("llama-3-8b", "mine:make"),
        keyword="m=1/ and not fp16",
        device="cpu",
        threads=2,
        full=True,
        metrics=("latency", "weight_bytes"),
        rounds=7,
        precision=0.025,
        budget=90.5,
        case_limit=7.25,
        memory_limit=123456789.0 if memory_limit is None else memory_limit,
        seed=5,
    )
    unset = [name for name in Request.__struct_fields__ if getattr(request, name) == getattr(Request(suites=()), name)]
    assert {*unset} <= {"package", "memory_limit"}
    seen = []

    def caught(registry: object, asked: Request, labels: object) -> None:
        seen.append(asked)
        raise CaughtError

    monkeypatch.setattr(run_command, "opened", caught)
    monkeypatch.setattr(run_command, "available_memory", lambda: 123456789.0)
    for asked in (request, Request(suites=("quick",), memory_limit=request.memory_limit)):
        assert main(as_command(asked, memory_limit)[1:]) == 2
        assert seen[-1] == asked
        assert msgspec.json.encode(seen[-1]) == msgspec.json.encode(asked)


def test_all_is_offered_and_nothing_slow_is_imported_for_it() -> None:
    code = f"""
import sys, harness
def slow(): return [name for name in {SLOW} if name in sys.modules]
assert not slow()
assert set(harness.__all__) <= set(dir(harness))
harness.run, harness.load, harness.show, harness.compare, harness.gate, harness.Suite, harness.Workload, harness.Metric
assert not slow(), slow()
import harness.gate.runs, harness.show.results
from harness.gate.session import Session
from harness import gate, show
assert all(map(callable, (gate, show, harness.gate, harness.show, harness.run)))
for name in harness.__all__: assert getattr(harness, name) is not None
try: harness.nothing
except AttributeError as error: assert "it has: HOME, Axis" in str(error)
else: raise AssertionError
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=harness.HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before = "import harness.gate.session, harness.show.results, harness; assert callable(harness.gate)"
    done = subprocess.run([sys.executable, "-c", before], cwd=harness.HOME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
