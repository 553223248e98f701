"""What torch knows of a CUDA (or ROCm) GPU, put to use: clocks, bytes, and what launching costs the host.

None of it has run on a GPU yet; docs/how-it-works/cuda.md says what that leaves open.
"""

import gc
import math
import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from harness.worker.device.allocations import Allocation
from harness.worker.device.throttle import CURE, Watch
from harness.worker.visit import Call, Clock

Result = TypeVar("Result")

ATTEMPTS = 10
"""How often a sample is taken again while the GPU throttles."""
RECOVERY = 0.05
"""Seconds that a throttling GPU is left alone, as in nvbench."""
CYCLES = 2e9
"""Of a GPU's clock in a second, at the most."""
HELD = 0.5e-3
"""Seconds that the GPU is held while the host launches what is timed, where nothing is known of how long that takes."""
LEAD = 2.0
"""How much longer the GPU is held than the quickest launch took so far: the others may have waited for a full queue."""
LONGEST_HELD = 5e-3
"""Seconds; who launches for longer, or waits for the GPU in a call, is charged for that."""
LAUNCHES, LAUNCH_SECONDS, LAUNCH_LOOPS = 16, 0.02, 5
"""Calls of a loop that only queues work, at most and for at most so long, because a full queue makes the host wait for
the GPU; and how many such loops are timed."""


def event() -> torch.cuda.Event:
    """A mark in the GPU's queue that remembers when it was passed."""
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch's


class EventClock:
    """Times the calls on the GPU's own clock, from an event queued before them to one queued after."""

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        """Seconds between the two events, host overhead included only where it leaves the GPU idle; the last output."""
        torch.cuda.synchronize()
        return _between_events(call, iterations)


class Flush:
    """Empties the L2 cache by writing as many bytes as it holds, as nvbench does."""

    def __init__(self) -> None:
        self._ballast: Tensor | None = None

    def __call__(self) -> None:
        """Queue it. Raises RuntimeError as `l2_bytes`."""
        if self._ballast is None:
            self._ballast = torch.empty(l2_bytes(), dtype=torch.int8, device="cuda")
        self._ballast.zero_()


class HeldClock:
    """Times the calls between two events, and holds the GPU until the host has queued them: nothing of that is seen."""

    def __init__(self, flush: Flush | None = None) -> None:
        """`flush` comes before the first call."""
        self._flush = flush

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        """Seconds between the two events, and the last output. Launching all calls should take less than HELD."""
        torch.cuda.synchronize()
        if self._flush is not None:
            self._flush()
        hold(HELD)
        return _between_events(call, iterations)


class ColdClock:
    """Times every call between events of its own, with the L2 cache flushed before it, outside the events.

    Then a kernel that does nothing holds the GPU until the host has queued the call, as in nvbench: what it costs to
    launch is another metric.
    """

    def __init__(self, flush: Flush) -> None:
        self._flush = flush

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        """Seconds between the events of each call, added up, and the last output."""
        spans: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []
        output: object = None
        launch = math.inf
        torch.cuda.synchronize()
        for _ in range(iterations):
            start, end = event(), event()
            output = None  # the next call must find its memory free
            self._flush()
            hold(min(LEAD * launch, LONGEST_HELD) if spans else HELD)
            start.record()
            began = time.perf_counter()
            output = call()
            launch = min(launch, time.perf_counter() - began)
            end.record()
            spans.append((start, end))
        torch.cuda.synchronize()
        return sum(float(start.elapsed_time(end)) for start, end in spans) / 1e3, output


class GraphClock:
    """Times calls that are captured as one CUDA graph and replayed, so that between them nothing waits for the host.

    They are captured anew for every sample: inputs may have been replaced since. Where weights are to come from memory,
    the L2 cache is flushed before the replay: a graph of few calls would find there what it read when it was uploaded.
    """

    def __init__(self, flush: Flush | None = None) -> None:
        self._clock = HeldClock(flush)
        self._graph: torch.cuda.CUDAGraph | None = None
        """Owns the memory of the last output."""

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        """Seconds of the second replay, the first uploads the graph, and what the last call of it has written.

        Raises RuntimeError for what cannot be captured.
        """
        self._graph, output = _capture(call, iterations)
        self._graph.replay()
        seconds, _ = self._clock.elapsed(self._graph.replay, 1)
        return seconds, output


class SteadyClock:
    """Another clock of a GPU, whose samples are discarded and taken again while the GPU throttles."""

    def __init__(self, clock: Clock, watch: Watch) -> None:
        self.clock = clock
        self.watch = watch

    def elapsed(self, call: Call, iterations: int) -> tuple[float, object]:
        """Seconds of the first sample at full pace, and its last output.

        Raises RuntimeError when the GPU throttles through all attempts.
        """
        for _ in range(ATTEMPTS):
            sample = self.clock.elapsed(call, iterations)
            if self.watch.record_pace():
                return sample
            time.sleep(RECOVERY)
        raise RuntimeError(f"the GPU throttled during all of {ATTEMPTS} samples; {CURE}")


def _between_events(call: Call, iterations: int) -> tuple[float, object]:
    """Seconds of the GPU's own clock between an event queued before the calls and one after them; the last output."""
    start, end = event(), event()
    start.record()
    for _ in range(iterations - 1):
        call()
    output = call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3, output


def hold(seconds: float) -> None:
    """Queue a kernel that does nothing for about so long."""
    torch.cuda._sleep(int(seconds * CYCLES))  # type: ignore[no-untyped-call]  # torch's


def l2_bytes() -> int:
    """Size of the GPU's L2 cache. Raises RuntimeError where torch does not tell."""
    size = int(getattr(torch.cuda.get_device_properties(torch.cuda.current_device()), "L2_cache_size", 0))
    if not size:
        raise RuntimeError(
            "torch does not tell how large this GPU's L2 cache is, so nothing can flush it; use cache=hot"
        )
    return size


def trace_cuda(call: Callable[[], Result]) -> tuple[Allocation, Result]:
    """Run `call` and return the bytes that it asked the CUDA caching allocator for, and its result (still held).

    `reserved` is what the allocator itself took from the GPU meanwhile, its caching and rounding included.
    """
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    before, reserved = _asked_for("current"), torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    result = call()
    gc.collect()
    torch.cuda.synchronize()
    allocation = Allocation(
        peak=_asked_for("peak") - before,
        kept=_asked_for("current") - before,
        reserved=torch.cuda.max_memory_reserved() - reserved,
    )
    return allocation, result


def _asked_for(which: str) -> int:
    """Bytes, `current` or `peak`. The allocator rounds each block up to 512; CUDA's own counts blocks alone."""
    counted = "requested" if torch.cuda.get_allocator_backend() == "native" else "allocated"
    return int(torch.cuda.memory_stats()[f"{counted}_bytes.all.{which}"])


def launch_overhead(call: Call) -> float:
    """Seconds until a call returns to the host, while the GPU still works: the median of a few loops without waiting.

    A call that itself waits for the GPU is charged for that.
    """
    loops = []
    for _ in range(LAUNCH_LOOPS):
        torch.cuda.synchronize()
        loops.append(_queue(call))
    torch.cuda.synchronize()
    return statistics.median(loops)


def _queue(call: Call) -> float:
    calls, elapsed, start = 0, 0.0, time.perf_counter()
    while calls < LAUNCHES and elapsed < LAUNCH_SECONDS:
        call()
        calls, elapsed = calls + 1, time.perf_counter() - start
    return elapsed / calls


def _capture(call: Call, iterations: int) -> tuple[torch.cuda.CUDAGraph, object]:
    """A graph of all the calls, and the output of the last, which every replay writes anew."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # torch asks for a call on another stream before a capture
        call()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph, told = torch.cuda.CUDAGraph(), ""
    try:
        # The inner one leaves its own stream as the current one when the capture cannot be ended.
        with torch.cuda.stream(torch.cuda.current_stream()), torch.cuda.graph(graph):
            try:
                for _ in range(iterations - 1):
                    call()
                output = call()
            except RuntimeError as error:
                told = str(error)  # that the capture then cannot be ended would hide it
                raise
    except RuntimeError as error:
        line = (told or str(error)).strip().partition("\n")[0]
        raise RuntimeError(f"cannot be captured as a CUDA graph ({line}); use graph=0") from error
    return graph, output
