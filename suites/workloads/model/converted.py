"""A model with quantised layers beside the one that it comes from: both share every parameter that is not quantised."""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bitlinear import PackedLinear, convert, replace_linear, survey
from bitlinear.interface import Implementation
from bitlinear.scheme import FULL_PRECISION, Scheme
from suites.quality import ALL
from suites.workloads.model.measures import sqnr

CONTRACT = "reference"
"""The implementation that is the contract's own layer."""


class LayersError(ValueError):
    """A choice of layers that chooses none; one sentence with what there is."""


def converted(model: nn.Module, implementation: Implementation, scheme: Scheme, layers: str) -> nn.Module:
    """A copy of `model` whose chosen layers are the implementation's. Raises LayersError where it chooses none."""
    twin = sharing_copy(model)
    skip = _skip(twin, chosen(model, layers))
    if implementation.name == CONTRACT:
        return replace_linear(twin, scheme, skip)
    return convert(twin, implementation, scheme, skip)


def sharing_copy(model: nn.Module) -> nn.Module:
    """A copy of all modules that holds the very parameters and buffers of `model`."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, memo)


def linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """By name every linear layer that can be converted, but the output head."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    modules = {name: model.get_submodule(name) for name in survey(model).linear}
    return {name: one for name, one in modules.items() if one is not head and isinstance(one, nn.Linear)}


def chosen(model: nn.Module, layers: str) -> set[str]:
    """Names of the layers that `layers` chooses: `all`, or patterns joined by "+". Raises LayersError for none."""
    names = linear_layers(model)
    patterns = ["*"] if layers == ALL else layers.split("+")
    found = {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}
    if not found:
        kinds = sorted({name.rpartition(".")[2] for name in names})
        raise LayersError(f"layers={layers} is no linear layer of this model; it has *.{', *.'.join(kinds)}")
    return found


def packed_bytes(model: nn.Module, schemes: Mapping[str, Scheme]) -> int:
    """Of all linear layers but the head: those named in `schemes` as `packed` stores them, the others in 16 bits."""
    return sum(_packed(one, schemes.get(name)) for name, one in linear_layers(model).items())


def _packed(layer: nn.Linear, scheme: Scheme | None) -> int:
    n, k = layer.weight.shape
    if scheme is None or scheme.weight_bits == FULL_PRECISION:
        return n * k * FULL_PRECISION // 8
    packed = PackedLinear(k, n, scheme, device="meta", dtype=torch.float32)
    return sum(buffer.nbytes for buffer in packed.buffers())


def _skip(model: nn.Module, names: set[str]) -> Callable[[str, nn.Module], bool]:
    """Of a layer that is used in several places one name is enough."""
    taken = {id(model.get_submodule(name)) for name in names}
    return lambda _, module: id(module) not in taken


@contextmanager
def measuring_sqnr(original: nn.Module, model: nn.Module, names: set[str]) -> Iterator[dict[str, float]]:
    """Fills a dictionary, by layer, with the SQNR in dB of its output on the input that it gets, at its last call."""
    found: dict[str, float] = {}

    def hook(name: str, linear: nn.Linear) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def measure(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            found[name] = sqnr(F.linear(inputs[0], linear.weight, linear.bias), output)

        return measure

    layers = {name: layer for name, layer in linear_layers(original).items() if name in names}
    handles = [model.get_submodule(name).register_forward_hook(hook(name, layer)) for name, layer in layers.items()]
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
