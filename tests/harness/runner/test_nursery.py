"""Workers that are forked: each is as good as one that was started, and none outlives its controller."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from harness import HOME
from harness.model.messages import Answer, Sources
from harness.model.suite import Registry
from harness.runner import nursery as nurseries
from harness.runner import pool
from harness.runner.nursery import Fork, Nursery, can_fork, started

pytestmark = pytest.mark.skipif(not can_fork(), reason="needs a system that can fork workers")

TELLS = "tests.harness.fakes.tells_process"


@pytest.fixture(scope="module", autouse=True)
def _real() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nurseries, "subprocess", subprocess)
        patch.setattr(pool, "can_fork", can_fork)
        yield


@pytest.fixture(scope="module")
def nursery(_real: None) -> Iterator[Nursery]:
    found = Nursery()
    yield found
    found.close()


def words(*folders: Path, module: str = "any") -> list[str]:
    sources = json.dumps(msgspec.to_builtins(Sources((*map(str, folders), str(HOME)))))
    begin = "import sys; sys.path.insert(0, sys.argv.pop(1)); from harness.worker.bootstrap import main; main()"
    return [sys.executable, "-P", "-c", begin, str(HOME), sources, TELLS, module]


def environment(**added: str) -> dict[str, str]:
    return {**os.environ, **added}


def told(worker: Fork | subprocess.Popen[bytes]) -> dict[str, object]:
    """What a worker tells of itself, once it has ended."""
    assert worker.stdout is not None
    assert worker.stderr is not None
    line = worker.stdout.readline()
    assert line, worker.stderr.read().decode()
    found: dict[str, object] = json.loads(line)
    return found


def ended(worker: Fork | subprocess.Popen[bytes]) -> int:
    code = worker.wait()
    for pipe in (worker.stdin, worker.stdout, worker.stderr):
        assert pipe is not None
        pipe.close()
    return code


def test_a_fork_has_all_that_a_started_worker_has(nursery: Nursery, tmp_path: Path) -> None:
    variables = environment(BITBENCH_TEST="\udcff", OMP_NUM_THREADS="2")
    forked = nursery.fork(words(), variables, str(tmp_path))
    begun = started(words(), variables, str(tmp_path))
    mine, theirs = told(forked), told(begun)
    assert mine.pop("parent") != theirs.pop("parent")
    assert mine.pop("pid") == mine.pop("group") == mine.pop("session") == forked.pid
    assert theirs.pop("pid") == theirs.pop("group") == theirs.pop("session") == begun.pid
    assert mine == theirs
    assert (ended(forked), ended(begun)) == (0, 0)


def test_every_fork_draws_its_own_luck_and_lies_elsewhere_in_memory(nursery: Nursery, tmp_path: Path) -> None:
    places: list[object] = []
    drawn: list[list[float]] = []
    for _ in range(3):
        worker = nursery.fork(words(module="place"), environment(), str(tmp_path))
        found = told(worker)
        places.append(found["place"])
        assert isinstance(found["drawn"], list)
        drawn.append(found["drawn"])
        ended(worker)
    assert len(set(map(str, places))) == 3
    assert [len(set(numbers)) for numbers in zip(*drawn, strict=True)] == [3, 3], "Python's and numpy's"


def test_a_folder_that_hides_what_is_imported_already_is_obeyed(nursery: Nursery, tmp_path: Path) -> None:
    """As a started worker does: a user's `numpy` is what torch gets."""
    (tmp_path / "numpy.py").write_text("")
    file = str(tmp_path / "numpy.py")
    worker = nursery.fork(words(tmp_path, module="numpy"), environment(), str(tmp_path))
    assert told(worker)["file"] == file
    assert ended(worker) == 0


@pytest.mark.parametrize(
    ("module", "code"), [("exits", 7), ("segfaults", -signal.SIGSEGV), ("sleeps", -signal.SIGKILL)]
)
def test_how_it_ends_is_told(nursery: Nursery, tmp_path: Path, module: str, code: int) -> None:
    worker = nursery.fork(words(module=module), environment(), str(tmp_path))
    told(worker)
    if module == "sleeps":
        assert worker.poll() is None
        os.killpg(worker.pid, signal.SIGKILL)
    assert ended(worker) == code
    assert gone(worker.pid)


def test_a_template_that_is_renewed_or_killed_costs_no_worker_of_another(nursery: Nursery, tmp_path: Path) -> None:
    first = nursery.fork(words(module="sleeps"), environment(), str(tmp_path))
    oldest = told(first)["parent"]
    nursery.renew()
    second = nursery.fork(words(module="sleeps"), environment(), str(tmp_path))
    old = told(second)["parent"]
    assert old != oldest
    os.kill(int(str(old)), signal.SIGKILL)
    assert ended(second) == -signal.SIGKILL
    assert gone(int(str(old)))
    third = nursery.fork(words(), environment(), str(tmp_path))
    assert told(third)["parent"] not in (oldest, old)
    assert ended(third) == 0
    assert first.poll() is None
    nursery.close()
    assert ended(first) == -signal.SIGKILL
    assert gone(first.pid)


def test_an_order_that_dies_with_its_template_goes_to_another(nursery: Nursery, tmp_path: Path) -> None:
    first = nursery.fork(words(), environment(), str(tmp_path))
    template = int(str(told(first)["parent"]))
    assert ended(first) == 0
    os.kill(template, signal.SIGSTOP)
    threading.Timer(0.2, os.kill, (template, signal.SIGKILL)).start()
    second = nursery.fork(words(), environment(), str(tmp_path))
    assert told(second)["parent"] != template
    assert ended(second) == 0


def test_nothing_is_left_of_a_controller_that_was_killed(tmp_path: Path) -> None:
    program = (
        "import os, time; from harness.runner.nursery import Nursery; nursery = Nursery()\n"
        f"worker = nursery.fork({words(module='sleeps')!r}, dict(os.environ), {str(tmp_path)!r})\n"
        "print(worker.stdout.readline().decode(), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=HOME) as controller:
        assert controller.stdout is not None
        found = json.loads(controller.stdout.readline())
        os.kill(controller.pid, signal.SIGKILL)
    assert gone(found["pid"])
    assert gone(found["parent"])


def test_a_pool_starts_its_first_worker_and_forks_the_others() -> None:
    """Also of two pools that share a nursery, as those of a gate do; a pool then leaves the nursery to its owner."""
    both = Nursery()
    registry = Registry.load("tests.harness.fakes.misbehaviour")
    pools = [pool.WorkerPool(registry, 0.0, shuffle=True, nursery=both) for _ in range(2)]
    try:
        assert pools[0].description == pools[1].description
        workers = [one.start() for _ in range(2) for one in pools]
        assert [worker.describe() for worker in workers] == [pools[0].description] * 4
        parents = [Path(f"/proc/{worker._process.pid}/stat").read_text().split()[3] for worker in workers]
        assert parents[:2] == [str(os.getpid())] * 2
        assert parents[2] == parents[3] != str(os.getpid())
        for worker in workers:
            worker.close()
    finally:
        for one in pools:
            one.close()
        both.close()


def test_only_what_compiled_has_the_compiler_imported() -> None:
    nursery = Nursery()
    nursery.learn(Answer(values={"graphs": (0.0,)}))
    assert not nursery.compiles
    nursery.learn(Answer(values={"graphs": (1.0,), "graph_breaks": (0.0,)}))
    assert nursery.compiles


def gone(pid: int) -> bool:
    """Whether a process ends within seconds; one that nobody has collected has ended."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if "zombie" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False
