"""The guard finds what was changed, puts it back, and finds nothing where nothing was."""

import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from operator import attrgetter

import pytest
import torch

from harness import measure
from harness.worker.guard.guard import Guard
from harness.worker.guard.settings import Settings


class Rival:
    def work(self) -> int:
        return 1


class Clock:
    def __init__(self) -> None:
        self.now = time.perf_counter


class Device:
    def __init__(self) -> None:
        self.clock: object = Clock()
        self.waits = 0


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def guard(device: Device) -> Iterator[Guard]:
    settings = Settings()
    settings.remember()
    yield Guard(("harness", __name__), {"cpu": device})
    settings.restore()


PRECISION = "changed the precision of float32 products"


def _hide_builtin() -> None:
    measure.min = lambda *given: 0.0  # type: ignore[attr-defined]  # that is the cheat


def _exchange_code() -> None:
    Rival.work.__code__ = (lambda self: 2).__code__


def _timer() -> None:
    import signal

    signal.setitimer(signal.ITIMER_REAL, 1000, 1000)


def _mix() -> None:
    torch.set_float32_matmul_precision("high")
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda: setattr(time, "perf_counter", int), "replaced time.perf_counter"),
        (lambda: setattr(random, "shuffle", list), "replaced random.shuffle"),
        (lambda: setattr(Rival, "work", int), f"replaced {__name__}.Rival.work"),
        (lambda: setattr(torch.nn.Module, "__call__", int), "replaced torch.nn.modules.module.Module.__call__"),
        (_hide_builtin, "replaced harness.measure.min"),
        (_exchange_code, f"replaced {__name__}.Rival.work"),
        (lambda: torch.set_default_dtype(torch.float64), "changed the default dtype"),
        (lambda: torch.set_default_device("meta"), "changed torch's function modes"),
        (lambda: sys.setprofile(lambda *given: None), "changed Python's profile function"),
        (_timer, "changed the interval timer"),
        (_mix, PRECISION),
        (lambda: torch.set_float32_matmul_precision("medium"), PRECISION),
        (lambda: torch.autocast("cpu", torch.bfloat16).__enter__(), "changed autocast"),
    ],
)
def test_a_change_is_found_once_and_undone(guard: Guard, tamper: Callable[[], object], words: str) -> None:
    guard.begin(thorough=False)
    tamper()
    assert guard.end(thorough=False).faults == (words,)
    guard.begin(thorough=False)
    assert guard.end(thorough=False).faults == ()
    assert time.perf_counter() > 0
    assert Rival().work() == 1
    assert measure.calibrate.__globals__.get("min", min) is min


PRECISIONS = (
    "",
    "cuda.matmul",
    "cudnn",
    "cudnn.conv",
    "cudnn.rnn",
    "mkldnn",
    "mkldnn.matmul",
    "mkldnn.conv",
    "mkldnn.rnn",
)


def _precisions() -> dict[str, str]:
    return {name: attrgetter(f"{name}.fp32_precision".lstrip("."))(torch.backends) for name in PRECISIONS}


@pytest.mark.parametrize("name", PRECISIONS)
def test_a_precision_that_is_set_in_the_newer_way_is_found_and_undone(guard: Guard, name: str) -> None:
    before = _precisions()
    backend = attrgetter(name)(torch.backends) if name else torch.backends
    for value in {"tf32", "ieee", "bf16"} - ({"bf16"} if name.startswith("cud") else set()):
        guard.begin(thorough=False)
        backend.fp32_precision = value
        meant_nothing = before[name] in (value, "none" if value == "ieee" else value)
        assert guard.end(thorough=False).faults == (() if meant_nothing else (PRECISION,)), value
        assert _precisions() == before, value
    assert torch.get_float32_matmul_precision() == "highest"


def test_whoever_asks_for_full_precision_has_changed_nothing(guard: Guard) -> None:
    guard.begin(thorough=False)
    torch.set_float32_matmul_precision("highest")
    assert guard.end(thorough=False).faults == ()


def test_a_mix_that_was_there_before_harms_nobody(guard: Guard) -> None:
    guard.begin(thorough=False)
    _mix()
    before = _precisions()
    guard.begin(thorough=False)
    torch.backends.mkldnn.matmul.fp32_precision = "ieee"
    assert guard.end(thorough=False).faults == (PRECISION,)
    assert _precisions() == before


def test_clocks_are_guarded_and_what_devices_count_is_not(guard: Guard, device: Device) -> None:
    guard.begin(thorough=False)
    device.waits += 1
    device.clock.now = int  # type: ignore[attr-defined]  # it is a Clock
    assert guard.end(thorough=False).faults == ("replaced the clock of cpu.now",)
    guard.begin(thorough=False)
    device.clock = Clock()
    assert guard.end(thorough=False).faults == ("replaced the device cpu.clock",)


def test_torch_may_replace_its_own(guard: Guard) -> None:
    program = (
        "import torch; from harness.worker.guard.guard import Guard\n"
        "guard = Guard((), {}); guard.begin(thorough=True); import torch._dynamo; print(guard.end(thorough=True))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Findings(faults=(), doubts=())"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_processes_that_are_left_are_ended_and_those_that_ended_are_not_held_against_anyone(guard: Guard) -> None:
    guard.begin(thorough=True)
    subprocess.run([sys.executable, "-c", ""], check=True)
    assert guard.end(thorough=True).faults == ()
    guard.begin(thorough=True)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as left:
        assert guard.end(thorough=True).faults == ("left a process behind",)
        assert left.wait(10) != 0


def test_an_idle_thread_is_no_fault(guard: Guard) -> None:
    done = threading.Event()
    guard.begin(thorough=True)
    thread = threading.Thread(target=done.wait)
    thread.start()
    assert guard.end(thorough=True).faults == ()
    done.set()
    thread.join()
