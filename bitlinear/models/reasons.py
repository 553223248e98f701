"""Why a layer of a model is left as it is, in words that say what to do about it."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import cast

from torch import nn

from bitlinear.engines.frozen import FrozenLinear
from bitlinear.layer import BitLinear, why_not_taken_over
from bitlinear.models.candidates import Candidate
from bitlinear.models.conv1d import is_conv1d
from bitlinear.models.experts import Experts, inputs_last
from bitlinear.models.readers import read_children

_NO_PRODUCTS = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.modules.conv._ConvNd, FrozenLinear)
"""Modules whose weight is multiplied by nothing, or is no matter of a linear layer."""


@dataclass
class Reasons:
    """What has to be known of a whole model, and was asked for, to say why a layer is left."""

    readers: dict[str, str]
    """Names of layers whose weight is read by a method above them, and by which."""
    owners: dict[int, list[tuple[str, nn.Module]]]
    """By the identity of a parameter: who has it."""
    tied: bool
    experts: Experts

    @classmethod
    def of(cls, named: list[tuple[str, nn.Module]], *, only_called: bool, tied: bool, experts: Experts) -> "Reasons":
        """Of a model, given as all its modules under all their names."""
        owners: dict[int, list[tuple[str, nn.Module]]] = {}
        for name, module in named:
            for parameter in module.parameters(recurse=False):
                owners.setdefault(id(parameter), []).append((name, module))
        return cls(_read_by_parents(named) if only_called else {}, owners, tied, experts)

    def why_left(self, one: Candidate) -> str:
        """Nothing if it can be converted."""
        if isinstance(one.module, BitLinear):
            return ""
        if one.is_expert:
            return self._why_no_expert(one.module)
        linear = cast(nn.Linear, one.module)  # or a Conv1D, which has the same attributes
        if reason := why_not_taken_over(linear):
            return reason
        if reader := self.readers.get(one.name):
            return f"{reader} reads their weight instead of calling them (only_called=False converts them)"
        return self._why_tied(linear)

    def _why_tied(self, linear: nn.Module) -> str:
        weight = linear._parameters["weight"]
        others = [(name, other) for name, other in self.owners[id(weight)] if other is not linear]
        if is_conv1d(linear) and others:
            return f"their weight is that of {others[0][0]} too, and a transposed copy would not be"
        others = [(name, other) for name, other in others if not isinstance(other, nn.Linear | BitLinear)]
        if others and not self.tied:
            return (
                f"their weight is that of {others[0][0]}, which keeps it in floats, so codes would take memory besides "
                f"(tied=True converts them)"
            )
        return ""

    def _why_no_expert(self, module: nn.Module) -> str:
        if not self.experts:
            return "experts in one parameter are no layers (experts=True quantises their weights in place)"
        if inputs_last(module, self.experts) is None:
            return (
                f"{type(module).__name__} does not say which way round its weights are: give experts='out-in' for "
                f"(E, out, in), or 'in-out' for (E, in, out)"
            )
        return ""


def why_no_layer(module: nn.Module) -> str:
    """Why a module that holds a weight is no layer that can be converted; nothing if it holds none."""
    kind = type(module).__name__
    if isinstance(module, nn.Linear):
        if hasattr(module, "parametrizations"):
            return "the weight is computed by a parametrisation: remove it first"
        if isinstance(module, nn.LazyLinear):
            return f"{kind} has no weight before its first input: call the model first"
        return f"{kind} is a subclass of nn.Linear, which its parent may use in a way of its own"
    if isinstance(module, _NO_PRODUCTS):
        return ""
    own = [name for name, p in module.named_parameters(recurse=False) if p.dim() in (2, 3) and _is_weight(name)]
    return f"{kind} is no nn.Linear and holds {' and '.join(own)} itself" if own else ""


def _is_weight(name: str) -> bool:
    return "weight" in name or "proj" in name


def _read_by_parents(named: list[tuple[str, nn.Module]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for above, parent in named:
        for path, method in read_children(parent).items():
            pattern = f"{above}.{path}" if above else path
            if "*" in path:
                found |= {name: method for name, _ in named if fnmatchcase(name, pattern)}
            else:
                found[pattern] = method
    return found
