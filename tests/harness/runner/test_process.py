"""Real workers with contestants that misbehave: each costs its own row, and every row says why."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import InvalidEnvironmentError
from harness.model import Record, Request
from harness.model.codec import decode, encode
from harness.model.messages import ObserveMachine
from harness.model.suite import Registry
from harness.model.workload import Prepared
from harness.runner import nursery, process
from harness.runner.controller import Controller
from harness.runner.plan import make_plan
from harness.runner.process import WorkerLostError, WorkerProcess
from harness.runner.worker_link import Worker
from harness.user_code.plain_text import of_error
from tests.harness.fakes.forked_workers import FORKING
from tests.harness.fakes.run_scene import Silent

MODULE = "tests.harness.fakes.misbehaviour"
FORKED = "not to be trusted: it left a process behind"


@pytest.fixture(autouse=True)
def _started(started_workers: None) -> None:
    """Those of `records`, which is made before, are forked."""


@pytest.fixture(scope="module")
def records() -> Iterator[list[Record]]:
    """As of a run: the first worker is started, and the others are forked where that can be done."""
    registry = Registry.load(MODULE)
    first = WorkerProcess(MODULE, memory_limit=1 << 30)
    waiting: list[Worker] = [first]
    request = Request(suites=("misbehaviour",), case_limit=3.0)
    contests = make_plan(request, registry, first.describe())
    templates = nursery.Nursery()

    def start() -> Worker:
        if waiting:
            return waiting.pop()
        begin = templates.fork if nursery.can_fork() else nursery.started
        worker = WorkerProcess(MODULE, memory_limit=1 << 30, begin=begin)
        worker.describe()  # importing torch is not what has a limit here
        return worker

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nursery, "subprocess", subprocess)
        yield list(Controller(contests, request, start).records(Silent()))
        templates.close()


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("elsewhere", "skipped", r"it needs a quantum\udcff computer"),
        ("says-no", "failed", "TypeError: why_not returned 1; it must return a sentence, or None where it can run"),
        ("raises", "failed", "ValueError: two lines"),
        ("raises-in-init", "failed", "RuntimeError: no such layer"),
        (
            "builds-a-function",
            "failed",
            f"TypeError: build returned <built-in function sum>; it must return a {Prepared.__module__}.Prepared",
        ),
        ("raises-bytes", "failed", r"FileNotFoundError: no table \udcff\x1b[31m"),
        ("raises-speechless", "failed", "SpeechlessError: (its text cannot be had: KeyError)"),
        ("exits", "failed", "SystemExit: 3"),
        ("vanishes", "crashed", "the worker exited with status 7; its last words: last words"),
        ("segfaults", "crashed", "the worker was killed by SIGSEGV"),
        ("hangs", "timed_out", "no answer within its time limit of 3 s"),
        ("wrong", "failed", "wrong answer: 2"),
        ("floods", "failed", "it printed more than 64 MiB without an answer"),
        ("forks", "failed", "not to be trusted: it left a process behind"),
        ("hoards-in-torch", "failed", "it took more than its memory limit of 1.00 GiB; raise --memory-limit"),
        ("hoards-in-python", "failed", "it took more than its memory limit of 1.00 GiB; raise --memory-limit"),
    ],
)
def test_a_contestant_that_misbehaves_is_one_row_with_its_reason(
    records: list[Record], name: str, outcome: str, reason: str
) -> None:
    (record,) = [record for record in records if record.case.implementation == name]
    assert (record.outcome, record.reason) == (outcome, reason)
    assert not record.values("latency")


def test_a_contestant_that_closes_every_file_costs_its_own_row(records: list[Record]) -> None:
    """Which status Python ends with depends on what it was doing when its files were gone."""
    (record,) = [record for record in records if record.case.implementation == "closes-everything"]
    assert record.outcome == "crashed"
    assert record.reason.startswith("the worker exited with status ")


def test_what_a_contestant_notes_is_one_line_that_can_be_stored(records: list[Record]) -> None:
    (first, _) = [record for record in records if record.case.implementation == "notes"]
    assert first.warnings == (r"slow: no library \udcff; install it",)
    assert decode(encode(first), Record) == first


@pytest.mark.parametrize("name", ["honest", "prints"])
def test_the_others_are_measured_in_every_round(records: list[Record], name: str) -> None:
    mine = [record for record in records if record.case.implementation == name]
    assert [record.outcome for record in mine] == ["measured", "measured"]
    assert all(record.values("latency") for record in mine)
    assert mine[0].values("weight_bytes") == (10.0,)


def test_bytes_allocated_by_a_call_are_exact(records: list[Record]) -> None:
    (honest, _) = [record for record in records if record.case.implementation == "honest"]
    assert honest.values("peak_forward_bytes") == (4000.0,)


def rogue(kind: str) -> WorkerProcess:
    return WorkerProcess(kind, memory_limit=2**31, program="tests.harness.fakes.rogue")


@pytest.mark.parametrize(
    ("kind", "outcome", "reason"),
    [
        ("garbage", "crashed", r"something else than the worker wrote to its pipe: b'\\x00\\xff{'"),
        ("forged", "crashed", "something else than the worker wrote to its pipe: b'{\"outcome"),
        ("earlier", "crashed", "something else than the worker wrote"),
        ("coerced", "crashed", "something else than the worker wrote"),
        ("nested", "crashed", "something else than the worker wrote"),
        ("endless", "crashed", "a reply of more than 1 MiB"),
        ("floods", "failed", "it printed more than 64 MiB"),
        ("drips", "timed_out", "no answer within its time limit of 1 s"),
        ("babbles", "timed_out", "no answer within its time limit of 1 s"),
        ("hangs-up", "crashed", "the worker closed its pipe and went on"),
        ("hears-nothing", "crashed", "the worker closed its pipe and went on"),
        ("exhausted", "crashed", r"SIGABRT; its last words: what\(\): std::bad_alloc; it took more than .* 2.00 GiB"),
        ("killed", "crashed", "killed by SIGKILL, which is often the system when memory is short: choose smaller"),
        ("strange-signal", "crashed", "the worker was killed by signal 40"),
    ],
)
def test_whatever_a_worker_does_instead_of_answering_is_told_and_ends_it(
    kind: str, outcome: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "DYING_LIMIT", 0.2)
    monkeypatch.setattr(process, "REPLY_LIMIT", 1 << 20)
    worker = rogue(kind)
    with pytest.raises(WorkerLostError, match=reason) as lost:
        worker.ask(ObserveMachine(), 1.0 if outcome == "timed_out" else 60.0)
    assert lost.value.outcome == outcome
    assert "\n" not in lost.value.reason
    assert worker._process.returncode is not None
    worker.close()


def test_what_is_printed_is_no_answer_and_takes_no_memory() -> None:
    worker = rogue("talks")
    assert [worker.ask(ObserveMachine(), 60.0).values for _ in range(3)] == [{"latency": (0.5,)}] * 3
    assert worker._last_words() == "; its last words: a lot"
    assert len(worker._said) <= process.LAST_WORDS
    worker.close()


def test_what_a_worker_started_ends_with_it() -> None:
    worker = rogue("leaves-a-child")
    with pytest.raises(WorkerLostError) as lost:
        worker.ask(ObserveMachine(), 60.0)
    child = int(lost.value.reason.rsplit(maxsplit=1)[-1])
    assert gone(child)


def test_a_worker_that_cannot_be_started_is_an_invalid_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(InvalidEnvironmentError, match="cannot start a worker: Resource temporarily unavailable"):
        rogue("talks")


def test_an_answer_that_waits_is_taken_however_late_the_controller_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A controller that was stopped, as by Ctrl-Z, finds its time limit passed and the answer there."""
    worker = rogue("nothing")
    worker.ask(ObserveMachine(), 60.0)
    clock = iter([0.0])

    def jumps() -> float:
        if (first := next(clock, None)) is not None:
            return first
        time.sleep(0.5)
        return 1e6

    with monkeypatch.context() as patch:
        patch.setattr(process, "time", SimpleNamespace(**{**vars(time), "monotonic": jumps}))
        assert worker.ask(ObserveMachine(), 60.0).outcome == "measured"
    worker.close()


def test_an_answer_during_which_the_machine_slept_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = rogue("talks")
    assert worker.ask(ObserveMachine(), 60.0).warnings == ()
    readings = iter([100.0, 112.0])
    monkeypatch.setattr(process, "suspended", lambda: next(readings))
    (doubt,) = worker.ask(ObserveMachine(), 60.0).warnings
    assert "suspended for 12 s" in doubt
    worker.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a clock that counts while a machine sleeps")
def test_a_machine_that_is_awake_was_not_suspended() -> None:
    before = process.suspended()
    time.sleep(0.01)
    assert before >= -0.001
    assert abs(process.suspended() - before) < process.SUSPENSION


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if "zombie" not in Path(f"/proc/{pid}/status").read_text():
                time.sleep(0.01)
                continue
        return True
    return False


def test_a_worker_that_does_not_start_is_an_invalid_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "linux":
        monkeypatch.setattr(nursery, "subprocess", FORKING)  # it has imported torch before it looks for suites
    worker = WorkerProcess("no_such_package")
    with pytest.raises(InvalidEnvironmentError, match=r"the worker does not start.*no_such_package"):
        worker.describe()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_worker_dies_with_its_controller(tmp_path: Path) -> None:
    program = (
        "import sys, time; from harness.runner.process import WorkerProcess\n"
        f"worker = WorkerProcess({MODULE!r}); worker.describe()\n"
        "print(worker._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        pid = int(controller.stdout.readline())
        os.kill(controller.pid, signal.SIGKILL)
    assert gone(pid)


def test_the_frames_of_cpp_are_no_part_of_a_reason() -> None:
    error = TypeError("Overflow when unpacking long long\nException raised from unpack at numbers.h:79\nframe #0")
    assert of_error(error) == "TypeError: Overflow when unpacking long long"
