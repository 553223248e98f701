"""A call that goes through inputs, and where asked through layers, in turn; and what it must leave as it found it."""

import itertools
import math
import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

CHUNK = 1 << 20
"""Bytes of the weights that are looked at after a visit, for want of time for all. It is all of a small layer."""
MOST_CHUNKS = 8
"""Parts of them, which may be as small as a scale."""
LOOKED_AT = 1 << 16
"""Elements of an input or output that are looked at after a visit."""
REFRESHED = 4
"""Inputs that are exchanged before a visit; more would drive from the cache what the visit is about."""


class Layer(NamedTuple):
    """One op, and the power of two by which its weight, and so its output, is larger than the problem's."""

    op: nn.Module
    gain: float = 1.0


class Turn(NamedTuple):
    """One call: which layer on which buffer."""

    number: int
    op: nn.Module
    x: Tensor
    gain: float


class Rotation:
    """A call of a contestant without arguments: each is the next turn, on another buffer and, of a ring, another layer.

    The buffers hold the values of the inputs, and not always of the same ones.
    """

    def __init__(self, op: nn.Module, inputs: Sequence[Tensor], buffers: Sequence[Tensor]) -> None:
        self.op = op
        self._inputs = inputs
        self._places: list[int] = []
        self._chunks: list[Tensor] = []
        self._sums: list[int] = []
        self._random = random.Random()
        self.spread((Layer(op),), buffers)

    def __call__(self) -> object:
        """The output of the next turn."""
        _, op, x, _ = next(self._cycle)
        return op(x)

    def spread(self, layers: Sequence[Layer], buffers: Sequence[Tensor]) -> None:
        """Go through all `layers` and `buffers`, which get the values of the inputs."""
        self.holds = [number % len(self._inputs) for number in range(len(buffers))]
        for buffer, held in zip(buffers, self.holds, strict=True):
            buffer.copy_(self._inputs[held])
        times = math.ceil(len(buffers) / len(layers))  # whole ones, or the last layer might be the first again
        self.turns = tuple(
            Turn(number, layer.op, buffers[number % len(buffers)], layer.gain)
            for number, layer in enumerate([*layers] * times)
        )
        self._cycle = itertools.cycle(self.turns)
        self._ops = [layer.op for layer in layers]

    def held(self, turn: Turn) -> int:
        """The number of the input whose values a turn's buffer was given."""
        return self.holds[turn.number % len(self.holds)]

    def skip_after_last(self) -> Turn:
        """Skip a turn, and return the one before it: that of the last call. No call pays for counting itself so."""
        return self.turns[next(self._cycle).number - 1]

    def refresh(self) -> None:
        """Give buffers the values of another input: what was remembered for a buffer is then wrong."""
        for number in self._random.sample(range(len(self.holds)), min(REFRESHED, len(self.holds))):
            self.holds[number] = (self.holds[number] + self._random.randrange(1, len(self._inputs))) % len(self._inputs)
            self.turns[number].x.copy_(self._inputs[self.holds[number]])

    def some_rows(self, width: int) -> Tensor:
        """Numbers of rows, at random, so few that a tensor of `width` columns has `LOOKED_AT` elements in them."""
        rows, few = len(self._inputs[0]), max(1, LOOKED_AT // max(1, width))
        chosen = self._random.sample(range(rows), few) if few < rows else range(rows)
        return torch.tensor(chosen, dtype=torch.long, device=self._inputs[0].device)

    def input_changed(self, turn: Turn) -> bool:
        """Whether a turn's buffer no longer holds, in some rows, what it was given."""
        given = self._inputs[self.held(turn)]
        rows = self.some_rows(given.shape[-1])
        return not torch.equal(turn.x[rows], given[rows])

    def remember_weights(self) -> None:
        """From now on the weights are to stay where and as they are."""
        self._places = self._where()
        self._chunks = [chunk for op in self._ops for chunk in _chunks(op)]
        self._sums = [_sum(chunk) for chunk in self._chunks]

    def weights_changed(self) -> bool:
        """Whether weights have moved since, or some of them, chosen at random, hold other values."""
        if self._where() != self._places:
            return True
        looked = 0
        for number in self._random.sample(range(len(self._chunks)), min(MOST_CHUNKS, len(self._chunks))):
            if looked >= CHUNK:
                break
            if _sum(self._chunks[number]) != self._sums[number]:
                return True
            looked += self._chunks[number].nbytes
        return False

    def _where(self) -> list[int]:
        return [tensor.data_ptr() for op in self._ops for tensor in weights(op)]


def weights(op: nn.Module) -> list[Tensor]:
    """The parameters and buffers of `op`."""
    return [*op.parameters(), *op.buffers()]


def hidden_bytes(op: nn.Module) -> int:
    """The bytes of weights that `op` says it keeps where there is no tensor: in memory of a library's own."""
    return int(getattr(op, "hidden_bytes", 0))


def raw_bytes(tensor: Tensor) -> Tensor:
    """All bytes of the memory behind `tensor`, what it does not show included, as uint8; the same memory."""
    return torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())


def _chunks(op: nn.Module) -> list[Tensor]:
    """All bytes behind the weights, as whole numbers: every bit counts, and NaN is a value like any other."""
    raws = [raw_bytes(tensor) for tensor in weights(op) if tensor.numel()]
    wide = [raw.view(torch.int32) if len(raw) % 4 == 0 else raw for raw in raws]
    return [chunk for tensor in wide for chunk in torch.split(tensor, CHUNK // tensor.element_size())]


def _sum(chunk: Tensor) -> int:
    return int(chunk.sum())
