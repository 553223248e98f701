"""The three calls that every tool times twice: two builds of one linear layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

CALLS = {"2560x2560 M=1": (1, 2560, 2560), "64x1024x1024": (64, 1024, 1024), "256x256 M=1": (1, 256, 256)}
"""Name to tokens, input features, output features."""
SIDES = ("one", "other")

THREADS = 2


def build(name: str) -> Callable[[], Tensor]:
    """One call of a fresh layer; the same weights and input each time, at another place in memory."""
    import torch  # late: who only wants the names need not wait

    torch.set_num_threads(THREADS)
    torch.set_grad_enabled(False)
    m, k, n = CALLS[name]
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(k, n, bias=False), torch.randn(m, k)
    return lambda: layer(x)
