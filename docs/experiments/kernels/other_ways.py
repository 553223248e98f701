"""Tables and population counts beside the products of `native`, for weights of one bit: `python other_ways.py NxK...`.

One token, one thread, integer sums alone, weights in the cache. Every way has to return the exact sums first. Prints
medians in microseconds and the ratio to `products`, which is what `native` does.
"""

import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from bitlinear.engines.native import build
from bitlinear.layouts.tiles import to_tiles
from harness.measure import interleave

HERE = Path(__file__).parent
FLAGS = ("-shared", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mavx512vpopcntdq")


def library() -> ctypes.CDLL:
    """`other_ways.c`, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ways.so"
        sources = [str(HERE / "other_ways.c"), str(build.SOURCES / "amx.c")]  # which AVX-512's file refers to
        command = [*build.compiler_command(), *build.FLAGS, *FLAGS, *sources, "-lm", "-o", str(file)]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(file))


def bytes_of(bits: Tensor) -> Tensor:
    """`(..., 8)` bits to bytes `(...)`, the first bit lowest."""
    return (bits << torch.arange(8, dtype=torch.uint8)).sum(-1, dtype=torch.uint8)


def layouts(bits: Tensor) -> dict[str, Tensor]:
    """The weights `(N, K)` of 0 and 1 as each function takes them."""
    n, k = bits.shape
    packed = bytes_of(bits.view(n, k // 8, 8))
    return {
        "products": to_tiles(bits.view(n, 1, k), 1),
        "tables": packed.view(n // 64, 64, k // 8).transpose(1, 2).contiguous(),
        "counts": packed,
    }


def main(shape: str) -> None:
    """Check, take turns, print."""
    n, k = map(int, shape.split("x"))
    torch.manual_seed(0)
    bits = torch.randint(0, 2, (n, k), dtype=torch.uint8)
    codes = torch.randint(-127, 128, (k,), dtype=torch.int8)
    exact = (bits.double() @ codes.double()).int()
    functions, weights, sums = library(), layouts(bits), torch.empty(n, dtype=torch.int32)
    calls: dict[str, Callable[[], object]] = {}
    for name, packed in weights.items():
        function = getattr(functions, name)
        function.argtypes = [*2 * [ctypes.c_void_p], *2 * [ctypes.c_int64], ctypes.c_void_p]
        calls[name] = partial(function, packed.data_ptr(), codes.data_ptr(), n, k, sums.data_ptr())
        calls[name]()
        if not torch.equal(sums, exact):
            raise SystemExit(f"{name} does not return the exact sums")
    timings = interleave(calls, seconds=2.0 * len(calls))
    for name, timing in timings.items():
        ratio = timings["products"].median / timing.median
        print(f"{shape:12s} {name:10s} {timing.median * 1e6:9.1f} us {ratio:5.2f}x")


if __name__ == "__main__":
    for each in sys.argv[1:]:
        main(each)
