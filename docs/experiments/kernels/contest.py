"""Contestants with schemes of their own, in turns: `python contest.py NxK M hot|stream NAME/SCHEME...`.

`stream` goes through copies of the layer that are together larger than any cache. The name `read` stands for reading as
many bytes as the scheme's weights have, by a reduction of torch's. Prints medians in microseconds, bytes of weights a
second, and the ratio to the first.
"""

import copy
import itertools
import math
import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from bitlinear import BitLinear, Scheme
from harness.measure import interleave
from harness.worker.ceilings import cache_sizes
from suites.catalogue.contestants import find
from suites.workloads.layer.forward import stored_bytes
from suites.workloads.layer.ring import CACHES

THREADS = 2
RING_BYTES = CACHES * sum(cache_sizes("cpu", THREADS))
"""Twice what all caches hold, as in the suites."""


class Read(nn.Module):
    """Reads its weight, half of it on each of two threads, and does nothing else with it."""

    weight: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(2, size // 8, dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        """The largest number of either half."""
        return self.weight.amax(1)


def build(shape: str, spelling: str) -> nn.Module:
    """The op of NAME/SCHEME."""
    name, _, scheme = spelling.partition("/")
    (n, k), parsed = map(int, shape.split("x")), Scheme.parse(scheme)
    if name == "read":
        return Read(n * k * math.ceil(parsed.weight_bits) // 8)
    torch.manual_seed(0)
    return find(name).build(BitLinear(k, n, parsed.groups, weight_bits=parsed.weight_bits, norm=parsed.norm))


def call(op: nn.Module, x: Tensor, cache: str) -> Callable[[], object]:
    """One forward, of the next copy if the weights are to come from memory."""
    if cache == "hot":
        return partial(op, x)
    ring = itertools.cycle([copy.deepcopy(op) for _ in range(RING_BYTES // stored_bytes(op) + 1)])
    return lambda: next(ring)(x)


def main(shape: str, m: str, cache: str, *contestants: str) -> None:
    """Build, take turns, print."""
    torch.set_num_threads(THREADS)
    x = torch.randn(int(m), int(shape.partition("x")[2]))
    ops = {spelling: build(shape, spelling) for spelling in contestants}
    timings = interleave({name: call(op, x, cache) for name, op in ops.items()}, seconds=2.0 * len(ops))
    first = next(iter(timings.values())).median
    for name, timing in timings.items():
        speed = stored_bytes(ops[name]) / timing.median * 1e-9
        print(f"{name:28s} {timing.median * 1e6:9.1f} us {speed:6.1f} GB/s {first / timing.median:5.2f}x")


if __name__ == "__main__":
    with torch.inference_mode():
        main(*sys.argv[1:])
