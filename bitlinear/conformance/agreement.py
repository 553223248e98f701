"""Properties of the values: whatever the layer and the input, the op returns what its implementation promises.

A property asks one example after the other and yields why it fails, or nothing where it holds.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from bitlinear.conformance.subject import DTYPES, Example, Subject, in_words

SIZES = ((1, 1), (1, 3), (3, 1), (2, 2), (5, 7), (31, 17), (33, 1), (97, 5), (129, 33), (1, 257), (257, 64))
"""Input features of a group, output features."""
SHAPES = ((1,), (), (0,), (5,), (2, 3), (2, 0), (1, 2, 3))


def schemes(subject: Subject) -> Iterator[str]:
    """Every scheme, every layer."""
    return _agrees(subject, "ordinary")


def zeros(subject: Subject) -> Iterator[str]:
    """The last token is silent: its scale must not become infinite, nor anybody's output NaN."""
    return _agrees(subject, "zeros")


def outliers(subject: Subject) -> Iterator[str]:
    """The last token has one channel fifty times as loud as the others."""
    return _agrees(subject, "outlier")


def nonfinite(subject: Subject) -> Iterator[str]:
    """The last token has a NaN, then an infinity: its output says so, and no other's does."""
    return itertools.chain(_agrees(subject, "nan"), _agrees(subject, "infinite"))


def dtypes(subject: Subject) -> Iterator[str]:
    """Input of every other dtype to a float32 layer, and to a layer of the same dtype where that makes a difference."""
    seen = set()

    def unseen() -> Iterator[Example]:
        for dtype, weights, example in itertools.product(DTYPES, DTYPES, list(subject.examples())):
            other = replace(example, dtype=dtype, weights=weights)
            if dtype != subject.dtype and _is_telling(other) and (other.scheme, dtype, weights) not in seen:
                yield other

    for example, layer, op in subject.ops(unseen()):
        seen.add((example.scheme, example.dtype, example.weights))
        x = example.input(subject.device)
        yield subject.fault(layer, x, op(x))


def _is_telling(example: Example) -> bool:
    """Whether the dtype of the weights matters: groups and norm are the activations' business."""
    plain = example.scheme.groups == 1 and not example.scheme.norm
    return example.weights == torch.float32 or (plain and example.weights == example.dtype)


def shapes(subject: Subject) -> Iterator[str]:
    """Any number of leading dimensions, of any length."""
    for example, layer, op in subject.samples():
        for shape in SHAPES:
            subject.example = replace(example, shape=shape)
            if example.out_features > 1:  # the norm of a single value is no yardstick for the sum of its roundings
                x = subject.example.input(subject.device)
                yield subject.fault(layer, x, op(x))


def strides(subject: Subject) -> Iterator[str]:
    """Every other feature of a wider input, every other token, a transposed input, one token repeated."""
    layouts: tuple[tuple[str, Callable[[Tensor], Tensor]], ...] = (
        ("every other feature of a wider input", lambda x: x.repeat_interleave(2, -1)[..., ::2]),
        ("every other token of a longer input", lambda x: x.repeat_interleave(2, 0)[::2]),
        ("a transposed input", lambda x: x.T.contiguous().T),
        ("one token expanded to many", lambda x: x[:1].expand_as(x)),
    )
    for example, layer, op in subject.samples():
        given = example.input(subject.device)
        for words, lay in layouts:
            x = lay(given)
            wrong = subject.fault(layer, x, op(x))
            yield wrong and f"{wrong}; for {words}"


def sizes(subject: Subject) -> Iterator[str]:
    """Unlike the other properties it takes a refusal for a fault, unless the scheme is refused at any size."""
    for example, _, _ in subject.ops(subject.even()):
        for size, n in SIZES:
            small = replace(example, in_features=size * example.scheme.groups, out_features=n)
            subject.example = small
            layer, x = small.layer(subject.device), small.input(subject.device)
            try:
                op = subject.implementation.build(layer)
            except Exception as error:  # noqa: BLE001 - whatever it raises, it refuses this size, and that is reported
                yield f"refuses to build: {in_words(error)}"
                continue
            yield subject.fault(layer, x, op(x))


def _agrees(subject: Subject, kind: str) -> Iterator[str]:
    for example, layer, op in subject.ops(replace(example, kind=kind) for example in subject.examples()):
        x = example.input(subject.device)
        yield subject.fault(layer, x, op(x))
