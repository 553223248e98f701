"""What a call allocates: exact byte counts from torch's allocators and Python's, never from the resident set."""

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

from harness.model.units import amount

Result = TypeVar("Result")

LARGE = 64 << 10
"""Bytes from which on one block of memory, or what a contestant keeps beside its weights, is worth a word."""
COMPILERS = tuple(str(Path(str(package.__file__)).parent) for package in (torch, json))
"""Folders of the modules that keep large blocks for themselves: torch's compiler, and json, which writes its log."""
CLEAR_REFS = Path("/proc/self/clear_refs")
SLACK = 0.1
"""The share of what it declares that a contestant may keep besides."""

Event = tuple[int, int]
"""(address, bytes): positive bytes for an allocation, negative for a release."""


@dataclass(frozen=True)
class Allocation:
    """Bytes that a call allocated: at the most at one time, and still held when its result had been looked at."""

    peak: int
    kept: int
    reserved: int | None = None
    """What the allocator took from the device for it, where that is another number."""
    held: frozenset[int] | None = field(default=None, compare=False)
    """Addresses of what is still held; None where the allocator does not tell them."""

    def missed(self, storages: Mapping[int, int]) -> int:
        """Bytes of those `storages`, by address, that the allocator has not handed out: mapped ones, or Python's."""
        return 0 if self.held is None else sum(size for place, size in storages.items() if place not in self.held)


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
    return Allocation(peak, held, held=frozenset(live))


def trace_cpu(call: Callable[[], Result], collect: bool = True) -> tuple[Allocation, Result]:
    """Run `call` under torch's profiler and return what it allocated on the CPU, and its result (still held).

    To `collect` garbage before and after takes longer than most calls, and matters to what is kept alone.
    """
    if collect:
        gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
        if collect:
            gc.collect()  # what only a cycle holds is not kept
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


def trace_mps(call: Callable[[], Result]) -> tuple[Allocation, Result]:
    """Run `call` and return what it kept; Metal's allocator reports no peak, so the peak is what is held at the end."""
    gc.collect()
    torch.mps.synchronize()
    before = torch.mps.current_allocated_memory()
    result = call()
    gc.collect()
    torch.mps.synchronize()
    kept = torch.mps.current_allocated_memory() - before
    return Allocation(kept, kept), result


def kept_by_python(call: Callable[[], Result]) -> tuple[int, Result]:
    """Run `call`; the bytes outside torch's allocators that it left alive, in blocks of at least LARGE, and its result.

    These are numpy arrays, bytes and the like, but not what COMPILERS allocated.
    """
    tracemalloc.start()
    tracemalloc.clear_traces()
    try:
        result = call()
        gc.collect()
        traces = tracemalloc.take_snapshot().traces
    finally:
        tracemalloc.stop()
    large = (trace for trace in traces if trace.size >= LARGE)
    return sum(trace.size for trace in large if not trace.traceback[0].filename.startswith(COMPILERS)), result


def surplus(resident: float, declared: float, stored: Mapping[str, float]) -> str:
    """What to say of a contestant that keeps `resident` bytes, `declared` of them by its own account; mostly nothing.

    `stored` holds its `weight_bytes` and `bits_per_weight`.
    """
    extra = resident - declared
    if extra <= SLACK * declared + LARGE:
        return ""
    claim = "keeps more than it says"
    if bits := stored.get("bits_per_weight"):
        claim = f"claims {bits:.3g} bits a weight and keeps {bits * (1 + extra / stored['weight_bytes']):.3g}"
    return (
        f"{claim}: {amount(extra, 'B')} are alive besides the {amount(declared, 'B')} that it declares;"
        " register them as buffers, or drop them"
    )


def peak_rss(call: Callable[[], object]) -> int | None:
    """Bytes of the resident set at its largest during `call`, everything in the process included.

    None where the kernel cannot reset its high-water mark: on anything but Linux, and in some sandboxes.
    """
    try:
        CLEAR_REFS.write_text("5")
    except OSError:
        return None
    call()
    status = Path("/proc/self/status").read_text()
    kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kibibytes) * 1024
