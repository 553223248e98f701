"""A worker that sees a CUDA GPU: `python -m tests.suites.fake_gpu_worker SUITES LIMIT`.

What is made on `cuda` lies on the CPU, and every call of torch's CUDA that the worker makes is answered. A captured
graph takes as long to replay as it took to capture.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from bitlinear.implementations import compiled
from harness.worker import ceilings, server
from harness.worker.device.devices import DEVICES, Cpu, Cuda
from suites.workloads.layer import ring

L2 = 1 << 16


class OnTheCpu(TorchFunctionMode):
    """Whatever is asked for on `cuda` is made on the CPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        return func(*map(elsewhere, args), **{name: elsewhere(value) for name, value in (kwargs or {}).items()})


def elsewhere(value: Any) -> Any:
    is_cuda = value == "cuda" if isinstance(value, str) else isinstance(value, torch.device) and value.type == "cuda"
    return "cpu" if is_cuda else value


class Event:
    def __init__(self, enable_timing: bool) -> None:
        self.at = 0.0

    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        """All is done when it is queued."""

    def elapsed_time(self, end: "Event") -> float:
        return (end.at - self.at) * 1e3


class Graph:
    seconds = 0.0

    def replay(self) -> None:
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            pass


@contextmanager
def capture(graph: Graph) -> Iterator[None]:
    began = time.perf_counter()
    yield
    graph.seconds = time.perf_counter() - began


STREAM = SimpleNamespace(wait_stream=lambda _: None)
PROPERTIES = SimpleNamespace(L2_cache_size=L2, multi_processor_count=4, uuid="0")
FAKES: dict[str, Any] = {
    "Event": Event,
    "CUDAGraph": Graph,
    "graph": capture,
    "stream": nullcontext,
    "Stream": lambda: STREAM,
    "current_stream": lambda: STREAM,
    "synchronize": lambda: None,
    "_sleep": lambda cycles: None,
    "is_available": lambda: True,
    "device_count": lambda: 1,
    "current_device": lambda: 0,
    "get_device_name": lambda index: "a fake GPU",
    "get_device_capability": lambda: (9, 0),
    "get_device_properties": lambda device: PROPERTIES,
    "mem_get_info": lambda: (1 << 30, 1 << 30),
}


class FakeCuda(Cuda):
    """Its bytes are those of the CPU."""

    trace = Cpu.trace
    peak = Cpu.peak


def main() -> None:
    for name, fake in FAKES.items():
        setattr(torch.cuda, name, fake)
    DEVICES["cuda"] = FakeCuda()
    ceilings.MATRICES, ceilings.OF_A_GPU, ceilings.PATIENCE = (64, 128), 1 << 20, 0.001
    ring.MOST_LAYERS = 2
    compiled._compiled = lambda op, device: op
    with OnTheCpu():
        server.main()


if __name__ == "__main__":
    main()
