"""Real workers with contestants that misbehave: each costs its own row, and every row says why."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import InvalidEnvironmentError
from harness.model import Record, Request
from harness.plan import make_plan
from harness.process import WorkerProcess
from harness.run import Controller, Worker
from harness.suite import Registry
from tests.harness.test_run import Silent

MODULE = "tests.harness.misbehaviour"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    registry = Registry.load(MODULE)
    first = WorkerProcess(MODULE)
    waiting: list[Worker] = [first]
    request = Request(suites=("misbehaviour",), case_limit=5.0)
    contests = make_plan(request, registry, first.describe())

    def hire() -> Worker:
        return waiting.pop() if waiting else WorkerProcess(MODULE)

    return list(Controller(contests, request, hire).records(Silent()))


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("elsewhere", "skipped", "it needs a quantum computer"),
        ("raises", "failed", "ValueError: two lines"),
        ("raises-in-init", "failed", "RuntimeError: no such layer"),
        ("exits", "failed", "SystemExit: 3"),
        ("vanishes", "crashed", "the worker exited with status 7; its last words: last words"),
        ("segfaults", "crashed", "the worker was killed by SIGSEGV"),
        ("hangs", "timed_out", "no answer within its time limit of 5 s"),
        ("wrong", "failed", "wrong answer: 2"),
    ],
)
def test_a_contestant_that_misbehaves_is_one_row_with_its_reason(
    records: list[Record], name: str, outcome: str, reason: str
) -> None:
    (record,) = [record for record in records if record.case.implementation == name]
    assert (record.outcome, record.reason) == (outcome, reason)
    assert not record.values("latency")


@pytest.mark.parametrize("name", ["honest", "prints"])
def test_the_others_are_measured_in_every_round(records: list[Record], name: str) -> None:
    mine = [record for record in records if record.case.implementation == name]
    assert [record.outcome for record in mine] == ["measured", "measured"]
    assert all(record.values("latency") for record in mine)
    assert mine[0].values("weight_bytes") == (10.0,)


def test_bytes_allocated_by_a_call_are_exact(records: list[Record]) -> None:
    (honest, _) = [record for record in records if record.case.implementation == "honest"]
    assert honest.values("peak_forward_bytes") == (4000.0,)


def test_a_worker_that_does_not_start_is_an_invalid_environment() -> None:
    worker = WorkerProcess("no_such_package")
    with pytest.raises(InvalidEnvironmentError, match=r"the worker does not start.*no_such_package"):
        worker.describe()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_worker_dies_with_its_controller(tmp_path: Path) -> None:
    program = (
        "import sys, time; from harness.process import WorkerProcess\n"
        f"worker = WorkerProcess({MODULE!r}); worker.describe()\n"
        "print(worker._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as controller:
        assert controller.stdout is not None
        pid = int(controller.stdout.readline())
        os.kill(controller.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    status = Path(f"/proc/{pid}/status")
    assert not status.exists() or "zombie" in status.read_text()
