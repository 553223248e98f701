"""`make device-check` without a GPU: how its steps are run, what its summary says, and all of it on a fake GPU."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click
import msgspec
import psutil
import pytest

from harness.cli import bitbench as program
from harness.cli import ended as carried_out
from harness.gate.trials import TrialGate, TrialRow
from harness.model import Case, Ceilings, Record
from harness.store import load
from suites.device_check import carry_out, gates, speed
from suites.device_check.__main__ import command
from suites.device_check.carry_out import DeviceCheck, Ended
from suites.device_check.plan import OUT, RUNS, SECONDS, PlannedStep, Stage, plan, steps
from suites.device_check.summary import FILE, SummaryPage
from suites.special.conformance import NOT_ASKED
from suites.special.device import REGIMES
from tests.harness.data.factories import make_environment, make_record, make_run, write_run
from tests.harness.fakes.command_line import bitbench

ROOT = Path(__file__).parents[2]
STAND_IN = str(Path(__file__).with_name("stand_in.py"))
PROGRAMS = {name: (sys.executable, STAND_IN, name) for name in ("bitbench", "pytest")}
HERE = make_environment(gpu="Example GPU")


def step(name: str, *words: str) -> PlannedStep:
    return PlannedStep(name, f"shows {name}", ("bitbench", "run", *words, "--out", f"{OUT}/{name}"), name)


def carried(out: Path, *stages: Stage, seconds: float = 30.0) -> dict[str, Ended]:
    told: list[int] = []
    one = DeviceCheck(out, stages, seconds, lambda so_far: told.append(len(so_far)), PROGRAMS)
    found = {ended.step: ended for ended in one.carry_out()}
    assert told == [*range(1, len(found) + 1)]
    return found


def test_what_crashes_refuses_or_has_nothing_costs_its_own_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAND_IN", "a=crashes b=refuses c=nothing")
    found = carried(tmp_path, Stage(1, (step("a"), step("b"))), Stage(1, (step("c"),)), Stage(1, (step("d", SECONDS),)))
    assert {name: (one.outcome, one.code) for name, one in found.items()} == {
        "a": ("failed", -signal.SIGSEGV),
        "b": ("failed", 2),
        "c": ("skipped", 5),
        "d": ("done", 0),
    }
    assert found["b"].reason == "bitbench: unknown suite"
    assert found["c"].reason == "bitbench: nothing was measured: there is none"
    (given,) = found["d"].said
    limit = found["d"].limit
    assert given == f"d was given run {0.85 * (limit - 8):.0f}s --out {tmp_path}/d"
    kept = [json.loads(line) for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert [(one["step"], one["outcome"], one["code"]) for one in kept] == [
        (name, one.outcome, one.code) for name, one in found.items()
    ]


def test_what_hangs_is_cut_at_its_share_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN", "a=hangs")
    monkeypatch.setenv("CHILD", str(tmp_path / "child"))
    monkeypatch.setattr(carry_out, "GRACE", 0.1)
    found = carried(tmp_path, Stage(1, (step("a"), step("b"))), Stage(3, (step("c"),)), seconds=10.0)
    assert (found["a"].outcome, found["a"].code) == ("cut", None)
    assert found["a"].limit == pytest.approx(2.5, rel=0.05)
    assert "it had not ended after" in found["a"].reason
    assert [found[name].outcome for name in "bc"] == ["done", "done"]
    assert found["c"].limit > 6.0  # all that was left
    child = int((tmp_path / "child").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_what_is_not_begun_says_why_and_the_report_is_of_what_is_there(tmp_path: Path) -> None:
    report = PlannedStep("report", "", ("bitbench", "report", RUNS, "-o", f"{OUT}/report.html"))
    lacking = PlannedStep("lacking", "", ("bitbench", "run"), why_not="the package lacking is not installed")
    found = carried(tmp_path, Stage(1, (lacking, report)))
    assert [found[name].reason for name in ("lacking", "report")] == [lacking.why_not, "no step has left a run"]
    assert carried(tmp_path / "late", Stage(1, (step("a"),)), seconds=1.0)["a"].reason == "no time was left"
    write_run(tmp_path / "two" / "b")
    stages = (Stage(1, (step("a"), step("b"))), Stage(1, (report,)))
    assert carried(tmp_path / "two", *stages)["report"].said == (
        f"report was given report {tmp_path}/two/b -o {tmp_path}/two/report.html",
    )


def started(out: Path, deeds: str, child: Path) -> subprocess.Popen[str]:
    code = (
        "import signal, sys; from pathlib import Path; from suites.device_check.__main__ import _interrupt, check\n"
        "signal.signal(signal.SIGTERM, _interrupt)\n"
        "programs = {name: (sys.executable, sys.argv[2], name) for name in ('bitbench', 'pytest')}\n"
        "sys.exit(check(Path(sys.argv[1]), 60.0, 'cuda', programs))"
    )
    return subprocess.Popen(
        (sys.executable, "-c", code, str(out), STAND_IN),
        cwd=ROOT,
        env={**os.environ, "STAND_IN": deeds, "CHILD": str(child)},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_check_that_is_ended_in_the_middle_leaves_the_summary_of_what_was_done(
    tmp_path: Path, end: signal.Signals
) -> None:
    out, child = tmp_path / "out", tmp_path / "child"
    with started(out, "memory=waits", child) as process:
        while not child.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(end)
        process.communicate(timeout=60)
    page = (out / FILE).read_text()
    assert "| latency | latency of triton and its rivals, and ceilings | done | 0 |" in page
    assert "| gate-same | a gate of the same code is not red | not begun |" in page
    cut = "| memory | bytes, exactly | cut |  |" in page
    assert cut == (end == signal.SIGTERM)  # nobody can tell of its own SIGKILL
    if end == signal.SIGKILL:
        psutil.Process(int(child.read_text())).kill()


def test_without_a_gpu_one_line_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert carried_out(command, "device-check", ("--out", str(tmp_path / "out"))) == 4
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("device-check: torch ")
    assert "finds no CUDA device here" in line
    assert not (tmp_path / "out").exists()


def test_an_earlier_check_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE).write_text("of an earlier one")
    assert carried_out(command, "device-check", ("--out", str(tmp_path))) == 2
    assert "holds an earlier check" in capsys.readouterr().err


def words_of(stages: Iterable[Stage]) -> list[Sequence[str]]:
    known = {SECONDS: "1m", RUNS: "."}
    found = [one.words for one in steps(tuple(stages)) if one.words[0] == "bitbench"]
    return [[known.get(word, word.replace(f"{OUT}/", "/tmp/")) for word in words[1:]] for words in found]


def test_every_command_line_of_the_plan_is_one_that_the_program_takes() -> None:
    begun: list[str] = []
    for words in words_of(plan("cpu")):
        if words[0] != "run":
            click.Context(program)
            context = program.make_context("bitbench", list(words))
            name, chosen, rest = program.resolve_command(context, list(words))
            while isinstance(chosen, click.Group):
                name, chosen, rest = chosen.resolve_command(context, rest)
            assert chosen is not None
            chosen.make_context(name, rest)
            begun.append(words[0])
            continue
        done = bitbench(*words[: words.index("--out")], "--dry-run")
        assert done.returncode == 0, done.stderr
        begun.append(words[1])
    assert set(begun) == {"conformance", "device-latency", "memory", "selftest", "report"}


def latency_records(speedups: Mapping[int, float], noise: float = 0.0) -> list[Record]:
    """Of `triton` over `linear-bf16` in graphs, by number of tokens, in three rounds that differ by `noise`."""
    records = []
    for number in range(3):
        for tokens, faster in speedups.items():
            shape = {"n": 4096, "k": 4096, "m": tokens}
            point = {**shape, "scheme": "w2a8-nonorm", "device": "cuda", **REGIMES["graph"]}
            off = 1.0 + noise * (number - 1)
            for name, seconds in (("linear-bf16", 1e-5), ("triton", off * 1e-5 / faster)):
                case = Case.of("device-latency", name, point)
                values = {"latency": [seconds] * 4, "weight_bytes": 1e6}
                facts = {"operations": 2 * 4096 * 4096 * tokens, "activation_bytes": 1e4}
                records.append(make_record(case, number, values, facts=facts))
    return records


@pytest.mark.parametrize(
    ("speedups", "noise", "words"),
    [
        ({1: 3.2, 2048: 1.5}, 0.01, ["held", "held"]),
        ({1: 2.5, 2048: 1.5}, 0.01, ["missed", "held"]),
        ({1: 3.02, 2048: 1.5}, 0.03, ["open", "held"]),
        ({1: 3.2}, 0.01, ["held", "not measured"]),
    ],
)
def test_a_goal_is_held_or_missed_where_the_whole_interval_says_so(
    tmp_path: Path, speedups: Mapping[int, float], noise: float, words: list[str]
) -> None:
    run = msgspec.structs.replace(
        make_run(("device-latency",), environment=HERE),
        ceilings=(Ceilings(device="cuda", memory_bandwidth=4e12, int8=1e15),),
    )
    write_run(tmp_path / "latency", run, latency_records(speedups, noise))
    found = speed.latencies(tmp_path, ["latency"])
    goals, graph = found.blocks[:2]
    assert not isinstance(goals, str)
    assert not isinstance(graph, str)
    assert [row[-1] for row in goals.rows] == words
    assert len(found.wrong) == words.count("missed")
    assert len(found.missing) == words.count("open") + words.count("not measured")
    assert graph.title == "graph"
    assert [row[:2] for row in graph.rows] == [["4096 x 4096", tokens] for tokens in speedups]
    assert str(graph.rows[0][2]).startswith("10")
    assert f"{speedups[1]:.1f}"[:3] in str(graph.rows[0][3])
    (ceilings,) = speed.ceilings(tmp_path, ["latency"]).blocks
    assert not isinstance(ceilings, str)
    assert ("memory", "4000 GB/s") in ceilings.rows


def gate(word: str, injection: str = "", code: int = 0, invalid: str = "") -> TrialGate:
    name = "gate/implementation=int8/k=64/m=2048/n=32"
    row = TrialRow(word, (0.01, 0.03), 1e-4)  # type: ignore[arg-type]  # a word for brevity
    return TrialGate(injection and f"{injection} {name}", code, 4, 50.0, {name: row}, None, {}, invalid)


@pytest.mark.parametrize(
    ("trial", "wrong", "missing"),
    [
        (gate("ok"), "", ""),
        (gate("regressed", code=1), "nothing had been slowed down: int8 M=2048 N=32 K=64", ""),
        (gate("ok", code=1), "a number that should be exact differs", ""),
        (gate("inconclusive", code=3), "", "nothing was decided"),
        (gate("ok", code=4, invalid="sentinel/implementation=nn.Linear/m=1"), "", "a sentinel moved: nn.Linear M=1"),
        (gate("regressed", "work 0.05", 1), "", ""),
        (gate("ok", "work 0.05"), "the slowdown was called ok", ""),
        (gate("inconclusive", "work 0.05", 3), "", "the slowdown was not found in the time"),
        (None, "", "there is no verdict"),
    ],
)
def test_a_gate_is_to_be_quiet_about_the_same_code_and_red_about_what_was_made_slower(
    tmp_path: Path, trial: TrialGate | None, wrong: str, missing: str
) -> None:
    text = msgspec.json.encode({"exit_code": 0, "trials": [trial]}) if trial else b""
    (tmp_path / "gate.json").write_bytes(text)
    found = gates.section(tmp_path, ["gate"])
    for said, lines in ((wrong, found.wrong), (missing, found.missing)):
        assert len(lines) == bool(said)
        assert not said or said in lines[0]
    if trial:
        (table,) = found.blocks
        assert not isinstance(table, str)
        assert table.rows[0][3] == "+2.0 %"


def asked(name: str, scheme: str, **changes: object) -> Record:
    point = {"property": name, "scheme": scheme, "device": "cuda", "dtype": "float32"}
    facts = {"informative": int(name == "compile"), "sentence": "is so"}
    outcome = {} if "reason" in changes else {"values": {"examples": 2.0}}
    return make_record(Case.of("conformance", "triton", point), 0, facts=facts, **outcome, **changes)  # type: ignore[arg-type]  # of a test


def test_the_summary_counts_what_is_right_and_lists_what_is_wrong_and_what_was_not_shown(tmp_path: Path) -> None:
    stages = plan("cuda")
    records = [
        asked("zeros", "all"),
        asked("sizes", "all", warnings=(f"the first 3 examples took 20 s; {NOT_ASKED}",)),
        asked("strides", "all", reason="relative error 1; with K=3", outcome="failed"),
        asked("compile", "all", reason="a graph break", outcome="failed"),
        asked("schemes", "w2a8"),
        asked("schemes", "w2a8g2"),
    ]
    write_run(tmp_path / "check-triton-1", make_run(("conformance",), environment=HERE), records)
    done = [
        Ended("check-triton-1", "done", code=1, seconds=3.0, limit=90.0),
        Ended("check-gemlite", "skipped", "not here"),
    ]
    assert SummaryPage(tmp_path, HERE, stages, [*done, Ended("memory", "failed", "no disk", 2)]).write() == 1
    page = (tmp_path / FILE).read_text()
    assert "| triton | all together | 1 | 1 | 1 | 0 |" in page
    assert "| triton | w2, 2 schemes | 2 | 0 | 0 | 0 |" in page
    wrong = page.partition("## Not shown")[0]
    assert "## Wrong or missed: 2" in wrong
    assert "* step memory: no disk" in wrong
    assert "* triton, property=strides scheme=all: relative error 1; with K=3" in wrong
    assert "1 properties were asked of the first examples alone" in page
    assert "* not begun: kernels, check-linear, check-schemes-1, " in page
    assert "GPU Example GPU" in page
    for title in ("Conformance", "Latency", "Ceilings", "Bytes", "Gates", "Steps"):
        assert f"\n## {title}\n" in page
    assert SummaryPage(tmp_path / "check-triton-1", HERE, stages, ()).write() == 5
    assert SummaryPage(tmp_path, HERE, stages, done).write() == 1
    write_run(tmp_path / "check-triton-1", make_run(("conformance",), environment=HERE), records[:1])
    assert SummaryPage(tmp_path, HERE, stages, done).write() == 3


def test_a_worker_times_graphs_and_cold_calls_and_ceilings_on_a_fake_gpu(tmp_path: Path) -> None:
    words = ("run", "device-latency", "--suites", "suites.special.device", "--device", "cuda", "--rounds", "1")
    chosen = ("--impl", "linear-bf16,int8", "--axis", "shape=16x16", "--axis", "m=1", "--out", str(tmp_path / "run"))
    done = subprocess.run(
        (sys.executable, "-m", "tests.suites.on_a_fake_gpu", *words, *chosen),
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stored = load(tmp_path / "run")
    for name in ("linear-bf16", "int8"):
        records = [record for record in stored.records if record.case.implementation == name]
        points = [(record.case.params.get("graph", 0), record.case.params["cache"]) for record in records]
        assert points == [(1, "stream"), (0, "cold"), (0, "hot")]
        for record in records:
            assert min(record.values("latency") + record.values("launch_overhead")) > 0
    (ceilings,) = stored.run.ceilings
    assert (ceilings.device, ceilings.cache_bytes) == ("cuda", 1 << 16)
    assert min(ceilings.memory_bandwidth, ceilings.bfloat16, ceilings.int8) > 0


@pytest.mark.slow
def test_all_of_it_runs_to_its_end_on_a_fake_gpu(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    (tmp_path / "gate.toml").write_text("rounds = 4\n")
    variables = {"TRITON_INTERPRET": "1", "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        (sys.executable, "-m", "tests.suites.tiny_device_check", str(tmp_path / "out"), "1200"),
        cwd=tmp_path,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    page = (tmp_path / "out" / FILE).read_text()
    assert done.returncode == 1, done.stderr + page  # the interpreter is no GPU: it misses the goal
    wrong = page.partition("## Not shown")[0]
    said = [line for line in wrong.splitlines() if line.startswith("* ")]
    assert said[0].startswith("* W2A8 at M=1 at least 3x linear-bf16")
    assert all(line.startswith("* gate-") for line in said[1:])  # on a busy machine even the same code may look slower
    assert "1 passed" in page
    for name in ("linear-fp32", "linear-bf16", "linear-fp16"):
        assert f"| {name} | all together | 2 | 0 | 0 | 0 |" in page
    assert re.search(r"\| triton \| all together \| (2 \| 0|1 \| 1) \| 0 \| 0 \|", page)  # the interpreter is slow
    for row in ("compiled | w2, 1 scheme | 2", "triton | w1, 1 scheme | 1", "triton | w2, 1 scheme | 1"):
        assert f"| {row} | 0 | 0 | 0 |" in page
    for title in (*REGIMES, "goals, in regime graph"):
        assert f"### {title}\n" in page
    assert "| product of bfloat16 |" in page
    assert "| triton | w2a8 | 1 | 16 x 16 | 128 B | 4 | 128 B |" in page
    assert "| the same code | int8 M=1 N=16 K=16 | as it was |" in page
    assert "| +5 % work | int8 M=1 N=16 K=16 | slowed down |" in page
    kept = [
        msgspec.json.decode(line, type=Ended) for line in (tmp_path / "out" / "steps.jsonl").read_bytes().splitlines()
    ]
    assert {one.step for one in kept if one.outcome != "done"} <= {"check-gemlite", "check-bitblas"}
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
