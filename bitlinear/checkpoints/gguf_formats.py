"""How ggml's formats of low-bit weights lie in bytes, as ggml-quants.c and the package gguf have them.

A row of a weight is a row of blocks, and a block is some codes and their scale, a float16. The scale is that of the
block alone, so a block is a group of the layer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

Blocks = npt.NDArray[np.void]
Codes = npt.NDArray[np.int8]


@dataclass(frozen=True)
class BlockLayout:
    """A format: the fields of a block, among them `scale`, and how to read its codes."""

    name: str
    block: int
    """Features that share a scale."""
    fields: npt.DTypeLike
    weight_bits: int
    """The least whose symmetric codes hold all of the format's, with a scale for each row."""
    codes: Callable[[Blocks], Codes]
    """Blocks `(...)` to codes `(..., block)`."""
    activation_scale: str
    """Of the activations that ggml multiplies by, which are 8 bits wide in blocks of the same size."""

    @property
    def contract(self) -> str:
        """The function that ggml computes."""
        return (
            f"{self.name} in ggml: a float16 scale for each row and {self.block} features; activations int8, "
            f"with a {self.activation_scale} scale for each {self.block}"
        )

    @property
    def dtype(self) -> np.dtype[np.void]:
        """Of a block."""
        return np.dtype(self.fields)


def _eight_bits(blocks: Blocks) -> Codes:
    codes: Codes = blocks["codes"].copy()  # next to each other: the scales between them may go
    return codes


def _four_bits(blocks: Blocks) -> Codes:
    return _planes(blocks["codes"], (0, 4), 15) - np.int8(8)


def _two_bits(blocks: Blocks) -> Codes:
    planes = _planes(blocks["codes"], (0, 2, 4, 6), 3)
    return planes.reshape(*blocks.shape, -1) - np.int8(1)


def _base3(blocks: Blocks) -> Codes:
    fields = (("fives", 5), ("shorter", 5), ("fours", 4))
    return np.concatenate([_digits(blocks[name], count) for name, count in fields], axis=-1) - np.int8(1)


def _planes(packed: Any, shifts: tuple[int, ...], mask: int) -> Codes:
    """Bytes `(..., B)` to digits `(..., P B)`: those of the lowest bits first."""
    planes = packed[..., None, :] >> np.array(shifts, np.uint8)[:, None] & np.uint8(mask)
    digits: Codes = planes.reshape(*packed.shape[:-1], -1).view(np.int8)
    return digits


def _digits(packed: Any, count: int) -> Codes:
    """Bytes `(..., B)`, fractions of 256 in base 3, to their first `count` digits `(..., count B)`."""
    powers = np.array([1, 3, 9, 27, 81], np.uint8)[:count, None]
    fractions = packed[..., None, :] * powers  # modulo 256: uint8 wraps around
    digits: Codes = (fractions.astype(np.uint16) * np.uint16(3) >> np.uint16(8)).astype(np.int8)
    return digits.reshape(*packed.shape[:-1], -1)


BLOCKS = {
    2: BlockLayout("Q4_0", 32, [("scale", "<f2"), ("codes", "u1", 16)], 5, _four_bits, "float16"),
    8: BlockLayout("Q8_0", 32, [("scale", "<f2"), ("codes", "i1", 32)], 8, _eight_bits, "float16"),
    34: BlockLayout(
        "TQ1_0",
        256,
        [("fives", "u1", 32), ("shorter", "u1", 16), ("fours", "u1", 4), ("scale", "<f2")],
        2,
        _base3,
        "float32",
    ),
    35: BlockLayout("TQ2_0", 256, [("codes", "u1", (2, 32)), ("scale", "<f2")], 2, _two_bits, "float32"),
}
"""By `enum ggml_type`. Q4_0 has the codes -8 to 7: 16, one more than a symmetric code of 4 bits, hence its 5 bits."""

FLOATS = {0: ("F32", "<f4", torch.float32), 1: ("F16", "<f2", torch.float16), 30: ("BF16", "<i2", torch.bfloat16)}
"""By `enum ggml_type`: name, how numpy reads its bits, and the dtype that they are."""

UNREADABLE = {
    36: "I2_S of bitnet.cpp has another layout for each processor that writes it, and the file does not say which"
}
"""By `enum ggml_type`: what cannot be read for certain, and why."""
