"""transformers' Conv1D, the linear layer of GPT-2: it holds the transpose, `(in, out)`. Known by its looks."""

from typing import cast

import torch
from torch import nn


def is_conv1d(module: nn.Module) -> bool:
    """Whether `module` is called Conv1D, says its output features as `nf`, and has a weight `(in, nf)`."""
    weight = module._parameters.get("weight")
    return (
        type(module).__name__ == "Conv1D"
        and weight is not None
        and weight.dim() == 2
        and getattr(module, "nf", None) == weight.shape[1]
        and hasattr(module, "bias")
    )


def as_linear(module: nn.Module) -> nn.Linear:
    """`module` itself if it is an `nn.Linear`; of a Conv1D one that computes the same.

    The bias of a Conv1D stays the same parameter. The weight is a transposed copy, a parameter of its own, so an
    optimiser that knows the old one has to be made anew.
    """
    if isinstance(module, nn.Linear):
        return module
    old = cast(nn.Linear, module)  # it has a weight and a bias as nn.Linear has, and they are parameters
    in_features, out_features = old.weight.shape
    linear = nn.Linear(in_features, out_features, device="meta")
    weight = old.weight.detach().T.clone(memory_format=torch.contiguous_format)
    linear.weight = nn.Parameter(weight, requires_grad=old.weight.requires_grad)
    linear.bias = old.bias
    return linear.train(old.training)
