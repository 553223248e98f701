"""Where a workload runs: a clock, a way to wait, and a way to count bytes. One small class a kind of device."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

import psutil
import torch

from harness.model import Params
from harness.worker.device.allocations import Allocation, trace_cpu, trace_mps
from harness.worker.device.cuda import (
    ColdClock,
    EventClock,
    Flush,
    GraphClock,
    HeldClock,
    SteadyClock,
    launch_overhead,
    trace_cuda,
)
from harness.worker.device.throttle import Watch
from harness.worker.visit import Call, Clock, WallClock

Result = TypeVar("Result")


class Device(ABC):
    """What the worker needs of a device."""

    name: str
    clock: Clock
    queued: int = 1
    """Calls in a row by which the speed of the device itself is timed: where the host queues calls, launching one is
    hidden behind the one before."""

    @property
    def unwatched(self) -> Clock:
        """The clock for what shows how fast the device is by itself: a slow sample does no harm."""
        return self.clock

    def free_bytes(self) -> int:
        """Bytes of its memory that nobody has taken."""
        return int(psutil.virtual_memory().available)

    @abstractmethod
    def why_not(self) -> str | None:
        """A sentence saying why this device cannot be used here, or None."""

    def why_not_timed(self, params: Params) -> str | None:
        """A sentence saying why it cannot time a case as these params ask for, or None."""
        return f"graph=1 replays CUDA graphs, and {self.name} has none; use graph=0" if params.get("graph") else None

    def clock_for(self, params: Params) -> Clock:
        """The clock that times a case as its params ask for."""
        return self.clock

    @abstractmethod
    def synchronise(self) -> None:
        """Wait until everything queued on the device is done."""

    @abstractmethod
    def trace(self, call: Callable[[], Result]) -> tuple[Allocation, Result]:
        """Run `call`; return the bytes it allocated and its result."""

    def peak(self, call: Callable[[], object]) -> int:
        """Bytes that `call` allocates at the most at one time."""
        return self.trace(call)[0].peak

    def overhead(self, call: Call) -> dict[str, float]:
        """`launch_overhead`, in seconds, where calls return before they are done."""
        return {}

    def take_noise(self) -> dict[str, float]:
        """What happened on the device since this was last called, by name."""
        return {}

    def take_doubts(self) -> tuple[str, ...]:
        """Warnings that arose on the device since this was last called, each with its cure."""
        return ()


class Cpu(Device):
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

    def peak(self, call: Callable[[], object]) -> int:
        """The same, without looking for garbage."""
        return trace_cpu(call, collect=False)[0].peak


class Cuda(Device):
    """An NVIDIA (or ROCm) GPU: calls are queued, so they are timed by events."""

    name = "cuda"
    queued = 8

    def __init__(self) -> None:
        self.watch = Watch()
        self.clock: Clock = SteadyClock(EventClock(), self.watch)
        flush = Flush()
        self.cold: Clock = SteadyClock(ColdClock(flush), self.watch)
        self.graph: Clock = SteadyClock(GraphClock(), self.watch)
        self.graph_of_a_stream: Clock = SteadyClock(GraphClock(flush), self.watch)

    @property
    def unwatched(self) -> Clock:
        """By events, whether the GPU throttles or not, and without what it costs to launch."""
        return HeldClock()

    def free_bytes(self) -> int:
        """As the driver tells."""
        return int(torch.cuda.mem_get_info()[0])

    def why_not(self) -> str | None:
        """Usable where torch finds a GPU."""
        if torch.cuda.is_available():
            return None
        return "torch finds no CUDA device here; use --device cpu, or install a CUDA build of torch on a GPU machine"

    def why_not_timed(self, params: Params) -> str | None:
        """A graph replays its calls back to back, with no flush between them."""
        if params.get("graph") and params.get("cache") == "cold":
            return "graph=1 cannot flush the L2 cache between calls; use graph=0 or cache=stream"
        return None

    def clock_for(self, params: Params) -> Clock:
        """By events around all calls; around each with the L2 flushed for cache=cold; of a replay for graph=1."""
        if params.get("graph"):
            return self.graph_of_a_stream if params.get("cache") == "stream" else self.graph
        return self.cold if params.get("cache") == "cold" else self.clock

    def synchronise(self) -> None:
        """Wait for the current device."""
        torch.cuda.synchronize()

    def trace(self, call: Callable[[], Result]) -> tuple[Allocation, Result]:
        """Counted by the caching allocator."""
        return trace_cuda(call)

    def overhead(self, call: Call) -> dict[str, float]:
        """Seconds until a call has been queued."""
        return {"launch_overhead": launch_overhead(call)}

    def take_noise(self) -> dict[str, float]:
        """The GPU's clock, and the samples discarded because it throttled."""
        return self.watch.take_noise()

    def take_doubts(self) -> tuple[str, ...]:
        """Why samples were discarded, or that nobody watched."""
        return self.watch.take_doubts()


class Mps(Device):
    """Apple's GPU: timed by the wall clock between synchronisations."""

    name = "mps"
    queued = 8

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
