"""Memory for large weights in huge pages, where the system has them.

A processor translates addresses page by page. Weights that come from memory cost it a translation every 4 KiB, and in a
virtual machine one takes two tables; in pages of 2 MiB there are 512 times fewer.
"""

import mmap
from contextlib import suppress

import torch
from torch import Tensor

HUGE_PAGE = 2 << 20
"""Bytes. A tensor that is smaller fills none."""


def empty(shape: tuple[int, ...], device: torch.device | str | None = None) -> Tensor:
    """An uninitialised uint8 tensor of `shape`, which on Linux's CPU begins with a huge page if it fills one.

    It is a request: a system that has no huge page to give uses small ones, and none is reserved beyond the tensor.
    """
    plain = torch.empty(shape, dtype=torch.uint8, device=device)
    size = plain.numel()
    if not fills_a_page(plain):
        return plain
    memory = mmap.mmap(-1, size + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    start = -torch.frombuffer(memory, dtype=torch.uint8).data_ptr() % HUGE_PAGE
    with suppress(OSError):  # of a kernel that was built without huge pages
        memory.madvise(mmap.MADV_HUGEPAGE, start, size // HUGE_PAGE * HUGE_PAGE)  # what fills no page has small ones
    return torch.frombuffer(memory, dtype=torch.uint8, offset=start, count=size).view(shape)


def fills_a_page(tensor: Tensor) -> bool:
    """Whether a tensor of its size and place could be in huge pages; fake and meta tensors have no place."""
    real = type(tensor) is Tensor and tensor.device.type == "cpu"
    return real and tensor.nbytes >= HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE")


def copied(tensor: Tensor) -> Tensor:
    """A contiguous copy of a uint8 `tensor` in such memory."""
    return empty(tuple(tensor.shape), tensor.device).copy_(tensor)
