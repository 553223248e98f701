"""Variants of the kernels side by side: `python variants.py NxK M SCHEME hot|stream|pages FLAGS...`.

Every FLAGS are compiler flags of one variant, such as "" (as it is), "-DBLOCK_BYTES=131072" or "-DFEW_TOKENS=1 -O2".
All variants work on the same weights, in turns, on two threads. `stream` goes through copies of them that are together
larger than any cache; `pages` does so in huge pages, as layers lie in them, and again in small ones.
BITLINEAR_NATIVE_PATH chooses the instructions. Prints medians in microseconds, bytes of weights a second, and the ratio
to the first variant.
"""

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from bitlinear import BitLinear, Scheme
from bitlinear.engines.native import NativeLinear, build
from bitlinear.engines.native.library import Library, layer_of, library
from bitlinear.layouts import pages
from harness.measure import interleave
from harness.worker.ceilings import cache_sizes
from suites.workloads.layer.ring import CACHES

THREADS = 2
RING_BYTES = CACHES * sum(cache_sizes("cpu", THREADS))
"""Twice what all caches hold, as in the suites."""


def compiled(flags: str) -> Path:
    """The library of one variant."""
    os.environ["BITLINEAR_NATIVE_CFLAGS"] = flags
    build.library_file.cache_clear()
    return build.library_file()


def forward(bound: Library, op: NativeLinear, weights: Iterator[Tensor], x: Tensor, y: Tensor) -> None:
    """One call on the next weights of the ring."""
    bound.forward(layer_of(op.scheme, op.in_features, op.out_features), x, next(weights), op.scale, op.bias, y, len(x))


def main(shape: str, m: str, scheme: str, cache: str, *variants: str) -> None:
    """Build, take turns, print."""
    torch.set_num_threads(THREADS)
    n, k = map(int, shape.split("x"))
    parsed = Scheme.parse(scheme)
    layer = BitLinear(k, n, parsed.groups, weight_bits=parsed.weight_bits, norm=parsed.norm)
    op = NativeLinear.from_layer(layer)
    size = op.codes.nbytes
    copies = 1 if cache == "hot" else RING_BYTES // size + 1
    rings = {"": [pages.copied(op.codes) for _ in range(copies)]}
    if cache == "pages":
        rings |= {" in small pages": [op.codes.clone() for _ in range(copies)]}
    x, y = torch.randn(int(m), k), torch.empty(int(m), n)
    calls: dict[str, Callable[[], None]] = {}
    for flags in variants:
        bound = Library(compiled(flags), library().path)
        for where, ring in rings.items():
            calls[(flags or "as it is") + where] = partial(forward, bound, op, itertools.cycle(ring), x, y)
    timings = interleave(calls, seconds=2.0 * len(calls))
    first = next(iter(timings.values())).median
    for name, timing in timings.items():
        speed = size / timing.median * 1e-9
        print(f"{name:40s} {timing.median * 1e6:9.1f} us {speed:6.1f} GB/s {first / timing.median:5.2f}x")


if __name__ == "__main__":
    with torch.inference_mode():
        main(*sys.argv[1:])
