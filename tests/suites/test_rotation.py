"""Calls that rotate: which input and which layer is whose, what rings hold, and what they do not count as."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from harness.model import Case
from suites.workloads.layer import ring
from suites.workloads.layer.copies import why_no_copy
from suites.workloads.layer.forward import Forward
from suites.workloads.layer.ring import ring_bytes, ring_of
from suites.workloads.layer.rotation import Layer, Rotation


def scaled(gain: float, size: int = 4) -> nn.Linear:
    linear = nn.Linear(size, size, bias=False)
    nn.init.constant_(linear.weight, gain)
    return linear


def call(op: nn.Module) -> Tensor:
    output: Tensor = op(torch.ones(2, 4))
    return output


@pytest.fixture
def inputs() -> Sequence[Tensor]:
    return [torch.full((2, 4), float(number)) for number in range(1, 5)]


@pytest.mark.parametrize(("layers", "buffers"), [(1, 4), (2, 4), (3, 4), (7, 4), (7, 7), (1, 2)])
@torch.inference_mode()
def test_the_last_turn_is_that_of_the_last_call_and_its_answer_is_known(
    inputs: Sequence[Tensor], layers: int, buffers: int
) -> None:
    chosen = [Layer(scaled(2.0**n), 2.0**n) for n in range(layers)]
    rotation = Rotation(chosen[0].op, inputs, [torch.empty(2, 4) for _ in inputs])
    rotation.spread(chosen, [torch.empty(2, 4) for _ in range(buffers)])
    called: list[nn.Module] = []
    for calls in (1, 5, 13):
        rotation.refresh()
        for _ in range(calls):
            output = rotation()
            assert isinstance(output, Tensor)
        turn = rotation.skip_after_last()
        called.append(turn.op)
        assert torch.equal(turn.x, inputs[rotation.held(turn)])
        assert torch.equal(output, inputs[rotation.held(turn)] * 4 * turn.gain)
    ops = [turn.op for turn in rotation.turns]
    assert layers == 1 or all(a is not b for a, b in zip(ops, [*ops[1:], ops[0]], strict=True)), "never twice in a row"


def test_a_refreshed_buffer_holds_another_input_in_the_same_place(inputs: Sequence[Tensor]) -> None:
    rotation = Rotation(scaled(1.0), inputs, [torch.empty(2, 4) for _ in inputs])
    before = [(turn.x.data_ptr(), float(turn.x[0, 0])) for turn in rotation.turns]
    rotation.refresh()
    for (place, value), turn in zip(before, rotation.turns, strict=True):
        assert turn.x.data_ptr() == place
        assert float(turn.x[0, 0]) != value


def test_a_ring_is_as_large_as_it_should_be_or_says_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "_cache_bytes", lambda op: 1000)
    layers, warning = ring_of(scaled(1.0), scaled, call)
    assert (ring_bytes(layers), len({layer.gain for layer in layers}), warning) == (2048, ring.GAINS, "")
    assert all(torch.equal(call(op), call(scaled(gain))) for op, gain in layers)
    monkeypatch.setattr(ring, "MOST_LAYERS", 5)
    layers, warning = ring_of(scaled(1.0), scaled, call)
    assert len(layers) == 5
    assert "because it has 5 layers; choose a larger shape" in warning
    monkeypatch.setattr(ring, "MEMORY_SHARE", 0.0)
    layers, warning = ring_of(scaled(1.0), scaled, call)
    assert len(layers) == 2
    assert "of the memory; use a machine with more" in warning


def test_a_layer_of_every_gain_is_built_and_the_rest_are_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "_cache_bytes", lambda op: 1000)
    built = []

    def build(gain: float) -> nn.Linear:
        built.append(gain)
        return scaled(gain)

    layers, _ = ring_of(scaled(1.0), build, call)
    assert built == [2.0]
    places = {op.weight.data_ptr() for op, _ in layers if isinstance(op, nn.Linear)}
    assert len(places) == len(layers) == 2048 // 64


class OfSomebodyElse(nn.Linear):
    """Reads the weight of the one that it was copied from, as a kernel would that keeps its address."""

    def __init__(self) -> None:
        super().__init__(4, 4, bias=False)
        self.own = [self.weight.detach()]

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.own[0].T

    def __deepcopy__(self, memo: object) -> "OfSomebodyElse":
        other = OfSomebodyElse()
        other.own = self.own
        return other


class Refuses(nn.Linear):
    """Cannot be copied."""

    def __deepcopy__(self, memo: object) -> "Refuses":
        raise ValueError("no copies")


class Shares(nn.Linear):
    """Its copy is itself."""

    def __deepcopy__(self, memo: object) -> "Shares":
        return self


class Hides(nn.Linear):
    """Keeps weights in memory of its own."""

    hidden_bytes = 64


def compiled() -> nn.Module:
    op = scaled(1.0)
    op.compile(backend="eager")
    return op


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: scaled(1.0), ""),
        (OfSomebodyElse, "its copy reads its weights"),
        (lambda: Refuses(4, 4, bias=False), "to copy it raises ValueError"),
        (lambda: Shares(4, 4, bias=False), "its copy shares its weights"),
        (lambda: Hides(4, 4, bias=False), "it keeps weights where there is no tensor"),
        (compiled, "it is compiled"),
    ],
)
def test_what_cannot_be_copied_is_built_for_every_layer(
    make: Callable[[], nn.Module], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():
        assert why_no_copy(make(), call) == why
        monkeypatch.setattr(ring, "_cache_bytes", lambda op: 1000)
        built = []
        layers, _ = ring_of(make(), lambda gain: built.append(gain) or scaled(gain), call)  # type: ignore[func-returns-value]  # it is appended
    assert len(built) == (len(layers) - 1 if why else 1)
    assert len(layers) > 10


def test_layers_that_share_their_weights_are_no_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "_cache_bytes", lambda op: 1000)
    first = Shares(4, 4, bias=False)
    layers, warning = ring_of(first, lambda gain: first, call)
    assert ring_bytes(layers) == 64
    assert warning


@pytest.mark.parametrize("cache", ["cold", "stream"])
def test_a_ring_counts_as_nobody_s_weights_and_only_cold_inputs_are_cold(
    cache: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ring, "_cache_bytes", lambda op: 10_000)
    params = {"m": 1, "k": 32, "n": 32, "scheme": "w1.58a8", "cache": cache}
    workload = Forward(Case.of("latency", "int8", params), 3)
    with workload.context():
        prepared = workload.build()
        prepared()
        answered = prepared.settle()
        assert answered["ring_bytes"] == 20 * (1024 + 4)
        assert prepared.stored()["weight_bytes"] == 1024 + 4
        assert len({turn.x.data_ptr() for turn in prepared.rotation.turns}) == (20 if cache == "cold" else 4)
        assert prepared.check(frozenset()).wrong == ""


def test_no_function_lies_between_the_clock_and_the_rotation_of_a_layer() -> None:
    params = {"m": 1, "k": 32, "n": 32, "scheme": "w1.58a8"}
    prepared = Forward(Case.of("latency", "linear-fp32", params), 0).build()
    assert prepared.timed == prepared.rotation.__call__
