"""A model with quantised layers beside the one that it comes from: both share every parameter that is not quantised."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from bitlinear import Plan, conversion_of, convert, survey
from bitlinear.interface import Implementation
from bitlinear.scheme import FULL_PRECISION, Scheme
from suites.catalogue.contestants import find
from suites.whole.quality import ALL, CONTRACT
from suites.workloads.quality.contract import Contract
from suites.workloads.quality.measures import sqnr


class LayersError(ValueError):
    """A choice of layers that chooses none; one sentence with what there is."""


def implementation_of(name: str) -> Implementation:
    """The contestant of a name."""
    return Contract() if name == CONTRACT else find(name)


def schemes_of(plan: Plan) -> list[Scheme]:
    """Every scheme of a plan, once."""
    return list(dict.fromkeys(one for one in (plan.default, *plan.layers.values()) if one is not None))


def converted(model: nn.Module, implementation: Implementation, plan: Plan, layers: str) -> nn.Module:
    """A copy of `model` whose chosen layers are the implementation's. Raises LayersError where it chooses none."""
    names = chosen(model, layers)
    return convert(sharing_copy(model), implementation, plan, only=lambda name, _: name in names)


def sharing_copy(model: nn.Module) -> nn.Module:
    """A copy of all modules that holds the very parameters and buffers of `model`."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, memo)


def linear_layers(model: nn.Module) -> list[str]:
    """Names of every linear layer that can be converted, but the output head."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    return [name for name in survey(model).linear if model.get_submodule(name) is not head]


def chosen(model: nn.Module, layers: str) -> set[str]:
    """Names of the layers that `layers` chooses: `all`, or patterns joined by "+". Raises LayersError for none."""
    names = linear_layers(model)
    patterns = ["*"] if layers == ALL else layers.split("+")
    found = {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}
    if not found:
        kinds = sorted({name.rpartition(".")[2] for name in names})
        raise LayersError(f"layers={layers} is no linear layer of this model; it has *.{', *.'.join(kinds)}")
    return found


def packed_bytes(original: nn.Module, replaced: Mapping[str, int]) -> int:
    """Of all linear layers of `original` but the head: those that were replaced, by name, and the others in 16 bits.

    Of codes and scales, without biases.
    """
    left = [name for name in linear_layers(original) if name not in replaced]
    return sum(replaced.values()) + sum(_weight(original, name).numel() for name in left) * FULL_PRECISION // 8


def replaced_bytes(model: nn.Module) -> dict[str, int]:
    """By name of each layer that a conversion replaced, its bytes as `packed` stores them."""
    return {one.name: one.packed_bytes for one in conversion_of(model).replaced}


def _weight(model: nn.Module, name: str) -> Tensor:
    weight = model.get_submodule(name).weight
    assert isinstance(weight, Tensor)
    return weight


@contextmanager
def measuring_sqnr(original: nn.Module, model: nn.Module, names: Iterable[str]) -> Iterator[dict[str, float]]:
    """Fills a dictionary, by layer, with the SQNR in dB of its output on the input that it gets, at its last call."""
    found: dict[str, float] = {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        layer = original.get_submodule(name)

        def measure(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[name] = sqnr(layer(*inputs), output)

        return measure

    handles = [model.get_submodule(name).register_forward_hook(hook(name)) for name in sorted(names)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def nudged(model: nn.Module, size: float, seed: int) -> Iterator[None]:
    """Multiplies each value of the input embeddings by one plus a Gaussian of this size."""

    def nudge(_: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(output.shape, generator=generator).to(output)
        return output * (1 + size * noise)

    embeddings: nn.Module = model.get_input_embeddings()  # type: ignore[operator]  # transformers' own method
    handle = embeddings.register_forward_hook(nudge)
    try:
        yield
    finally:
        handle.remove()
