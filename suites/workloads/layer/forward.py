"""One forward pass of a layer, in inference mode."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from bitlinear.interface import Implementation
from harness.model import Case
from harness.model.workload import Check, Measured, Prepared, Workload
from harness.worker.accuracy import distance, histogram
from suites.catalogue.contestants import find
from suites.catalogue.factory import Function
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
        super().__init__(case, seed)
        self.cache = str(case.params.get("cache", "hot"))
        self.problem: Problem = problem(case, seed)
        self.implementation: Implementation = find(case.implementation)
        self.buffers = [x.clone() for x in self.problem.inputs]
        """Where inputs lie when calls read them: the same places for all that is built."""

    def context(self) -> AbstractContextManager[object]:
        """Inference mode: nobody is charged for autograd."""
        return torch.inference_mode()

    def why_not(self) -> str | None:
        """What the contestant says of this scheme, device and dtype."""
        x = self.problem.x
        return self.implementation.why_not(scheme=self.problem.scheme, device=x.device.type, dtype=x.dtype)

    def build(self) -> "PreparedForward":
        """The contestant made from a layer of its own, which is let go of."""
        return PreparedForward(self)

    def probe(self) -> Check:
        """On awkward shapes; a contestant that cannot run at all has nothing to be judged."""
        if self.why_not():
            return Check()
        x = self.problem.x
        return probe(self.implementation, self.problem.scheme, x.dtype, x.device.type, self.seed)

    def op(self, gain: float = 1.0) -> nn.Module:
        """The contestant's, from a layer whose weight is multiplied by `gain`."""
        return self.implementation.build(self.problem.layer(gain))

    def called_op(self, gain: float) -> nn.Module:
        """The same, called once."""
        op = self.op(gain)
        self.call(op)
        return op

    def call(self, op: nn.Module) -> object:
        """On the first buffer."""
        return op(self.buffers[0])

    def grow_buffers(self, count: int) -> None:
        """Have at least `count` of them."""
        self.buffers += [torch.empty_like(self.problem.x) for _ in range(count - len(self.buffers))]


class PreparedForward(Prepared):
    """One build of a contestant, called on the buffers of its workload in turn."""

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.problem = forward.problem
        self.implementation = forward.implementation
        self.rotation = Rotation(forward.op(), self.problem.inputs, forward.buffers)
        self._small_ring = ""

    def __call__(self) -> object:
        """The next turn."""
        return self.rotation()

    @property
    def timed(self) -> Callable[[], object]:
        """The rotation's own, or each call would go through this object first."""
        return self.rotation.__call__

    def settle(self) -> Mapping[str, float]:
        """The layers after the first, called once, if the case asks for cold weights. All weights are to stay so."""
        cache, rotation = self.forward.cache, self.rotation
        if cache == "hot":
            rotation.remember_weights()
            return {}
        gains = GAINS if self.implementation.homogeneous else 1
        if uncounted := self._uncounted:
            raise ValueError(f"cache={cache} needs weights that can be counted: {uncounted}")
        layers, self._small_ring = ring_of(rotation.op, self.forward.called_op, self.forward.call, gains)
        if cache == "cold":
            self.forward.grow_buffers(len(layers))
        rotation.spread(layers, self.forward.buffers)
        rotation.remember_weights()
        return {"ring_bytes": ring_bytes(layers)}

    def check(self, metrics: frozenset[str]) -> Check:
        """Agreement of every turn with what the contestant promises; quantisation error of the scheme if asked for.

        The first turn is taken twice, to see whether it is reproducible, and once more when another input is in the
        same place, which is what an output remembered for that place does not survive.
        """
        first = self.rotation.turns[0]
        output = first.op(first.x)
        expected = self._answer(first)
        if wrong := misshapen(output, expected.shape, first.x):
            return Check(wrong=wrong)
        values = self._distances(expected, output, metrics)
        kept, earlier, warning = output.clone(), deque([output], OUTPUTS_HELD), ""
        if wrong := self._fault(first, output, ()):
            return Check(values, wrong)
        for turn in self.rotation.turns:
            output = turn.op(turn.x)
            if wrong := self._fault(turn, output, earlier):
                return Check(values, wrong)
            warning = warning or (irreproducible(kept, output) if turn is first else "")
            earlier.append(output)
        self.rotation.refresh()
        return Check(values, self._fault(first, first.op(first.x), ()), warning)

    def refresh(self) -> None:
        """Other values in the same buffers."""
        self.rotation.refresh()

    def inspect(self, output: object) -> str:
        """Some rows of the output are copied before anything else, then judged; then all of it is overwritten."""
        rotation = self.rotation
        turn = rotation.skip_after_last()
        expected = self._answer(turn)
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

    def notes(self) -> tuple[str, ...]:
        """The op's own, if it has one, and that its ring of weights is too small."""
        note = getattr(self.rotation.op, "note", "")  # of somebody's module it may as well be a tensor or a layer
        uncounted = self._uncounted
        unknown = uncounted and f"how many bytes it stores is unknown: {uncounted}"
        words = (note if isinstance(note, str) else "", unknown, self._small_ring)
        return tuple(f"{self.implementation.name}: {one}" for one in words if one)

    def stored(self) -> Mapping[str, float]:
        """All bytes of the op's tensors, counted once even if shared, the codes among them, and bits per weight.

        Nothing where the weights must be elsewhere, because what is counted cannot hold them: unknown is not small.
        """
        op, count = self.rotation.op, self.problem.weight.numel()
        if self._uncounted:
            return {}
        size = stored_bytes(op)
        return {"weight_bytes": size, "code_bytes": code_bytes(op, count), "bits_per_weight": 8 * size / count}

    def storages(self) -> Mapping[int, int]:
        """Those behind parameters and buffers."""
        return storages(weights(self.rotation.op))

    def declared(self) -> float | None:
        """The bytes of buffers and parameters; a function gives no account of itself."""
        op = self.rotation.op
        return None if isinstance(op, Function) else stored_bytes(op)

    @property
    def _uncounted(self) -> str:
        """Why the bytes of the op's weights cannot be known, and the cure; nothing where they can."""
        op, count = self.rotation.op, self.problem.weight.numel()
        size = stored_bytes(op)
        if 8 * size >= count:
            return ""
        cure = "keep its tensors as buffers or parameters of an nn.Module"
        if isinstance(op, Function):
            return f"a function has no buffers to be counted; return an nn.Module instead, and {cure}"
        return f"the {size} bytes of its buffers and parameters cannot hold {count} weights; {cure}"

    def _fault(self, turn: Turn, output: object, earlier: Iterable[Tensor]) -> str:
        """Why the output of a turn is wrong, or nothing; `earlier` outputs are still held."""
        expected = self._answer(turn)
        if wrong := misshapen(output, expected.shape, turn.x):
            return wrong
        assert isinstance(output, Tensor)
        if wrong := shared(output, earlier, turn.x):
            return wrong
        if self.rotation.input_changed(turn):
            return INPUT_CHANGED
        return disagreement(self.problem, self.implementation, turn.x, expected, output / turn.gain)

    def _answer(self, turn: Turn) -> Tensor:
        return self.problem.answers(self.implementation)[self.rotation.held(turn)]

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


def stored_bytes(op: nn.Module) -> int:
    """Bytes of every storage behind the parameters and buffers of `op`, padding included, shared ones once.

    And those that it says are hidden.
    """
    return storage_bytes(weights(op)) + hidden_bytes(op)


def code_bytes(op: nn.Module, count: int) -> int:
    """Those of `stored_bytes` that hold `count` weights themselves: of storages with a bit at least for each of them.

    What is smaller are scales and tables.
    """
    return sum(size for size in (*storages(weights(op)).values(), hidden_bytes(op)) if 8 * size >= count)


def storage_bytes(tensors: Sequence[Tensor]) -> int:
    """Bytes of every storage behind `tensors`, shared ones once."""
    return sum(storages(tensors).values())


def storages(tensors: Sequence[Tensor]) -> dict[int, int]:
    """Bytes of every storage behind `tensors`, by address."""
    return {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors if t.numel()}
