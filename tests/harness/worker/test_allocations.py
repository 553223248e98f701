"""Bytes: known allocations are reported to the byte, wherever they come from and however often they are traced."""

import gc
import mmap
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from harness.model import Case
from harness.model.messages import Answer, Memory, Prepare
from harness.model.suite import Registry
from harness.model.workload import Check, Prepared, Workload
from harness.worker.collector import settle_collector
from harness.worker.device.allocations import LARGE, Allocation, kept_by_python, surplus, trace_cpu
from harness.worker.server import Worker

MB = 1_000_000


@pytest.fixture(autouse=True, scope="module")
def _collector_settled() -> Iterator[None]:
    """As in a worker: what was there before, mostly torch, is not searched for garbage again and again."""
    settle_collector()
    yield
    gc.unfreeze()


def bytes_of(size: int) -> torch.Tensor:
    return torch.empty(size, dtype=torch.uint8)


@pytest.mark.parametrize("size", [0, 1, 63, 4_097, 1_000_003, 100 * MB])
def test_a_known_number_of_bytes_is_reported_as_exactly_that(size: int) -> None:
    def twice_and_once() -> torch.Tensor:
        bytes_of(size)
        return bytes_of(size)

    assert trace_cpu(twice_and_once)[0] == Allocation(peak=size, kept=size)
    assert trace_cpu(lambda: bytes_of(size).shape)[0] == Allocation(peak=size, kept=0)


def test_what_only_a_cycle_holds_is_not_kept() -> None:
    def call() -> None:
        cycle: list[Any] = [bytes_of(1000)]
        cycle.append(cycle)

    assert trace_cpu(call)[0] == Allocation(peak=1000, kept=0)


def test_a_compiled_call_gives_the_same_bytes_each_time_it_is_traced() -> None:
    rows = torch.randn(8, 1024)
    compiled = torch.compile(lambda x: torch.softmax(x, 1) @ torch.ones(1024, 4), backend="eager")
    compiled(rows)
    expected = Allocation(peak=4 * (8 * 1024 + 1024 * 4 + 8 * 4), kept=4 * 8 * 4)
    assert [trace_cpu(lambda: compiled(rows))[0] for _ in range(3)] == [expected] * 3


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: np.zeros(MB, dtype=np.uint8), MB),
        (lambda: np.zeros((1000, 500), dtype=np.float32), 2 * MB),
        (lambda: torch.from_numpy(np.ones(MB, dtype=np.int8)), MB),
        (lambda: np.arange(10), 0),
        (lambda: bytes_of(MB), 0),
        (lambda: np.zeros(MB).sum(), 0),
    ],
)
def test_arrays_outside_torchs_allocator_are_counted_to_the_byte(make: Callable[[], object], expected: int) -> None:
    kept, made = kept_by_python(make)
    assert kept == expected
    assert made is not None
    assert not tracemalloc.is_tracing()


def test_a_bytes_object_is_counted_with_its_head() -> None:
    kept, made = kept_by_python(lambda: bytes(MB))
    assert MB < kept < MB + 100
    assert len(made) == MB


def test_what_is_kept_besides_the_weights_is_said_in_bits_and_bytes() -> None:
    weights = 2560 * 2560
    two_bits = {"weight_bytes": weights / 4, "bits_per_weight": 2.0}
    assert surplus(weights / 4 + 4 * weights, weights / 4, two_bits) == (
        "claims 2 bits a weight and keeps 34: 25.0 MiB are alive besides the 1.56 MiB that it declares;"
        " register them as buffers, or drop them"
    )
    nothing = {"weight_bytes": 0.0, "bits_per_weight": 0.0}
    assert surplus(4 * weights, 0, nothing).startswith("keeps more than it says: 25.0 MiB are alive besides the 0 B")


def test_a_tenth_and_a_small_workspace_are_granted() -> None:
    stored = {"weight_bytes": 1e7, "bits_per_weight": 8.0}
    assert surplus(1.1e7 + LARGE, 1e7, stored) == ""
    assert surplus(1.1e7 + LARGE + 1, 1e7, stored)


def mapped(size: int) -> torch.Tensor:
    """So many bytes that no allocator sees."""
    return torch.frombuffer(mmap.mmap(-1, size), dtype=torch.uint8)


class Keeping(Workload):
    def build(self) -> "Kept":
        return Kept(self.case.implementation)


class Kept(Prepared):
    """Declares a megabyte of weights and keeps what its name says besides."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.weights = mapped(MB) if name.startswith("mapped") else bytes_of(MB)
        besides = {name: lambda: torch.empty(MB) for name in ("copy", "mapped copy")} | {
            "numpy": lambda: np.zeros(MB, dtype=np.float32)
        }
        self.besides: object = besides.get(name, lambda: None)()

    def __call__(self) -> object:
        if self.name == "late" and self.besides is None:
            self.besides = np.zeros(MB, dtype=np.float32)
        return self.weights, self.besides

    def check(self, metrics: frozenset[str]) -> Check:
        return Check()

    def stored(self) -> Mapping[str, float]:
        return {"weight_bytes": MB, "bits_per_weight": 2.0}

    def storages(self) -> Mapping[int, int]:
        return {self.weights.data_ptr(): MB}


@pytest.mark.parametrize(
    ("name", "resident"),
    [("honest", MB), ("mapped", MB), ("mapped copy", 5 * MB), ("copy", 5 * MB), ("numpy", 5 * MB), ("late", 5 * MB)],
)
def test_a_hidden_copy_is_counted_and_told_in_the_row(
    name: str, resident: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(Registry.load("tests.harness.fakes.misbehaviour"))
    monkeypatch.setattr(worker, "_workload", Keeping)
    case = Case.of("misbehaviour", name, {})
    worker.answer(Prepare(case, 0))
    answer = worker.answer(Memory(case, 0))
    assert isinstance(answer, Answer)
    assert answer.values["resident_bytes"] == (resident,)
    assert answer.values["peak_forward_bytes"] == (0,)
    told = f"{name}: claims 2 bits a weight and keeps 10: 3.81 MiB are alive besides the 977 KiB that it declares;"
    assert [warning[: len(told)] for warning in answer.warnings] == ([told] if resident > MB else [])
