"""Experts in one parameter of three dimensions, as transformers' mixtures hold them: quantised where they are.

They are no layers: their module multiplies by slices of the parameter. So the weights of each expert are quantised and
dequantised in place, and everything else stays: activations keep their precision, and the model its size.
"""

import re
from collections.abc import Iterator
from typing import Literal, TypeAlias

import torch
from torch import nn

from bitlinear.quantize import INPUT_DTYPES, weight_codes, widen
from bitlinear.scheme import Scheme

Experts: TypeAlias = bool | Literal["out-in", "in-out"]
"""Whether experts are quantised; which way round, `(E, out, in)` or `(E, in, out)`, where their module does not say."""
_ALLOWED = (False, True, "out-in", "in-out")


def expert_parameters(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Parameters `(E, out, in)` or `(E, in, out)` that a module of experts holds itself, by their own names."""
    if hasattr(module, "is_transposed") or re.search("expert", type(module).__name__, re.IGNORECASE):
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() == 3 and parameter.numel() and "bias" not in name and parameter.dtype in INPUT_DTYPES:
                yield name, parameter


def require_known(experts: Experts) -> None:
    """Raises ValueError for anything that says neither whether nor which way round."""
    if experts not in _ALLOWED:
        raise ValueError(
            f"experts={experts!r}; give True, or 'out-in' or 'in-out' for experts that do not say which way round "
            f"their weights are"
        )


def inputs_last(module: nn.Module, experts: Experts) -> bool | None:
    """Whether the last dimension of expert weights is the input features; None: nobody says.

    The module's own `is_transposed`, which transformers 5 sets, comes before the word of the user.
    """
    own = getattr(module, "is_transposed", None)
    if isinstance(own, bool):
        return not own
    return {"out-in": True, "in-out": False}.get(str(experts))


@torch.no_grad()
def quantise_experts(parameter: nn.Parameter, scheme: Scheme, *, inputs_last: bool) -> None:
    """Each expert's matrix becomes codes times scale of the contract, in place. `scheme` has a number of groups.

    The normalisation and the activation bits of `scheme` do not matter here. Tied parameters stay tied.
    """
    for expert in parameter.unbind(0):
        weight = expert if inputs_last else expert.T
        codes, scale = weight_codes(widen(weight), scheme)
        weight.copy_((codes * scale).flatten(1))
