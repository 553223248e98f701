"""`linear-bf16`: `torch.nn.functional.linear` with a bfloat16 weight."""

import torch

from bitlinear.implementations.baseline import PlainBaseline


class LinearBf16(PlainBaseline):
    """The baseline that unquantised inference runs with in practice."""

    name = "linear-bf16"
    summary = "baseline: torch's linear, bfloat16 weight, nothing quantised"
    trainable = True
    storage = torch.bfloat16
