"""Contestants with schemes of their own, in turns: `python contest.py NxK M hot|stream NAME/SCHEME...`.

`stream` goes through copies of the layer that are together larger than any cache. Prints medians in microseconds, bytes
of weights a second, and the ratio to the first.
"""

import copy
import itertools
import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from bitlinear import BitLinear, Scheme
from harness.measure import interleave
from suites.workloads.catalogue import find
from suites.workloads.forward import stored_bytes

RING_BYTES = 96 << 20


def build(shape: str, spelling: str) -> nn.Module:
    """The op of NAME/SCHEME."""
    name, _, scheme = spelling.partition("/")
    (n, k), parsed = map(int, shape.split("x")), Scheme.parse(scheme)
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
    torch.set_num_threads(2)
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
