"""One forward pass of a layer, in inference mode."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from bitlinear.interface import Function, Implementation
from harness.model import Case
from harness.model.suite import Check, Measured, Workload
from harness.worker.accuracy import distance, histogram
from suites.catalogue.contestants import find
from suites.workloads.layer.judgement import disagreement, irreproducible, misshapen, shared
from suites.workloads.layer.probe import probe
from suites.workloads.layer.problem import Problem, problem
from suites.workloads.layer.ring import GAINS, ring_bytes, ring_of
from suites.workloads.layer.rotation import Rotation, Turn, hidden_bytes, raw_bytes, weights

OUTPUTS_HELD = 4
"""Earlier outputs whose memory a new one must not share."""
INPUT_CHANGED = "wrong answer: changed its input"
POISON = 255
"""A byte that makes every floating-point value of it NaN."""


class Forward(Workload):
    """`op(x)` for one contestant, on other inputs in turn.

    The param `cache` says where the weights of a call are: `hot`, in the cache as far as they fit; `cold`, in memory,
    with the input; `stream`, in memory, with the input in the cache, as in a model that decodes.
    """

    def __init__(self, case: Case, seed: int) -> None:
        self.case = case
        self.seed = seed
        self.cache = str(case.params.get("cache", "hot"))
        self.problem: Problem = problem(case, seed)
        self.implementation: Implementation = find(case.implementation)
        self._buffers = [x.clone() for x in self.problem.inputs]
        self._small_ring = ""

    def context(self) -> AbstractContextManager[object]:
        """Inference mode: nobody is charged for autograd."""
        return torch.inference_mode()

    def why_not(self) -> str | None:
        """What the contestant says of this scheme, device and dtype."""
        x = self.problem.x
        return self.implementation.why_not(scheme=self.problem.scheme, device=x.device.type, dtype=x.dtype)

    def build(self) -> Callable[[], object]:
        """The contestant made from a layer of its own, which is let go of."""
        return Rotation(self._op(), self.problem.inputs, self._buffers)

    def rebuild(self) -> Callable[[], object]:
        """With a ring of its own."""
        call = super().rebuild()
        self.ring(call)
        return call

    def ring(self, call: Callable[[], object]) -> Mapping[str, float]:
        """The layers after the first, called once, if the case asks for cold weights. All weights are to stay so."""
        rotation = _rotation(call)
        if self.cache == "hot":
            rotation.remember_weights()
            return {}
        gains = GAINS if self.implementation.homogeneous else 1
        if uncounted := self._uncounted(rotation.op):
            raise ValueError(f"cache={self.cache} needs weights that can be counted: {uncounted}")
        layers, self._small_ring = ring_of(rotation.op, self._called_op, gains)
        if self.cache == "cold":
            more = len(layers) - len(self._buffers)
            self._buffers += [torch.empty_like(self.problem.x) for _ in range(more)]
        rotation.spread(layers, self._buffers)
        rotation.remember_weights()
        return {"ring_bytes": ring_bytes(layers)}

    def probe(self) -> Check:
        """On awkward shapes; a contestant that cannot run at all has nothing to be judged."""
        if self.why_not():
            return Check({})
        x = self.problem.x
        return probe(self.implementation, self.problem.scheme, x.dtype, x.device.type, self.seed)

    def check(self, call: Callable[[], object], metrics: frozenset[str]) -> Check:
        """Agreement of every turn with what the contestant promises; quantisation error of the scheme if asked for.

        The first turn is taken twice, to see whether it is reproducible, and once more when another input is in the
        same place, which is what an output remembered for that place does not survive.
        """
        rotation = _rotation(call)
        first = rotation.turns[0]
        output = first.op(first.x)
        expected = self._answer(rotation, first)
        if wrong := misshapen(output, expected.shape, first.x):
            return Check({"agreement_sqnr": math.nan}, wrong)
        values = self._distances(expected, output, metrics)
        kept, earlier, warning = output.clone(), deque([output], OUTPUTS_HELD), ""
        if wrong := self._fault(rotation, first, output, ()):
            return Check(values, wrong)
        for turn in rotation.turns:
            output = turn.op(turn.x)
            if wrong := self._fault(rotation, turn, output, earlier):
                return Check(values, wrong)
            warning = warning or (irreproducible(kept, output) if turn is first else "")
            earlier.append(output)
        rotation.refresh()
        return Check(values, self._fault(rotation, first, first.op(first.x), ()), warning)

    def refresh(self, call: Callable[[], object]) -> None:
        """Other values in the same buffers."""
        _rotation(call).refresh()

    def inspect(self, call: Callable[[], object], output: object) -> str:
        """Some rows of the output are copied before anything else, then judged; then all of it is overwritten."""
        rotation = _rotation(call)
        turn = rotation.last()
        expected = self._answer(rotation, turn)
        if wrong := misshapen(output, expected.shape, turn.x):
            return wrong
        assert isinstance(output, Tensor)
        rows = rotation.some_rows(output.shape[-1])
        taken = output[rows] / turn.gain
        if wrong := shared(output, (), turn.x):
            return wrong
        if rotation.input_changed(turn):
            return INPUT_CHANGED
        if wrong := disagreement(self.problem, self.implementation, turn.x[rows], expected[rows], taken):
            return f"{wrong}; in a timed call"
        raw_bytes(output).fill_(POISON)
        return "wrong answer: changed its weights in a timed call" if rotation.weights_changed() else ""

    def notes(self, call: Callable[[], object]) -> tuple[str, ...]:
        """The op's own, if it has one, and that its ring of weights is too small."""
        note = getattr(_rotation(call).op, "note", "")  # of somebody's module it may as well be a tensor or a layer
        uncounted = self._uncounted(_rotation(call).op)
        unknown = uncounted and f"how many bytes it stores is unknown: {uncounted}"
        words = (note if isinstance(note, str) else "", unknown, self._small_ring)
        return tuple(f"{self.implementation.name}: {one}" for one in words if one)

    def stored(self, call: Callable[[], object]) -> Mapping[str, float]:
        """All bytes of the op's tensors, counted once even if shared, the codes among them, and bits per weight.

        Nothing where the weights must be elsewhere, because what is counted cannot hold them: unknown is not small.
        """
        op, count = _rotation(call).op, self.problem.weight.numel()
        if self._uncounted(op):
            return {}
        size = stored_bytes(op)
        return {"weight_bytes": size, "code_bytes": code_bytes(op, count), "bits_per_weight": 8 * size / count}

    def declared(self, call: Callable[[], object]) -> float | None:
        """The bytes of buffers and parameters; a function gives no account of itself."""
        op = _rotation(call).op
        return None if isinstance(op, Function) else stored_bytes(op)

    def _uncounted(self, op: nn.Module) -> str:
        """Why the bytes of an op's weights cannot be known, and the cure; nothing where they can."""
        size, count = stored_bytes(op), self.problem.weight.numel()
        if 8 * size >= count:
            return ""
        cure = "keep its tensors as buffers or parameters of an nn.Module"
        if isinstance(op, Function):
            return f"a function has no buffers to be counted; return an nn.Module instead, and {cure}"
        return f"the {size} bytes of its buffers and parameters cannot hold {count} weights; {cure}"

    def _op(self, gain: float = 1.0) -> nn.Module:
        return self.implementation.build(self.problem.layer(gain))

    def _called_op(self, gain: float) -> nn.Module:
        op = self._op(gain)
        op(self._buffers[0])
        return op

    def _fault(self, rotation: Rotation, turn: Turn, output: object, earlier: Iterable[Tensor]) -> str:
        """Why the output of a turn is wrong, or nothing; `earlier` outputs are still held."""
        expected = self._answer(rotation, turn)
        if wrong := misshapen(output, expected.shape, turn.x):
            return wrong
        assert isinstance(output, Tensor)
        if wrong := shared(output, earlier, turn.x):
            return wrong
        if rotation.input_changed(turn):
            return INPUT_CHANGED
        return disagreement(self.problem, self.implementation, turn.x, expected, output / turn.gain)

    def _answer(self, rotation: Rotation, turn: Turn) -> Tensor:
        return self.problem.answers(self.implementation)[rotation.held(turn)]

    def _distances(self, expected: Tensor, output: Tensor, metrics: frozenset[str]) -> Measured:
        values = distance("agreement", expected, output, metrics | {"agreement_sqnr"})
        return {**values, **self._error(metrics)} if any(metric.startswith("error") for metric in metrics) else values

    def _error(self, metrics: frozenset[str]) -> Measured:
        """Of the function it promises: the same for all that follow the contract; what quantises nothing has none."""
        if self.implementation.baseline:
            return {}
        twin, promised = self.problem.twin, self.problem.answers(self.implementation)[0]
        values = distance("error", twin, promised, metrics)
        return {**values, "error_histogram": histogram(twin, promised)} if "error_histogram" in metrics else values


def _rotation(call: Callable[[], object]) -> Rotation:
    assert isinstance(call, Rotation), "calls of this workload are made by its `build`"
    return call


def stored_bytes(op: nn.Module) -> int:
    """Bytes of every storage behind the parameters and buffers of `op`, padding included, shared ones once.

    And those that it says are hidden.
    """
    return storage_bytes(weights(op)) + hidden_bytes(op)


def code_bytes(op: nn.Module, count: int) -> int:
    """Those of `stored_bytes` that hold `count` weights themselves: of storages with a bit at least for each of them.

    What is smaller are scales and tables.
    """
    return sum(size for size in (*_storages(weights(op)), hidden_bytes(op)) if 8 * size >= count)


def storage_bytes(tensors: Sequence[Tensor]) -> int:
    """Bytes of every storage behind `tensors`, shared ones once."""
    return sum(_storages(tensors))


def _storages(tensors: Sequence[Tensor]) -> Iterable[int]:
    return {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors if t.numel()}.values()
