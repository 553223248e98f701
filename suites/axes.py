"""The axes that suites are made of: their legal values, and what follows from them. Imports no torch."""

import re
from collections.abc import Callable
from dataclasses import replace

from bitlinear.scheme import ACTIVATION_BITS, WEIGHT_BITS, Scheme
from harness.machine.environment import usable_cores
from harness.model import Params, Value
from harness.model.suite import Axis

DTYPES = ("float32", "bfloat16", "float16", "float64")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}

BITNET_2B4T = ("2560x2560", "640x2560", "6912x2560", "2560x6912")
LLAMA_3_8B = ("4096x4096", "1024x4096", "14336x4096", "4096x14336")
BITNET_3B = ("3200x3200", "8640x3200", "3200x8640")
AWKWARD = ("100x10", "2560x100", "2560x5460", "1x2560")
"""`NxK` shapes of layers that people run, and some that kernels trip over."""

CACHES = ("hot", "cold", "stream")
PROBED_BY = ("scheme", "dtype", "device")
"""Params of a layer that decide which code of a contestant runs on other shapes."""
MOST_THREADS = 64
"""On a machine with fewer than half as many cores."""
LARGEST = 100_000_000
"""Tokens or features: the bytes of a matrix with two such sides can still be counted in 64 bits."""


def _sizes(value: Value, count: int, what: str) -> tuple[int, ...]:
    """The `count` sizes of "2560x2560". Raises ValueError that says `what` it should be."""
    texts = str(value).split("x")
    sizes = [int(text) for text in texts if re.fullmatch("[0-9]{1,12}", text)]
    if len(texts) != count or len(sizes) != count or not all(0 < size <= LARGEST for size in sizes):
        raise ValueError(f"{value!r} is not a {what}, each from 1 to {LARGEST}")
    return tuple(sizes)


def _shape(value: Value) -> Value:
    n, k = _sizes(value, 2, "shape; write NxK, output by input features, as in 2560x2560")
    return f"{n}x{k}"


def _product(value: Value) -> Value:
    return "x".join(map(str, _sizes(value, 3, "product; write MxKxN, as in 1x2560x2560")))


def _scheme(value: Value) -> Value:
    return str(Scheme.parse(str(value)))


def whole(smallest: int, what: str, largest: int = LARGEST) -> Callable[[Value], Value]:
    """Parses whole numbers from `smallest` to `largest`; raises ValueError that says `what` they are."""

    def parse(value: Value) -> Value:
        if not isinstance(value, int) or not smallest <= value <= largest:
            raise ValueError(f"{value!r} is not {what}; give a whole number from {smallest} to {largest}")
        return value

    return parse


def _one_of(*allowed: Value) -> Callable[[Value], Value]:
    def parse(value: Value) -> Value:
        if value not in allowed:
            raise ValueError(f"{value!r} is unknown; choose from: {', '.join(map(str, allowed))}")
        return allowed[allowed.index(value)]  # 8.0 is 8, and one case has one name

    return parse


def _threads(value: Value) -> Value:
    """More threads than cores are slow and allowed: a baseline of two is gated on one core. Thousands end a process."""
    cores = usable_cores()
    most = max(MOST_THREADS, 2 * cores)
    return 0 if value == "all" else whole(1, f"a number of threads on {cores} usable cores, or `all`", most)(value)


def thread_counts() -> tuple[Value, ...]:
    """1, 2, 4 ... and all cores that may be used."""
    cores = usable_cores()
    return tuple(sorted({1 << power for power in range(cores.bit_length()) if 1 << power <= cores} | {cores}))


def shapes(*values: str, full: tuple[str, ...] = ()) -> Axis:
    """Layer shapes, output by input features."""
    return Axis("shape", values, _shape, full)


def products(*values: str) -> Axis:
    """Matrix products MxKxN: tokens, input features, output features."""
    return Axis("product", values, _product)


def tokens(*values: int, full: tuple[int, ...] = ()) -> Axis:
    """M, the tokens of one call: 1 to 32 is decoding, 128 and more is prefill."""
    return Axis("m", values, whole(0, "a number of tokens"), full)


def contexts(*values: int) -> Axis:
    """Tokens before those of the call, which attention looks back at."""
    return Axis("context", values, whole(0, "a number of tokens"))


def schemes(*values: str, full: tuple[str, ...] = ()) -> Axis:
    """Quantisation schemes, as in w1.58a8, w1a8g4, w4a8gs64, w4a8-nonorm."""
    return Axis("scheme", values, _scheme, full)


def groups(*values: int, full: tuple[int, ...] = ()) -> Axis:
    """Groups of input features; 0 leaves them as the scheme says."""
    return Axis("groups", values or (0,), whole(0, "a number of groups"), full)


def weight_bits(*values: float) -> Axis:
    """Bits of a weight."""
    return Axis("weight_bits", values, _one_of(*WEIGHT_BITS))


def activation_bits(*values: int) -> Axis:
    """Bits of an activation; 16 leaves them as they are."""
    return Axis("activation_bits", values, _one_of(*ACTIVATION_BITS))


def dtypes(*values: str, full: tuple[str, ...] = ()) -> Axis:
    """The floating-point type of input, output and layer."""
    return Axis("dtype", values or ("float32",), _one_of(*DTYPES), full)


DISTRIBUTIONS = ("gaussian", "uniform", "laplace", "outliers")
"""The keys of `bitlinear.theory.DISTRIBUTIONS`, which would need numpy before a worker is asked for anything."""


def distributions(*values: str) -> Axis:
    """What inputs and weights are drawn from."""
    return Axis("distribution", values, _one_of(*DISTRIBUTIONS))


def threads(*values: Value) -> Axis:
    """How many threads compute; 0 or `all` is every core that may be used."""
    return Axis("threads", values or (0,), lambda value: 0 if value == 0 else _threads(value))


def caches(*values: str, full: tuple[str, ...] = ()) -> Axis:
    """Where the weights of a call are: `hot`, as the call before left them; `cold`, in memory, inputs too; `stream`,
    in memory, as when layer follows layer.
    """
    return Axis("cache", values, _one_of(*CACHES), full)


DEVICE = Axis("device", ("auto",), _one_of("auto", "cpu", "cuda", "mps"))
GRAPH = Axis("graph", (0,), _one_of(0, 1))
"""Whether calls on a CUDA GPU are captured and replayed as one graph, so that launching them costs nothing."""


def resolve(point: Params) -> Params:
    """From a point of the axes to a case's params: `shape` becomes n and k, and bits and groups become the scheme.

    A group size becomes the number of groups, so a case has one name, however its groups were given.
    `graph=0` goes unsaid: it is what every case is that was not asked for otherwise.
    """
    n, k = map(int, str(point["shape"]).split("x"))
    scheme = _scheme_of(point).for_features(k)
    consumed = {"shape", "scheme", "groups", "weight_bits", "activation_bits"}
    others = {name: value for name, value in point.items() if name not in consumed and (name, value) != ("graph", 0)}
    return {"n": n, "k": k, "scheme": str(scheme), **others}


def resolve_product(point: Params) -> Params:
    """From a point of the axes to a case's params: `product` becomes m, k and n."""
    m, k, n = map(int, str(point["product"]).split("x"))
    return {"m": m, "k": k, "n": n, **{name: value for name, value in point.items() if name != "product"}}


def _scheme_of(point: Params) -> Scheme:
    groups = int(point["groups"])
    if "scheme" in point:
        scheme = Scheme.parse(str(point["scheme"]))
        return replace(scheme, groups=groups or scheme.groups)
    return Scheme(float(point["weight_bits"]), int(point["activation_bits"]), groups or 1)


def facts(params: Params) -> Params:
    """What is known of a case before it runs: the scheme's parts, and the operations and bytes a call must cost.

    `operations` counts a multiply and an add as two. `activation_bytes` are those of the input and the output,
    `ideal_bytes` those and the weights, packed, once: what must be read and written at least.
    `output_bytes` are those of the output alone, which every call allocates.
    """
    m, k, n = int(params["m"]), int(params["k"]), int(params["n"])
    scheme = Scheme.parse(str(params["scheme"])).for_features(k)
    output_bytes, input_bytes = (m * size * BYTES[str(params.get("dtype", "float32"))] for size in (n, k))
    activation_bytes = input_bytes + output_bytes
    return {
        "weight_bits": scheme.weight_bits,
        "activation_bits": scheme.activation_bits,
        "groups": scheme.groups,
        "operations": 2 * m * n * k,
        "activation_bytes": activation_bytes,
        "output_bytes": output_bytes,
        "ideal_bytes": int(n * k * scheme.weight_bits / 8) + activation_bytes,
    }
