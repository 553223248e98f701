"""What a layer of packed weights shows as its `weight`: dtype, shape and device, and no values."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

_PROPERTIES = ("dtype", "device", "shape", "ndim", "layout", "requires_grad", "grad", "is_leaf", "is_cpu", "is_cuda")
_KNOWN = {
    *(getattr(Tensor, name).__get__ for name in (*_PROPERTIES, "is_meta", "is_nested", "is_sparse", "is_quantized")),
    *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.nelement, Tensor.element_size, Tensor.__len__),
    Tensor.is_floating_point,
}


class WeightStandIn(Tensor):
    """A weight `(N, K)` that tells its dtype, shape and device, and refuses everything else with a TypeError.

    Model code asks a layer for the dtype of its weight before calling it, and gets an answer. A parent that multiplies
    by the weight of its child, as `nn.MultiheadAttention` does, would leave out the quantisation: it gets an error.
    Being a tensor with a torch function of its own, it also keeps `nn.TransformerEncoder` off its fused path.
    """

    owner: str

    @staticmethod
    def __new__(cls, owner: str, shape: tuple[int, int], dtype: torch.dtype, device: torch.device) -> "WeightStandIn":
        """`owner` is the name of the layer's class."""
        stand_in = torch.Tensor._make_wrapper_subclass(cls, shape, dtype=dtype, device=device)
        stand_in.owner = owner
        return stand_in

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]  # torch declares its keyword as Any
        """Without values."""
        return f"<weight of a {self.owner}: {tuple(self.shape)} {self.dtype} on {self.device}, kept as codes>"

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Metadata, or a TypeError."""
        if func not in _KNOWN:
            owner = next((a.owner for a in (*args, *(kwargs or {}).values()) if isinstance(a, cls)), "packed layer")
            raise TypeError(
                f"the weight of a {owner} is kept as codes and has no values to use: call the layer itself, or take "
                f"layer.dequantised_weight(); where a parent reads the weight of its child, keep nn.Linear (skip=...)"
            )
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]  # torch's own type is wrong
        """Nothing can be computed: the tensor has no memory."""
        raise TypeError(f"{func}: a stand-in for a weight has no values")
