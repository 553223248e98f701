"""Tensors that are computed once a run: a worker of a later round reads what an earlier one has computed.

The files lie in a folder that the run's workers share and that goes with the run.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

FOLDER = "BITBENCH_KEPT"
"""Names the folder; without it everything is computed."""
MOST = 1 << 30
"""Bytes that a run may keep so. The rest is computed anew in every round."""


def once(name: str, compute: Callable[[], Sequence[Tensor]], device: torch.device) -> tuple[Tensor, ...]:
    """The tensors that `compute` returns, on `device`: read from a file if a worker of this run has computed `name`.

    Two workers may compute the same at one time; either's file will do.
    """
    folder = os.environ.get(FOLDER, "")
    if not folder:
        return tuple(compute())
    file = Path(folder) / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.pt"
    if file.exists():
        return tuple(tensor.to(device) for tensor in torch.load(file, mmap=True, weights_only=True))
    found = tuple(compute())
    held = sum(other.stat().st_size for other in file.parent.glob("*.pt"))
    if held + sum(tensor.nbytes for tensor in found) <= MOST:
        _keep(found, file)
    return found


def _keep(tensors: Sequence[Tensor], file: Path) -> None:
    """Write them, or not at all: where the disk is full, later workers compute them again."""
    unfinished = file.with_suffix(f".{os.getpid()}")
    try:
        torch.save([tensor.cpu().contiguous() for tensor in tensors], unfinished)
    except (OSError, RuntimeError):  # torch's own writer raises the latter
        unfinished.unlink(missing_ok=True)
    else:
        unfinished.rename(file)
