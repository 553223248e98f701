"""The linear products of a file of weights, from the names and shapes of its tensors."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from harness.model.whole_model import WholeModel
from suites.models.rows import EMBEDDING, Rows

TABLE = re.compile(r"embed(?!_out)|embd|\bw[tp]e\b|relative_attention_bias")
HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output|cls|head|classifier|score)\b")
EXPERTS = re.compile(r"exp(?:ert)?s")
NUMBERED_EXPERT = re.compile(r"(?:^|\.)experts\.(\d+)\.")
MATRIX = re.compile(r"weight$|proj")
ALL_COUNT = "The file does not say how many experts a token uses: all count as used. A config.json says it."
NO_HEAD = "The file holds no head: if it is a language model, the head is tied to the embedding and not counted here."


class FileTensor(msgspec.Struct, frozen=True):
    """One tensor of a file: its shape as torch has it, output before input features."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    stored_bytes: int
    is_float: bool = True
    """Whether its values are the weights, or blocks of them that the format defines; else codes of some library."""


def model_of(
    name: str, tensors: Sequence[FileTensor], experts_used: int = 0, tied: FileTensor | None = None
) -> WholeModel:
    """Products and all else. `tied` is the embedding that is the head as well, where the format says that it is."""
    rows = Rows()
    by_name = {tensor.name: tensor for tensor in tensors}
    numbers = [int(found[1]) for tensor in tensors if (found := NUMBERED_EXPERT.search(tensor.name))]
    for tensor in tensors:
        experts = tensor.shape[0] if len(tensor.shape) == 3 else 1 + max(numbers, default=0)
        _add(rows, tensor, by_name, experts, experts_used)
    if tied is not None:
        rows.add_product(
            f"{_short(tied)} as the head", tied.dtype, tied.shape, tied.dtype, tied.stored_bytes, tied=True
        )
    elif not any(HEAD.search(tensor.name) for tensor in tensors):
        rows.notes[NO_HEAD] = None
    return rows.model(name)


def _add(rows: Rows, tensor: FileTensor, by_name: Mapping[str, FileTensor], experts: int, experts_used: int) -> None:
    numbers, size = _product_of(tensor.shape), tensor.stored_bytes
    if len(tensor.shape) < 2 or tensor.name.endswith("bias"):
        rows.add_other("", "norms and biases", "vectors", numbers, size)
    elif len(tensor.shape) == 2 and tensor.is_float and TABLE.search(tensor.name):
        rows.add_other(_short(tensor), tensor.dtype, EMBEDDING, numbers, size)
    elif why := _why_none(tensor):
        rows.add_other(tensor.name, tensor.dtype, why, numbers, size)
    else:
        of_experts = len(tensor.shape) == 3 or NUMBERED_EXPERT.search(tensor.name)
        if of_experts and not experts_used:
            rows.notes[ALL_COUNT] = None
        used = min(1.0, experts_used / experts) if of_experts and experts_used else 1.0
        rows.add_product(_short(tensor), tensor.dtype, _upright(tensor, by_name), tensor.dtype, size, used=used)


def _why_none(tensor: FileTensor) -> str:
    if not tensor.is_float:
        return "whole numbers, whose meaning only the library knows that wrote them"
    if not _product_of(tensor.shape):
        return "empty"
    if not MATRIX.search(tensor.name):
        return "not called a weight"
    if len(tensor.shape) == 2 or (len(tensor.shape) == 3 and EXPERTS.search(tensor.name)):
        return ""
    return f"{len(tensor.shape)} dimensions: no linear layer"


def _upright(tensor: FileTensor, by_name: Mapping[str, FileTensor]) -> tuple[int, ...]:
    """Output before input features: a bias as long as the second side tells that a Conv1D holds the transpose."""
    bias = by_name.get(f"{_short(tensor)}.bias")
    *experts, first, second = tensor.shape
    is_turned = bias is not None and bias.shape == (second,) and first != second
    return (*experts, second, first) if is_turned else tensor.shape


def _short(tensor: FileTensor) -> str:
    return tensor.name.removesuffix(".weight")


def _product_of(shape: Sequence[int]) -> int:
    product = 1
    for side in shape:
        product *= side
    return product
