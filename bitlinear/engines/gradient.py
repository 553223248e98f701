"""The straight-through gradient of layers whose weight is fixed: what an adapter or an embedding before them trains on.

The gradient of a loss `L` with respect to the normalised input `a` is `dL/dy @ W`, with the dequantised weight `W`, as
if the activations had not been quantised (Bengio et al., arXiv 1308.3432). The weight is dequantised when the gradient
is wanted and not kept for it, so that training through a packed model takes little more memory than its codes.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from bitlinear.autocast import full_precision

Weight = Callable[[], Tensor]


def is_differentiated(x: Tensor) -> bool:
    """Whether anybody wants a gradient with respect to `x`, in reverse or forward mode or by torch.func."""
    if x.requires_grad and torch.is_grad_enabled():
        return True
    if torch.compiler.is_compiling():
        return False
    return forward_ad._current_level >= 0 or torch._C._functorch.maybe_current_level() is not None


def straight_through(a: Tensor, y: Tensor, weight: Weight) -> Tensor:
    """`y` `(..., N)` as it is, with the gradient of `a @ W.T`: `a` `(..., K)`, and `weight` gives `W` `(N, K)`."""
    # Dynamo refuses a function that has a forward mode, though it never asks for it.
    product = _Product if torch.compiler.is_compiling() else _ProductOfBothModes
    result: Tensor = product.apply(a, y, weight)  # type: ignore[no-untyped-call]  # torch declares no types here
    return result


class _Product(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(_a: Tensor, y: Tensor, _weight: Weight) -> Tensor:
        return y.clone()  # torch makes a view of what comes back as it is, which nobody could add to in place

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Weight], output: Tensor) -> None:
        a, _, ctx.weight = inputs
        ctx.dtypes = a.dtype, output.dtype

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        with full_precision(gradient.device.type, always=torch.compiler.is_compiling()):
            w = ctx.weight()
            return (gradient.to(w.dtype) @ w).to(ctx.dtypes[0]), None, None


class _ProductOfBothModes(_Product):
    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: object) -> Tensor:
        with full_precision(tangent.device.type):
            w = ctx.weight()
            return F.linear(tangent.to(w.dtype), w).to(ctx.dtypes[1])
