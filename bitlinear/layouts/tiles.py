"""Integer codes to the tiles that the kernels read, and back. kernels.h says what they look like."""

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 16
"""Output features of a tile."""
FOUR = 4
"""Input features that a dot-product instruction sums."""


def tiles_shape(out_features: int, groups: int, group_size: int, bits: int) -> tuple[int, int, int, int]:
    """`(T, G, C, 64)`: tiles, groups, chunks of a group, bytes of a chunk."""
    chunk = FOUR * (8 // bits)
    return -(-out_features // TILE), groups, -(-group_size // chunk), TILE * FOUR


def to_tiles(stored: Tensor, bits: int) -> Tensor:
    """Stored codes `(N, G, Kg)`, uint8 below `2^bits`, to tiles `(T, G, C, 64)`. What is padded is zero."""
    n, groups, size = stored.shape
    tiles, _, chunks, _ = tiles_shape(n, groups, size, bits)
    planes = 8 // bits
    padded = F.pad(stored, (0, chunks * planes * FOUR - size, 0, 0, 0, tiles * TILE - n))
    split = padded.view(tiles, TILE, groups, chunks, planes, FOUR)
    packed = torch.zeros(tiles, groups, chunks, TILE, FOUR, dtype=torch.uint8, device=stored.device)
    for plane in range(planes):
        packed |= split[:, :, :, :, plane].permute(0, 2, 3, 1, 4) << (plane * bits)
    return packed.flatten(-2)


def from_tiles(tiles: Tensor, bits: int, out_features: int, group_size: int) -> Tensor:
    """The inverse of `to_tiles`: `(T, G, C, 64)` to `(N, G, Kg)`."""
    count, groups, chunks, _ = tiles.shape
    bytes_ = tiles.view(count, groups, chunks, TILE, FOUR)
    planes = [bytes_ >> (plane * bits) & (2**bits - 1) for plane in range(8 // bits)]
    split = torch.stack(planes, dim=4).permute(0, 3, 1, 2, 4, 5)
    return split.reshape(count * TILE, groups, -1)[:out_features, :, :group_size]
