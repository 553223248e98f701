"""Which graph of a BitLinear makes Inductor fast on a CPU.

    python -m docs.experiments.compiled.graphs M K N [NAME...] [--stream]

Whole forwards of one w1.58a8 layer (norm, quantise, product, rescale), all graphs and baselines interleaved in this
process. With `--stream`, calls go through as many weights as fill 96 MB, so that none is found in a cache. Each graph's
answer is held against that of `int8` before it is timed.
"""

import argparse
import copy
import itertools
import time
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch._inductor.config as inductor
import torch.nn.functional as F
from torch import Tensor

from bitlinear import IMPLEMENTATIONS, BitLinear
from bitlinear.engines.codes import CodedLinear
from bitlinear.layouts.words import FORMATS
from bitlinear.quantize import activation_codes, normalise, widen
from bitlinear.scheme import Scheme
from harness.measure import interleave

STREAM = 96e6
SCHEME = Scheme.parse("w1.58a8")
WORDS = FORMATS[SCHEME.weight_bits]
BASELINES = ("linear-bf16", "int8")
Options = dict[str, object]

SERIAL: Options = {"cpp.min_chunk_size": 8192}
FROZEN: Options = {"freezing": True}
AUTOTUNED: Options = {**FROZEN, "max_autotune": True, "max_autotune_gemm_backends": "CPP,ATEN"}
FMA: Options = {**SERIAL, "cpp.enable_floating_point_contract_flag": "fast"}


class Graph(NamedTuple):
    """What is compiled: `forward(a, codes) -> inner sums`, on codes as `store` makes them of ternary `(N, K)` ones."""

    store: Callable[[Tensor], Tensor]
    product: Callable[[Tensor, Tensor], Tensor]
    options: Options


def forward(product: Callable[[Tensor, Tensor], Tensor], x: Tensor, codes: Tensor, scale: Tensor) -> Tensor:
    """The layer: only the product differs."""
    a, a_scale = activation_codes(normalise(widen(x), SCHEME), SCHEME)
    return product(a[:, 0], codes).float() * (1 / a_scale[:, 0]) * scale  # in the order that freezing looks for


def stored(t: Tensor) -> Tensor:
    """`t`, kept in memory: Inductor otherwise computes the activation codes again in every row of the weights."""
    return torch.as_strided(t, t.shape, t.stride())


def linear(a: Tensor, w: Tensor) -> Tensor:
    """A product in the dtype of the codes."""
    return F.linear(a.to(w.dtype), w)


def int_mm(a: Tensor, w: Tensor) -> Tensor:
    """The int8 product of oneDNN, called from the graph."""
    return torch._int_mm(a.to(torch.int8), w.T)


def reduction(a: Tensor, w: Tensor) -> Tensor:
    """Elementwise product and sum."""
    return (a[:, None] * w.float()).sum(-1)


def kept_reduction(a: Tensor, w: Tensor) -> Tensor:
    """The same, with the activation codes kept in memory."""
    return reduction(stored(a), w)


def pack_bytes(codes: Tensor) -> Tensor:
    """Codes + 1, four a byte: byte `j` of a row holds those of columns `j`, `j + K/4`, ..."""
    quarters = (codes + 1).to(torch.uint8).unflatten(-1, (4, -1))
    return sum(quarters[:, i] << 2 * i for i in range(4))


def packed_reduction(a: Tensor, packed: Tensor) -> Tensor:
    """Elementwise product and sum of four codes a byte: `dot(w, a) = dot(w + 1, a) - sum(a)`."""
    a = stored(a)
    quarters = a.unflatten(-1, (4, -1))
    terms = sum(quarters[:, None, i] * ((packed.int() >> 2 * i) & 3).float() for i in range(4))
    return terms.sum(-1) - a.sum(-1, keepdim=True)


def bytes_unpacked(a: Tensor, packed: Tensor) -> Tensor:
    """Four codes a byte stored, int8 multiplied."""
    return int_mm(a, torch.cat([((packed >> 2 * i) & 3).to(torch.int8) - 1 for i in range(4)], dim=1))


def words_unpacked(a: Tensor, words: Tensor) -> Tensor:
    """Sixteen codes a word stored, int8 multiplied."""
    return int_mm(a, WORDS.unpack(words, a.shape[-1]))


def as_dtype(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    """Codes in another dtype."""
    return lambda codes: codes.to(dtype)


INT8, FLOAT = as_dtype(torch.int8), as_dtype(torch.float32)
GRAPHS = {
    "float32": Graph(FLOAT, linear, {}),
    "float32-autotuned": Graph(FLOAT, linear, AUTOTUNED),
    "bfloat16": Graph(as_dtype(torch.bfloat16), linear, {}),
    "bfloat16-autotuned": Graph(as_dtype(torch.bfloat16), linear, AUTOTUNED),
    "int_mm": Graph(INT8, int_mm, {}),
    "int_mm-serial": Graph(INT8, int_mm, SERIAL),
    "int_mm-cpp-wrapper": Graph(INT8, int_mm, {**SERIAL, "cpp_wrapper": True}),
    "int_mm-frozen": Graph(INT8, int_mm, FROZEN),
    "int_mm-autotuned": Graph(INT8, int_mm, AUTOTUNED),
    "int8-reduction": Graph(INT8, reduction, SERIAL),
    "int8-reduction-kept": Graph(INT8, kept_reduction, FMA),
    "bytes-reduction": Graph(pack_bytes, packed_reduction, FMA),
    "words": Graph(WORDS.pack, WORDS.product, SERIAL),
    "bytes-unpacked": Graph(pack_bytes, bytes_unpacked, SERIAL),
    "words-unpacked": Graph(WORDS.pack, words_unpacked, SERIAL),
}


class Frozen(torch.nn.Module):
    """Weights that freezing finds."""

    def __init__(self, product: Callable[[Tensor, Tensor], Tensor], codes: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.product = product
        self.register_buffer("codes", codes)
        self.register_buffer("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """The layer."""
        return forward(self.product, x, self.codes, self.scale)


def compiled(graph: Graph, codes: Tensor, scale: Tensor, x: Tensor, copies: int) -> Callable[[], Tensor]:
    """A call of the graph, the next of `copies` weights each time. Compiles."""
    kept = graph.store(codes)
    if graph.options.get("freezing"):
        # Dynamo asks the configuration itself whether to freeze, before there are options of one graph.
        with inductor.patch(freezing=True):
            run = torch.compile(Frozen(graph.product, kept, scale), dynamic=False, options=dict(graph.options))
            run(x)
        return lambda: run(x)
    rows = itertools.cycle([kept.clone() for _ in range(copies)])
    run = torch.compile(
        lambda x, codes: forward(graph.product, x, codes, scale),
        fullgraph=True,
        dynamic=False,
        isolate_recompiles=True,
        options=dict(graph.options),
    )
    return lambda: run(x, next(rows))


def baseline(name: str, layer: BitLinear, x: Tensor, stream: bool) -> Callable[[], Tensor]:
    """A call of a contestant of the project."""
    implementation = next(i for i in IMPLEMENTATIONS if i.name == name)
    ops = [implementation.build(layer)]
    if stream:
        size = sum(t.nbytes for t in [*ops[0].parameters(), *ops[0].buffers()])
        ops += [copy.deepcopy(ops[0]) for _ in range(int(STREAM / size))]
    ring = itertools.cycle(ops)
    return lambda: next(ring)(x)


@torch.inference_mode()
def main() -> None:
    """Compile, judge, time, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs=3, type=int, metavar="M K N")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(GRAPHS)}; all by default")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--seconds", type=float, default=8.0)
    given = parser.parse_args()
    m, k, n = given.size
    torch.manual_seed(0)
    layer, x = BitLinear(k, n, weight_bits=SCHEME.weight_bits), torch.randn(m, k)
    coded = CodedLinear(layer, torch.int8)
    calls = {name: baseline(name, layer, x, given.stream) for name in BASELINES}
    expected = calls["int8"]().double()
    first: dict[str, float] = {}
    errors: dict[str, float] = {}
    for name in given.names or GRAPHS:
        start = time.perf_counter()
        try:
            graph = GRAPHS[name]
            size = graph.store(coded.codes[0]).nbytes
            copies = 1 + int(STREAM / size) if given.stream else 1
            call = compiled(graph, coded.codes[0], coded.scale[0], x, copies)
            y = call()
        except Exception as error:  # noqa: BLE001 - a graph that does not compile is a result of this experiment
            print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}")
            continue
        first[name] = time.perf_counter() - start
        errors[name] = float((y.double() - expected).norm() / expected.norm())
        calls[name] = call
    timings = interleave(calls, seconds=given.seconds)
    print("| graph | median | to `linear-bf16` | to `int8` | first call | relative error |\n|---|---|---|---|---|---|")
    for name, timing in timings.items():
        ratios = [f"{timings[other].median / timing.median:.2f}x" for other in BASELINES]
        rest = [f"{first[name]:.1f} s", f"{errors[name]:.0e}"] if name in first else ["", ""]
        print("|", " | ".join([f"`{name}`", f"{timing.median * 1e6:.0f} us", *ratios, *rest]), "|")


if __name__ == "__main__":
    main()
