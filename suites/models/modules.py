"""The linear products of a torch module, from its layers and parameters; no weight is read: the meta device will do."""

import re
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from harness.model.whole_model import WholeModel
from suites.models.rows import EMBEDDING, Rows

EXPERTS_USED = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "experts_per_token",
    "moe_top_k",
    "top_k_experts",
    "top_k",
)
"""How configurations and routers call the number of experts that a token is sent to."""
NUMBERED_EXPERT = re.compile(r"(.*(?:^|\.)experts)\.\d+\.")
OTHER_INPUT = "It has parts for pictures or sound, which are counted as if every token went through them too."
ALL_COUNT = "Nothing says how many experts a token uses: all count as used."


def model_of(module: nn.Module, name: str) -> WholeModel:
    """Its products and all else that it stores, each tensor once.

    Products are `nn.Linear` and its subclasses, transformers' Conv1D (which holds the transpose), experts in one
    parameter of three dimensions, a fused `in_proj_weight`, and `weight` of two dimensions in any other module.
    """
    rows = Rows()
    tables = {id(layer.weight): name for name, layer in module.named_modules() if isinstance(layer, nn.Embedding)}
    if any(hasattr(getattr(module, "config", None), part) for part in ("vision_config", "audio_config")):
        rows.notes[OTHER_INPUT] = None
    seen: set[int] = set()
    for path, layer in module.named_modules():
        for own, tensor in layer.named_parameters(recurse=False):
            tied = id(tensor) in tables and not isinstance(layer, nn.Embedding)
            if id(tensor) not in seen or tied:
                seen.add(id(tensor))
                _add(rows, module, f"{path}.{own}".lstrip("."), layer, own, tensor, tied)
    return rows.model(name)


def _add(rows: Rows, whole: nn.Module, name: str, layer: nn.Module, own: str, tensor: Tensor, tied: bool) -> None:
    kind, size = type(layer).__name__, tensor.numel() * tensor.element_size()
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):
        rows.add_other(name.removesuffix(".weight"), kind, EMBEDDING, tensor.numel(), size)
    elif tensor.dim() < 2 or own.endswith("bias"):
        rows.add_other("", "norms and biases", "vectors", tensor.numel(), size)
    elif (why := _why_none(layer, own, tensor)) or not tensor.numel():
        rows.add_other(name, kind, why or "empty", tensor.numel(), size)
    else:
        shape = (*tensor.shape[:-2], *_out_and_in(layer, tensor))
        used = _share_used(rows, whole, name, tensor)
        dtype = str(tensor.dtype).removeprefix("torch.")
        rows.add_product(name.removesuffix(".weight"), kind, shape, dtype, size, used=used, tied=tied)


def _why_none(layer: nn.Module, own: str, tensor: Tensor) -> str:
    """Why a parameter of two dimensions or more is no linear product; empty if it is one."""
    if isinstance(layer, nn.modules.conv._ConvNd):
        return "a convolution"
    if not tensor.is_floating_point():
        return f"{tensor.dtype} codes, whose meaning only their class knows"
    if isinstance(layer, nn.Linear) or own == "in_proj_weight" or (own == "weight" and tensor.dim() == 2):
        return ""
    if tensor.dim() == 3 and re.search("expert", type(layer).__name__, re.IGNORECASE):
        return ""
    return f"no linear layer is known that holds {own!r}"


def _out_and_in(layer: nn.Module, tensor: Tensor) -> tuple[int, int]:
    """Output and input features; Conv1D and some experts hold the transpose."""
    first, second = tensor.shape[-2:]
    is_turned = type(layer).__name__ == "Conv1D" or getattr(layer, "is_transposed", False)
    return (second, first) if is_turned else (first, second)


def _share_used(rows: Rows, whole: nn.Module, name: str, tensor: Tensor) -> float:
    """The share of experts that a token uses, of a parameter of all or of one; 1 for any other product."""
    if tensor.dim() == 3:
        place, experts = name.rpartition(".")[0], int(tensor.shape[0])
    elif numbered := NUMBERED_EXPERT.match(name):
        place = numbered[1]
        experts = len(list(whole.get_submodule(place).children()))
    else:
        return 1.0
    number = next(_numbers_used(whole, place), None)
    if number is None:
        rows.notes[ALL_COUNT] = None
    return 1.0 if number is None else min(1.0, number / experts)


def _numbers_used(whole: nn.Module, place: str) -> Iterator[int]:
    """How many experts a token is sent to: as the experts, the modules beside them or the configuration say."""
    parent = whole.get_submodule(place.rpartition(".")[0])
    config: Any = getattr(whole, "config", None)
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    for told in (whole.get_submodule(place), parent, *parent.children(), text, config):
        for name in EXPERTS_USED:
            number = getattr(told, name, None)
            if isinstance(number, int) and number > 0:
                yield number
