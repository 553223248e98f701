"""What a call allocates: exact byte counts from torch's allocators, never from the resident set."""

import gc
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

Result = TypeVar("Result")

Event = tuple[int, int]
"""(address, bytes): positive bytes for an allocation, negative for a release."""


@dataclass(frozen=True)
class Allocation:
    """Bytes that a call allocated: at the most at one time, and still held when its result had been looked at."""

    peak: int
    kept: int


def tally(events: Iterable[Event]) -> Allocation:
    """Follow allocations in order. A release of something allocated before the trace began is not counted."""
    live: dict[int, int] = {}
    held = peak = 0
    for address, size in events:
        if size > 0:
            live[address] = size
            held += size
        else:
            held -= live.pop(address, 0)
        peak = max(peak, held)
    return Allocation(peak, held)


def trace_cpu(call: Callable[[], Result]) -> tuple[Allocation, Result]:
    """Run `call` under torch's profiler and return what it allocated on the CPU, and its result (still held)."""
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
    results = profiler.profiler.kineto_results if profiler.profiler else None
    if results is None:
        raise RuntimeError("torch's profiler returned no trace, so allocations cannot be counted")
    events = sorted(_allocations(results.experimental_event_tree()))
    return tally((address, size) for _, address, size in events), result


def _allocations(tree: Iterable[Any]) -> Iterator[tuple[int, int, int]]:
    """(time, address, bytes) of every allocator event; the profiler hangs them under the operators that caused them."""
    stack = list(tree)
    while stack:
        event = stack.pop()
        stack.extend(event.children)
        fields = event.extra_fields
        if isinstance(fields, torch._C._profiler._ExtraFields_Allocation) and fields.device.type == "cpu":
            yield event.start_time_ns, fields.ptr, fields.alloc_size


def trace_cuda(call: Callable[[], Result]) -> tuple[Allocation, Result]:
    """Run `call` and return what the CUDA caching allocator handed out for it, and its result (still held)."""
    gc.collect()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    result = call()
    torch.cuda.synchronize()
    return Allocation(torch.cuda.max_memory_allocated() - before, torch.cuda.memory_allocated() - before), result


def trace_mps(call: Callable[[], Result]) -> tuple[Allocation, Result]:
    """Run `call` and return what it kept; Metal's allocator reports no peak, so the peak is what is held at the end."""
    gc.collect()
    torch.mps.synchronize()
    before = torch.mps.current_allocated_memory()
    result = call()
    torch.mps.synchronize()
    kept = torch.mps.current_allocated_memory() - before
    return Allocation(kept, kept), result


def peak_rss(call: Callable[[], object]) -> int | None:
    """Bytes of the resident set at its largest during `call`, everything in the process included.

    None where the kernel cannot reset its high-water mark (anything but Linux).
    """
    if sys.platform != "linux":
        return None
    Path("/proc/self/clear_refs").write_text("5")
    call()
    status = Path("/proc/self/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kibibytes) * 1024
