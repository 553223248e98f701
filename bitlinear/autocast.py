"""Autocast kept from products whose operands are codes."""

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device_type: str) -> AbstractContextManager[object]:
    """Keeps autocast, where it is on, from running the product in half precision: 55 dB would be left of it."""
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    # A graph is compiled with a backward pass that runs under the autocast of the forward pass, whatever is on here.
    if torch.is_autocast_enabled(device_type) or torch.compiler.is_dynamo_compiling():
        return torch.autocast(device_type, enabled=False)
    return nullcontext()
