"""Autocast kept from products whose operands are codes."""

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device_type: str, *, always: bool = False) -> AbstractContextManager[object]:
    """Keeps autocast, where it is on, from running the product in half precision: 55 dB would be left of it.

    `always` is for what is traced here and runs elsewhere: a graph is compiled with a backward pass that runs under the
    autocast of its forward pass, even if that is off while it is traced.
    """
    if torch.amp.is_autocast_available(device_type) and (always or torch.is_autocast_enabled(device_type)):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()
