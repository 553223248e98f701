"""What in a model may be converted: linear layers, and experts in parameters of three dimensions."""

from typing import NamedTuple

from torch import nn

from bitlinear.layer import BitLinear
from bitlinear.models.conv1d import is_conv1d
from bitlinear.models.experts import Experts, expert_parameters, inputs_last


class Candidate(NamedTuple):
    """A layer under one of its names, or a parameter of experts."""

    name: str
    """Qualified."""
    module: nn.Module
    """The layer, or what holds the parameter."""
    identity: int
    """Of the layer or the parameter: what is used in two places has two names and one identity."""
    in_features: int | None
    """None for experts that do not say which way round their weights are."""
    is_expert: bool = False


def candidates(named: list[tuple[str, nn.Module]], experts: Experts) -> list[Candidate]:
    """In the order of the modules, under all names that they have."""
    found = []
    for name, module in named:
        if is_conv1d(module):
            found.append(Candidate(name, module, id(module), module._parameters["weight"].shape[0]))  # type: ignore[union-attr]  # it has one
        elif type(module) is nn.Linear or isinstance(module, BitLinear):
            found.append(Candidate(name, module, id(module), module.in_features))
        for own, parameter in expert_parameters(module):
            is_last = inputs_last(module, experts)
            size = None if is_last is None else int(parameter.shape[-1 if is_last else -2])
            found.append(Candidate(f"{name}.{own}".lstrip("."), module, id(parameter), size, is_expert=True))
    return found
