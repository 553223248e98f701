"""How fast this machine reads and multiplies: the ceilings that measurements are held against. Imports torch.

A ceiling is a maximum, and noise only lowers what is seen of it, so the fastest of several repetitions counts.
"""

import math
from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor

from harness.machine.caches import Caches, caches
from harness.model import Ceilings
from harness.model.ceilings import SEVERAL, merge
from harness.worker.device.devices import DEVICES, Device

MATRICES = (512, 1024, 2048, 4096, 8192)
"""Sizes of the square products, as far as one does not take longer than LONGEST."""
LONGEST = 0.05
"""Seconds that a call may take: a dtype that a processor does not know would take minutes for the larger products."""
SLOW = 0.2
"""Seconds after which a first call is not repeated."""
PATIENCE = 0.04
"""Seconds spent on repetitions of one call, beyond the first three."""
SWEEPS = 2
"""How often everything is measured: what disturbs comes in bursts, so repetitions are spread over the time."""
READ = {"cpu": 1 << 27}
"""Bytes that one timed reading of a cache comes to, by going over it again: a launch is short beside that."""
LEAST = {"cpu": 1 << 26}
"""Bytes of the smallest set that is taken to lie in memory."""
OF_A_GPU = 1 << 30
"""Both, on any other device: terabytes a second are read there, and a launch takes microseconds."""
BYTES_A_FLOAT = 4
"""On a processor, the multiplications of bytes in the time of one of float32: an instruction holds so many more.

True of VPMADDUBSW, VPDPBUSD and SDOT beside the fused multiply-add of their instruction sets. Torch has no quick
product of bytes where the first of them is all that there is (AVX2), so that its own is slower than float32 there.
"""
PIECES = 256
"""How many parts a set is read in on a device that has no threads to count."""


def measure(name: str, threads: int) -> Ceilings:
    """The ceilings of the device `name`, with as many threads as torch is set to: two to four seconds on two cores.

    0 for what the device cannot do, and for the bandwidths of caches whose size is not known.
    """
    sizes = cache_sizes(name, threads)
    return reduce(merge, (_sweep(DEVICES[name], threads, sizes) for _ in range(SWEEPS)))


def _sweep(device: Device, threads: int, sizes: Caches) -> Ceilings:
    pieces = threads if device.name == "cpu" else PIECES
    memory = _read_rate(device, _memory_set(device, sizes.last), pieces, passes=1)
    last = max(memory, *(_cache_rate(device, read, pieces) for read in _last_sets(sizes)))
    core = max(last, _cache_rate(device, sizes.core // 2, pieces))
    float32 = _product_rate(device, torch.float32)
    return Ceilings(
        device=device.name,
        threads=threads,
        core_cache_bytes=sizes.core,
        core_cache_bandwidth=core if sizes.core else 0.0,
        cache_bytes=sizes.last,
        cache_bandwidth=last if sizes.last else 0.0,
        memory_bandwidth=memory,
        float32=float32,
        bfloat16=_product_rate(device, torch.bfloat16),
        float16=_product_rate(device, torch.float16),
        int8=max(_product_rate(device, torch.int8), BYTES_A_FLOAT * float32 if device.name == "cpu" else 0.0),
    )


def cache_sizes(name: str, threads: int) -> Caches:
    """The caches of the device `name` that `threads` threads can fill; 0 where they are not known."""
    if name == "cpu":
        return caches(threads)
    return Caches(last=torch.cuda.get_device_properties(0).L2_cache_size) if name == "cuda" else Caches()


def _memory_set(device: Device, cache: int) -> int:
    """Bytes that can only be read from memory: several times the cache, at most a quarter of what is free."""
    return min(max(SEVERAL * cache, LEAST.get(device.name, OF_A_GPU)), device.free_bytes() // 4)


def _last_sets(sizes: Caches) -> set[int]:
    """Bytes of the sets that the last-level cache is read with: half of it, and the least that those before it miss.

    A virtual machine may be shown all of a cache that it gets a part of: half of that can lie in memory.
    """
    half, least = sizes.last // 2, SEVERAL * sizes.core
    return {half, least} if 0 < least < half else {half}


def _cache_rate(device: Device, size: int, pieces: int) -> float:
    """Bytes a second of a set of `size` bytes that is read again and again from the caches; 0 for an empty one."""
    read = READ.get(device.name, OF_A_GPU)
    return _read_rate(device, size, pieces, passes=math.ceil(read / size)) if size else 0.0


def _read_rate(device: Device, size: int, pieces: int, passes: int) -> float:
    """Bytes a second of a reduction that reads a set of `size` bytes `passes` times, each thread a piece of its own."""
    piece = size // pieces // 4
    numbers = torch.ones(pieces * piece, device=device.name)
    whole, real = (
        kind.view(pieces, 1, piece).expand(pieces, passes, piece) for kind in (numbers.view(torch.int32), numbers)
    )
    read = 4 * pieces * piece * passes
    return read / min(_fastest(device, lambda: whole.amax(2)), _fastest(device, lambda: real.sum(2)))


def _product_rate(device: Device, dtype: torch.dtype) -> float:
    """Operations a second of the best square product of two matrices; 0 where the device has none of this dtype."""
    best = 0.0
    try:
        for size in MATRICES:
            seconds = _fastest(device, _product(device, dtype, size))
            best = max(best, 2 * size**3 / seconds)
            # So long would the next one take; the first alone, and be it disturbed, does not decide.
            if 8 * seconds > LONGEST and size > MATRICES[0]:
                break
    except RuntimeError:  # what torch raises for a product that it has no kernel for
        return best
    return best


def _product(device: Device, dtype: torch.dtype, size: int) -> Callable[[], Tensor]:
    """A product whose right side is transposed, as in a layer: some dtypes have no other quick kernel."""
    a, b = (torch.ones(size, size, dtype=dtype, device=device.name) for _ in range(2))
    if dtype is torch.int8:
        return lambda: torch._int_mm(a, b.T)
    return lambda: torch.mm(a, b.T)


def _fastest(device: Device, call: Callable[[], object]) -> float:
    """Seconds of the quickest of several calls, at least three unless the first takes too long.

    On the device's own clock, and of several queued at once where calls are queued: of a call of microseconds, a wait
    for the host would be the larger part, and a ceiling too low fails contestants that are honest. There the first call
    also loads a library, and says nothing of the next.
    """
    clock, count = device.unwatched, device.queued
    durations = [clock.elapsed(call, 1)[0]]
    while (len(durations) < 3 or count * sum(durations[1:]) < PATIENCE) and (count > 1 or durations[0] < SLOW):
        durations.append(clock.elapsed(call, count)[0] / count)
    return min(durations)
