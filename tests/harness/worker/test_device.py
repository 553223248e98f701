"""Devices: exact byte counts on the CPU, and the paths of devices that are not here, with fakes in their place."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.model import Case
from harness.model.messages import Accuracy, Answer, Memory, Prepare, Time
from harness.model.suite import Registry
from harness.worker.device import allocations
from harness.worker.device.allocations import Allocation, peak_rss, tally, trace_mps
from harness.worker.device.devices import DEVICES, Cpu, Device, Mps
from harness.worker.server import Worker
from harness.worker.visit import Call


def test_releases_of_what_was_there_before_do_not_count() -> None:
    assert tally([(1, 100), (9, -5000), (2, 50), (1, -100), (3, 20)]) == Allocation(peak=150, kept=70)


def test_cpu_bytes_are_exact_for_known_work() -> None:
    x, w = torch.randn(16, 64), torch.randn(32, 64)
    allocation, result = Cpu().trace(lambda: torch.relu(x @ w.t()))
    assert allocation == Allocation(peak=2 * 16 * 32 * 4, kept=16 * 32 * 4)
    assert result.shape == (16, 32)


@pytest.mark.skipif(peak_rss(lambda: None) is None, reason="this kernel cannot reset its high-water mark")
def test_the_resident_set_sees_a_large_temporary() -> None:
    # In a process of its own: one that has freed memory before would serve the temporary from that.
    program = (
        "import torch; from harness.worker.device.allocations import peak_rss\n"
        "print(peak_rss(lambda: torch.ones(64 << 18)) - peak_rss(lambda: None))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) == pytest.approx(64 << 20, rel=0.05)


def test_a_kernel_that_cannot_reset_its_high_water_mark_costs_that_number_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(allocations, "CLEAR_REFS", tmp_path)  # a folder: nothing can be written to it
    assert peak_rss(lambda: None) is None


def test_mps_waits_before_it_looks_at_the_clock_and_at_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[None] = []
    held = iter([1000, 1300])
    monkeypatch.setattr(torch.mps, "synchronize", lambda: waits.append(None))
    monkeypatch.setattr(torch.mps, "current_allocated_memory", lambda: next(held))
    assert Mps().clock.elapsed(lambda: None, 3)[0] >= 0
    assert trace_mps(lambda: "result") == (Allocation(peak=300, kept=300), "result")
    assert len(waits) == 4


class FakeGpu(Device):
    """A device whose clock and allocator say what the test wants them to say."""

    name = "cuda"

    def __init__(self, sentence: str | None = None) -> None:
        self.clock = self
        self.sentence = sentence
        self.waits = 0

    def why_not(self) -> str | None:
        return self.sentence

    def synchronise(self) -> None:
        self.waits += 1

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        return 0.5 * iterations, call()

    def trace(self, call: Callable[[], object]) -> tuple[Allocation, object]:
        return Allocation(peak=77, kept=33), call()


def _worker() -> tuple[Worker, Case]:
    return Worker(Registry.load("tests.harness.fakes.misbehaviour")), Case.of(
        "misbehaviour", "honest", {"device": "cuda"}
    )


def test_a_worker_times_and_counts_through_the_case_s_device(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu()
    monkeypatch.setitem(DEVICES, "cuda", gpu)
    worker, case = _worker()
    assert worker.answer(Prepare(case, 0)).outcome == "measured"  # type: ignore[union-attr]  # it is an Answer
    assert worker.answer(Accuracy(case, ())).outcome == "measured"  # type: ignore[union-attr]  # it is an Answer
    assert gpu.waits == 4
    timed, memory = worker.answer(Time(case, 8, 2)), worker.answer(Memory(case, 0))
    assert isinstance(timed, Answer)
    assert isinstance(memory, Answer)
    assert timed.values["latency"] == (0.5, 0.5)
    assert memory.values["resident_bytes"] == (33.0,)
    assert memory.values["peak_forward_bytes"] == (77.0,)


def test_a_device_that_is_not_here_skips_the_case_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEVICES, "cuda", FakeGpu("no GPU in this machine"))
    worker, case = _worker()
    assert worker.answer(Prepare(case, 0)) == Answer("skipped", "no GPU in this machine")
