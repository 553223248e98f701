"""`linear-fp32`: `torch.nn.functional.linear` with a float32 weight."""

import torch

from bitlinear.implementations.baseline import PlainBaseline


class LinearFp32(PlainBaseline):
    """The baseline that every speed-up is measured against."""

    name = "linear-fp32"
    summary = "baseline: torch's linear, float32 weight, nothing quantised"
    trainable = True
    storage = torch.float32
