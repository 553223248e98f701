"""Where a workload runs: a clock, a way to wait, and a way to count bytes. One small class a kind of device."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import torch

from harness.measure import Call, Clock, WallClock
from harness.memory import Allocation, trace_cpu, trace_cuda, trace_mps

Result = TypeVar("Result")


class Device(Protocol):
    """What the worker needs of a device."""

    name: str
    clock: Clock

    def why_not(self) -> str | None:
        """A sentence saying why this device cannot be used here, or None."""

    def synchronise(self) -> None:
        """Wait until everything queued on the device is done."""

    def trace(self, call: Callable[[], Result]) -> tuple[Allocation, Result]:
        """Run `call`; return the bytes it allocated and its result."""


class Cpu:
    """The processor: calls are done when they return."""

    name = "cpu"

    def __init__(self) -> None:
        self.clock: Clock = WallClock()

    def why_not(self) -> str | None:
        """Always usable."""
        return None

    def synchronise(self) -> None:
        """Nothing is queued."""

    def trace(self, call: Callable[[], Result]) -> tuple[Allocation, Result]:
        """Counted by torch's allocator events."""
        return trace_cpu(call)


class EventClock:
    """Times the calls on the GPU's own clock, from an event queued before them to one queued after."""

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        """Seconds between the two events, host overhead included only where it leaves the GPU idle; the last output."""
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]  # torch's
        torch.cuda.synchronize()
        start.record()
        for _ in range(iterations - 1):
            call()
        output = call()
        end.record()
        end.synchronize()
        return float(start.elapsed_time(end)) / 1e3, output


class Cuda:
    """An NVIDIA (or ROCm) GPU: calls are queued, so they are timed by events."""

    name = "cuda"

    def __init__(self) -> None:
        self.clock: Clock = EventClock()

    def why_not(self) -> str | None:
        """Usable where torch finds a GPU."""
        if torch.cuda.is_available():
            return None
        return "torch finds no CUDA device here; use --device cpu, or install a CUDA build of torch on a GPU machine"

    def synchronise(self) -> None:
        """Wait for the current device."""
        torch.cuda.synchronize()

    def trace(self, call: Callable[[], Result]) -> tuple[Allocation, Result]:
        """Counted by the caching allocator."""
        return trace_cuda(call)


class Mps:
    """Apple's GPU: timed by the wall clock between synchronisations."""

    name = "mps"

    def __init__(self) -> None:
        self.clock: Clock = WallClock(synchronise=torch.mps.synchronize)

    def why_not(self) -> str | None:
        """Usable where torch finds Metal."""
        return None if torch.backends.mps.is_available() else "torch finds no Metal device here; use --device cpu"

    def synchronise(self) -> None:
        """Wait for the queue."""
        torch.mps.synchronize()

    def trace(self, call: Callable[[], Result]) -> tuple[Allocation, Result]:
        """Counted by Metal's allocator."""
        return trace_mps(call)


DEVICES: dict[str, Device] = {device.name: device for device in (Cuda(), Mps(), Cpu())}
"""By name, the best first: `auto` takes the first that can be used."""
