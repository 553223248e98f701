"""What can be said of an output before its values are looked at."""

from collections.abc import Iterable

import torch
from torch import Tensor


def misshapen(output: object, shape: torch.Size, x: Tensor) -> str:
    """Why the output for `x` cannot even be compared with what was expected, or nothing."""
    if type(output) is not Tensor:  # a subclass may put off the work until somebody looks
        return f"returned {kind_of(output)}, not a plain tensor"
    if output.shape != shape:
        return f"shape {tuple(output.shape)}, expected {tuple(shape)}"
    if output.dtype != x.dtype:
        return f"dtype {output.dtype}, expected the input's {x.dtype}"
    if output.device != x.device:
        return f"on {output.device}, expected the input's {x.device}"
    return ""


def shared(output: Tensor, others: Iterable[Tensor], x: Tensor) -> str:
    """Why the memory of the output is not its own, or nothing. `others` are outputs that are still held."""
    place = output.untyped_storage().data_ptr()
    if not output.numel():
        return ""
    if place == x.untyped_storage().data_ptr():
        return "returned the memory of its input"
    if any(place == other.untyped_storage().data_ptr() for other in others):
        return "returned the memory of an earlier output; every output needs memory of its own"
    return ""


def kind_of(value: object) -> str:
    """`an int`, `a LazyTensor`: what a value is, as words say it."""
    name = type(value).__name__
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"
