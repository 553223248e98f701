"""`linear-fp16`: `torch.nn.functional.linear` with a float16 weight."""

import torch

from bitlinear.implementations.baseline import PlainBaseline
from bitlinear.scheme import Scheme


class LinearFp16(PlainBaseline):
    """Half the bytes, and slow on processors without float16 arithmetic."""

    name = "linear-fp16"
    summary = "baseline: torch's linear, float16 weight, nothing quantised"
    storage = torch.float16

    def why_not(self, *, scheme: Scheme, device: str, dtype: torch.dtype, training: bool = False) -> str | None:
        """Also says why it is not trained."""
        if training:
            return "linear-fp16 cannot be trained as it is: float16 gradients underflow without loss scaling"
        return super().why_not(scheme=scheme, device=device, dtype=dtype, training=training)
