"""The ceilings and the canary as the worker measures them, and how large the caches are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from harness.analysis.roofline import DTYPES
from harness.machine.caches import Caches, caches
from harness.model.ceilings import from_answer
from harness.model.messages import Answer, MeasureCeilings, ObserveMachine
from harness.model.suite import Registry
from harness.worker.ceilings import PATIENCE, _fastest, measure
from harness.worker.device.devices import Cpu
from harness.worker.server import Worker
from harness.worker.visit import Call


@pytest.fixture
def worker() -> Iterator[Worker]:
    threads = torch.get_num_threads()
    yield Worker(Registry.load("suites"))
    torch.set_num_threads(threads)


def write_cache(root: Path, core: int, index: int, level: int, size: str, shared: str, kind: str = "Unified") -> None:
    folder = root / f"cpu{core}" / "cache" / f"index{index}"
    folder.mkdir(parents=True)
    for name, text in (("level", str(level)), ("size", size), ("shared_cpu_list", shared), ("type", kind)):
        (folder / name).write_text(text + "\n")


@pytest.fixture
def two_halves(tmp_path: Path) -> Path:
    """Four cores: L1 and L2 of their own, an L3 for each pair."""
    for core in range(4):
        write_cache(tmp_path, core, 0, 1, "32K", str(core), "Data")
        write_cache(tmp_path, core, 1, 1, "64K", str(core), "Instruction")
        write_cache(tmp_path, core, 2, 2, "1024K", str(core))
        write_cache(tmp_path, core, 3, 3, "16M", "0-1" if core < 2 else "2-3")
    return tmp_path


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)


@pytest.mark.usefixtures("four_cores")
def test_caches_are_those_that_the_threads_can_fill(two_halves: Path) -> None:
    assert caches(1, two_halves) == Caches(core=1 << 20, last=16 << 20)
    assert caches(2, two_halves) == Caches(core=2 << 20, last=32 << 20)
    assert caches(4, two_halves) == Caches(core=4 << 20, last=32 << 20)


@pytest.mark.usefixtures("four_cores")
def test_caches_that_nothing_is_told_of_are_unknown(tmp_path: Path) -> None:
    assert caches(2, tmp_path) == Caches(0, 0)
    write_cache(tmp_path, 0, 0, 2, "", "0")
    assert caches(2, tmp_path) == Caches(0, 0)


def test_the_worker_measures_every_ceiling_with_the_threads_it_is_asked_for(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.worker.ceilings.SWEEPS", 1)
    answer = worker.answer(MeasureCeilings("cpu", 1))
    assert isinstance(answer, Answer)
    found = from_answer("cpu", answer.values)
    assert found.threads == 1
    assert found.memory_bandwidth > 0
    assert all(getattr(found, dtype) > 0 for dtype in DTYPES)
    assert found.int8 >= 4 * found.float32, "a kernel that multiplies bytes is too fast where torch has none that does"
    if found.cache_bytes:
        assert found.core_cache_bandwidth >= found.cache_bandwidth >= found.memory_bandwidth


def test_a_cache_that_the_machine_gets_only_a_part_of_is_as_fast_as_that_part(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, got = Caches(core=4 << 20, last=300 << 20), 100 << 20

    def rate(device: object, size: int, pieces: int, passes: int) -> float:
        return 150e9 if size <= shown.core else 45e9 if size <= got else 24e9

    monkeypatch.setattr("harness.worker.ceilings.cache_sizes", lambda name, threads: shown)
    monkeypatch.setattr("harness.worker.ceilings._read_rate", rate)
    monkeypatch.setattr("harness.worker.ceilings._product_rate", lambda device, dtype: 1e12)
    found = measure("cpu", 2)
    assert (found.core_cache_bandwidth, found.cache_bandwidth, found.memory_bandwidth) == (150e9, 45e9, 24e9)


class Queueing(Cpu):
    """A device whose queue takes a while to begin, and much longer for the first call of all."""

    queued = 8

    def __init__(self) -> None:
        self.clock = self
        self.samples = 0

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        self.samples += 1
        return iterations * 1e-4 + (1.0 if self.samples == 1 else 1e-5), call()


def test_a_gpu_is_timed_by_calls_in_a_row_and_never_by_the_one_that_loads_its_kernel() -> None:
    device = Queueing()
    assert _fastest(device, lambda: None) == pytest.approx(1e-4, rel=0.02)
    assert device.samples == pytest.approx(PATIENCE / 8e-4, rel=0.1)


def test_a_look_says_how_long_the_canary_took_and_what_happened(worker: Worker) -> None:
    answer = worker.answer(ObserveMachine())
    assert isinstance(answer, Answer)
    assert {"canary", "involuntary_switches", "page_faults"} <= set(answer.noise)
    assert answer.noise["canary"] > 0
    assert not answer.values
