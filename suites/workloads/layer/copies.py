"""Copies of an op with weights of their own: distinct memory for a ring, without another quantisation."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from suites.workloads.layer.rotation import hidden_bytes, weights

Call = Callable[[nn.Module], object]
"""Calls an op on some input."""


def why_no_copy(op: nn.Module, call: Call) -> str:
    """Why copies of `op` would not be layers like it, or nothing.

    A copy is believed only after its tensors have been set to zero: an op that then still answers as before reads the
    weights of the one that it was copied from.
    """
    if hidden_bytes(op):
        return "it keeps weights where there is no tensor"
    if any(getattr(module, "_compiled_call_impl", None) is not None for module in op.modules()):
        return "it is compiled"
    try:
        other = copy.deepcopy(op)
    except Exception as error:  # noqa: BLE001 - whatever it raises, it is built anew instead, and the reason is told
        return f"to copy it raises {type(error).__name__}"
    if _places(op) & _places(other) or len(weights(op)) != len(weights(other)):
        return "its copy shares its weights"
    before = call(op)
    if not _same(before, call(other)):
        return "its copy answers otherwise"
    with torch.no_grad():
        for tensor in weights(other):
            tensor.zero_()
    return "its copy reads its weights" if _same(before, call(other)) else ""


def _places(op: nn.Module) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in weights(op) if tensor.numel()}


def _same(one: object, other: object) -> bool:
    return isinstance(one, Tensor) and isinstance(other, Tensor) and torch.equal(one, other)
