"""Layers over nested tensors, which torch's own transformer makes of a padded batch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def over_nested(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """`forward` of every sequence `(T, K)` in the nested tensor `x`: a nested tensor of the same layout."""
    if x.layout == torch.jagged:
        jagged: Any = x
        nested: Tensor = torch.nested.nested_tensor_from_jagged(forward(jagged.values()), jagged.offsets())
        return nested
    return torch.nested.as_nested_tensor([forward(part) for part in x.unbind()], layout=x.layout)
