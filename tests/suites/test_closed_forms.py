"""What implementations store, keep and allocate, as formulas of the layer, against what a worker reports: exactly."""

import gc
import math
from collections.abc import Callable, Iterator

import pytest
import torch

from bitlinear.engines.packed import BLOCK_BYTES, PackedLinear
from bitlinear.implementations import IMPLEMENTATIONS
from bitlinear.layouts.packing import BASE3, Packing
from bitlinear.scheme import Scheme
from harness.model import Case
from harness.model.messages import Answer, Memory, Prepare
from harness.model.suite import Registry
from harness.worker.collector import settle_collector
from harness.worker.device.allocations import trace_cpu
from harness.worker.server import Worker
from suites.workloads.layer.forward import stored_bytes

LAYERS = [
    (48, 32, 3, "w1.58a8"),
    (33, 35, 1, "w4a8g5"),
    (1, 7, 2, "w1a8"),
    (20, 96, 17, "w2a8g3"),
    (64, 1000, 1, "w8a8g8"),
    (5, 101, 4, "w1.58a4-nonorm"),
    (9, 77, 2, "w3a8g7"),
    (6, 50, 1, "w7a8"),
]
"""N, K, M and the scheme: odd sizes, groups that are no multiple of 32, one scale a group and one a row."""


def _scales(n: int, scheme: Scheme) -> int:
    """One for a group of binary or ternary weights, one for each row and group otherwise."""
    return scheme.groups * (1 if scheme.weight_bits < 2 else n)


def _padded(k: int, scheme: Scheme) -> int:
    """K with every group filled up to 32 features."""
    return scheme.groups * -(-scheme.group_size(k) // 32) * 32


def _packed(k: int, scheme: Scheme) -> int:
    """Bytes of one row of codes of whole bits: of every power of two in the number of bits, filled up to a byte."""
    bits = math.ceil(scheme.weight_bits)
    return sum(-(-k * width // 8) for width in (8, 4, 2, 1) if bits & width)


def _words_and_bytes(n: int, k: int, scheme: Scheme) -> int:
    """Codes of up to 4 bits in words of 4 bytes, every group of its own; wider ones in bytes."""
    columns = {1: 32, 1.58: 16, 2: 16, 3: 10, 4: 8}.get(scheme.weight_bits)
    return 4 * n * scheme.groups * -(-scheme.group_size(k) // columns) if columns else n * k


def _tiles(n: int, k: int, scheme: Scheme) -> int:
    """Codes in 1, 2, 4 or 8 bits: rows filled up to 16, every group to 64 bytes of them."""
    columns = 4 * (8 // next(bits for bits in (1, 2, 4, 8) if scheme.weight_bits <= bits))
    return -(-n // 16) * scheme.groups * -(-scheme.group_size(k) // columns) * 64


Formula = Callable[[int, int, Scheme], int]
STORED: dict[str, Formula] = {
    "linear-fp32": lambda n, k, _: 4 * n * k,
    "linear-bf16": lambda n, k, _: 2 * n * k,
    "linear-fp16": lambda n, k, _: 2 * n * k,
    "reference": lambda n, k, _: 4 * n * k,
    "eager": lambda n, k, s: 4 * n * k + 4 * _scales(n, s),
    "compiled": lambda n, k, s: _words_and_bytes(n, k, s) + 4 * _scales(n, s),
    "bf16": lambda n, k, s: 2 * n * _padded(k, s) + 4 * _scales(n, s),
    "fp16": lambda n, k, s: 2 * n * _padded(k, s) + 4 * _scales(n, s),
    "bf16-naive": lambda n, k, s: 2 * n * _padded(k, s) + 2 * _scales(n, s),
    "int8": lambda n, k, s: n * k + 4 * _scales(n, s),
    "native": lambda n, k, s: _tiles(n, k, s) + 4 * _scales(n, s),
    "packed": lambda n, k, s: n * _packed(k, s) + 4 * _scales(n, s),
    "packed-base3": lambda n, k, s: n * -(-k // 5) + 4 * _scales(n, s),
}
"""Weight bytes: codes with their padding, and scales."""
SCALE_BYTES = dict.fromkeys(("linear-fp32", "linear-bf16", "linear-fp16", "reference"), 0) | {"bf16-naive": 2}
"""Of each scale: what quantises in every call stores none, and 4 wherever nothing else is said."""
KNOWN_PEAKS: dict[str, Callable[[int, int, int], int]] = {
    "linear-fp32": lambda n, k, m: 4 * m * n,
    "reference": lambda n, k, m: 12 * n * k + 4 * m * k,
}
"""Peak bytes of a forward. The baseline makes its output; the layer holds three floats a weight while it quantises
them, and the normalised input, as long as weights outweigh activations. Others depend on the scratch space of the
machine's math library."""
FEW_TOKENS = 10
"""Weights outweigh activations where there are so many times more output features than tokens."""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    yield Worker(Registry.load("suites"))
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _settled() -> None:
    """A worker collects garbage for every question: among what a case makes, not among all that was imported here."""
    settle_collector()


def measure(worker: Worker, suite: str, name: str, layer: tuple[int, int, int, str]) -> dict[str, float]:
    """Every byte that the worker reports of one case; a warning of something hidden fails."""
    n, k, m, scheme = layer
    case = Case.of(suite, name, {"n": n, "k": k, "m": m, "scheme": scheme, "device": "cpu", "threads": 1})
    answers = [worker.answer(Prepare(case, 0)), worker.answer(Memory(case, 0))]
    values: dict[str, float] = {}
    for answer in answers:
        assert isinstance(answer, Answer)
        assert (answer.outcome, answer.warnings) == ("measured", ())
        values |= {metric: taken[0] for metric, taken in answer.values.items()}
    return values


def layers_of(name: str) -> list[tuple[int, int, int, str]]:
    """The layers that an implementation can be built from."""
    implementation = next(one for one in IMPLEMENTATIONS if one.name == name)
    return [
        layer
        for layer in LAYERS
        if not implementation.why_not(scheme=Scheme.parse(layer[3]), device="cpu", dtype=torch.float32)
    ]


def test_every_implementation_has_its_formula() -> None:
    assert set(STORED) | {"triton"} == {implementation.name for implementation in IMPLEMENTATIONS}  # no GPU here


@pytest.mark.parametrize("name", [name for name in STORED if name != "compiled"])
def test_stored_and_resident_bytes_follow_their_formula(worker: Worker, name: str) -> None:
    for layer in layers_of(name):
        n, k, m, scheme = layer
        found, expected = measure(worker, "memory", name, layer), STORED[name](n, k, Scheme.parse(scheme))
        assert found["weight_bytes"] == expected, layer
        assert found["bits_per_weight"] == 8 * expected / (n * k), layer
        assert found["resident_bytes"] == expected, layer
        scales = SCALE_BYTES.get(name, 4) * _scales(n, Scheme.parse(scheme))
        if 8 * scales < n * k:  # where there is a bit of scales for every weight, they are taken for codes
            assert found["code_bytes"] == expected - scales, layer
        if name in KNOWN_PEAKS and n >= FEW_TOKENS * m:
            assert found["peak_forward_bytes"] == KNOWN_PEAKS[name](n, k, m), layer


@pytest.mark.parametrize(
    ("scheme", "packing", "most"),
    [("w1a8", None, 1.02), ("w1.58a8", None, 2.02), ("w1.58a8", BASE3, 1.62), ("w3a8", None, 3.1), ("w4a8", None, 4.1)],
)
def test_a_packed_layer_has_the_bits_that_it_is_named_after(scheme: str, packing: Packing | None, most: float) -> None:
    layer = PackedLinear(2560, 2560, Scheme.parse(scheme), packing=packing)
    assert 8 * stored_bytes(layer) / (2560 * 2560) <= most


@pytest.mark.parametrize("packing", [None, BASE3])
@pytest.mark.parametrize("out_features", [2560, 5120])
def test_a_packed_forward_allocates_three_mebibytes_at_most(packing: Packing | None, out_features: int) -> None:
    layer, x = PackedLinear(2560, out_features, Scheme(1.58), packing=packing), torch.ones(1, 2560)
    layer(x)
    assert BLOCK_BYTES < trace_cpu(lambda: layer(x))[0].peak <= 3 << 20


def test_weights_in_memory_that_no_allocator_hands_out_are_resident(worker: Worker) -> None:
    n = k = 4096  # fills two huge pages
    found = measure(worker, "memory", "native", (n, k, 1, "w1.58a8"))
    assert found["resident_bytes"] == found["weight_bytes"] == n * k / 4 + 4


def test_a_compiled_layer_stores_and_keeps_what_it_was_made_of(worker: Worker) -> None:
    (n, k, m, scheme), name = LAYERS[0], "compiled"
    found, expected = measure(worker, "memory", name, (n, k, m, scheme)), STORED[name](n, k, Scheme.parse(scheme))
    assert found["weight_bytes"] == found["resident_bytes"] == expected


@pytest.mark.parametrize("name", ["linear-fp32", "reference"])
def test_training_keeps_weights_input_and_gradients_and_its_two_peaks_are_apart(worker: Worker, name: str) -> None:
    for n, k, m, scheme in LAYERS[:4]:
        found = measure(worker, "training", name, (n, k, m, scheme))
        assert found["resident_bytes"] == 2 * (4 * n * k + 4 * m * k)
        if name == "linear-fp32":
            assert found["peak_forward_bytes"] == 4 * m * n
            assert found["peak_backward_bytes"] == 4 * n * k + 4 * m * k
