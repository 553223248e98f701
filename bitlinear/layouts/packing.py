"""Integer codes to packed bytes and back: bijections, and nothing else (docs/how-it-works/packing.md).

A *digit* is a code counted from the lowest one. A `Packing` writes the digits of every row `(..., K)` to a row of bytes
`(..., size(K))`. The digits in one byte are not neighbours: `B` bytes of `P` digits hold the digits `j, j + B, j + 2 B
...` in byte `j`, so that one operation on `B` bytes gives `B` consecutive digits. Unpacked by torch, that is twice as
fast as neighbours in a byte, which have to be interleaved.

Positions from `K` on hold the digit 0, so equal codes give equal bytes. Bytes that no codes give unpack to some int8.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from bitlinear.scheme import largest_code


@dataclass(frozen=True)
class Packing(ABC):
    """A way of writing the codes `-largest, -largest + step, ..., largest` as bytes."""

    largest: int
    step: int = 1

    @abstractmethod
    def size(self, k: int) -> int:
        """Bytes of a row of `k` codes."""

    def pack(self, codes: Tensor) -> Tensor:
        """Codes `(..., K)` of any integer dtype to uint8 `(..., size(K))`. Raises ValueError for any other number."""
        digits = (codes.to(torch.int16) + self.largest) // self.step
        written = digits.clamp(0, min(2 * self.largest // self.step, 255)) * self.step - self.largest
        if not codes.is_meta and not (written == codes).all():
            raise ValueError(f"there are codes other than {-self.largest} to {self.largest} in steps of {self.step}")
        return self._write(digits.to(torch.uint8))

    def unpack(self, packed: Tensor, k: int) -> Tensor:
        """The int8 codes `(..., k)` that were packed to uint8 `(..., size(k))`; new memory."""
        digits = self._read(packed, k)
        if self.step > 1:
            digits = digits * self.step
        return (digits - self.largest).view(torch.int8)  # uint8 wraps around to what int8 calls a negative number

    def reading(self, k: int, device: torch.device | None = None) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """What takes less work than to unpack: a function to numbers, and the unit `(k,)`, float32, of each place.

        The function makes `raw` uint8 `(..., k)` of bytes `(..., size(k))`; `code = unit * raw - largest`. The unit is
        the step times a power of two.
        """
        unit = torch.full((k,), float(self.step), dtype=torch.float32, device=device)
        return lambda packed: self._read(packed, k), unit

    @abstractmethod
    def _write(self, digits: Tensor) -> Tensor:
        """Digits `(..., K)` to bytes `(..., size(K))`, both uint8."""

    @abstractmethod
    def _read(self, packed: Tensor, k: int) -> Tensor:
        """Bytes `(..., size(k))` to digits `(..., k)`, both uint8."""


@dataclass(frozen=True)
class BitPacking(Packing):
    """A code in `bits` bits, 1 to 8.

    Digits whose width does not divide a byte are cut into fields whose widths do, 3 = 2 + 1 bits for example, the
    highest first. A row is all first fields, then all second ones.
    """

    bits: int = 8

    def size(self, k: int) -> int:
        """`ceil(k width / 8)` for each field."""
        return sum(-(-k * width // 8) for width, _ in self._fields())

    def reading(self, k: int, device: torch.device | None = None) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """As above; digits of a single field stay where they are in their byte."""
        if len(self._fields()) > 1:
            return super().reading(k, device)
        shifts = _shifts(self.bits, device)
        masks = 2**self.bits - 1 << shifts
        unit = (self.step * torch.exp2(-shifts.float())).expand(-1, self.size(k)).flatten()[:k]
        return lambda packed: (packed[..., None, :] & masks).flatten(-2)[..., :k], unit

    def _write(self, digits: Tensor) -> Tensor:
        rows = []
        for width, below in self._fields():
            field = _planes((digits >> below) & (2**width - 1), 8 // width)
            rows.append((field << _shifts(width, digits.device)).sum(-2, dtype=torch.uint8))
        return torch.cat(rows, dim=-1)

    def _read(self, packed: Tensor, k: int) -> Tensor:
        fields = self._fields()
        rows = torch.split(packed, [-(-k * width // 8) for width, _ in fields], dim=-1)
        placed = [_field(row, k, *field) for row, field in zip(rows, fields, strict=True)]
        return reduce(torch.bitwise_or, placed)

    def _fields(self) -> list[tuple[int, int]]:
        """Width of each field, and how many bits of the digit are below it."""
        return [(width, self.bits % width) for width in (8, 4, 2, 1) if self.bits & width]


@dataclass(frozen=True)
class Base3Packing(Packing):
    """Five ternary codes a byte, 1.6 bits each.

    The number `v = 81 d0 + 27 d1 + 9 d2 + 3 d3 + d4` is stored as `ceil(256 v / 243)`, the fraction `v / 243` in eight
    bits. Three times a fraction is the next digit and the fraction that follows it, so no division is needed:
    `d_i = 3 (3^i byte mod 256) div 256`. (As TQ1_0 in ggml, github.com/ggml-org/llama.cpp pull request 8151.)
    """

    def size(self, k: int) -> int:
        """`ceil(k / 5)`."""
        return -(-k // 5)

    def _write(self, digits: Tensor) -> Tensor:
        number = reduce(lambda v, digit: 3 * v + digit, _planes(digits, 5).to(torch.int32).unbind(-2))
        return ((256 * number + 242) // 243).to(torch.uint8)

    def _read(self, packed: Tensor, k: int) -> Tensor:
        powers = torch.tensor([1, 3, 9, 27, 81], dtype=torch.uint8, device=packed.device)
        fractions = packed[..., None, :] * powers[:, None]  # modulo 256: uint8 wraps around
        return fractions.to(torch.int16).mul_(3).bitwise_right_shift_(8).to(torch.uint8).flatten(-2)[..., :k]


TERNARY = BitPacking(largest=1, bits=2)
BASE3 = Base3Packing(largest=1)
BYTES = BitPacking(largest=128, bits=8)
"""All of int8, so -128 to 127: for codes that were made elsewhere. No scheme makes -128."""
PACKINGS: Mapping[float, Packing] = {
    1: BitPacking(largest=1, step=2, bits=1),
    1.58: TERNARY,
    **{bits: BitPacking(largest_code(bits), bits=bits) for bits in range(2, 9)},
}
"""By weight bits: the packing in which every code has its whole number of bits."""


def _planes(digits: Tensor, per_byte: int) -> Tensor:
    """Digits `(..., K)`, filled up with zeros, as `(..., per_byte, B)`: column `j` goes into byte `j`."""
    width = -(-digits.shape[-1] // per_byte)
    filled = F.pad(digits, (0, per_byte * width - digits.shape[-1]))
    return filled.reshape(*digits.shape[:-1], per_byte, width)


def _shifts(width: int, device: torch.device | None) -> Tensor:
    """Where the fields of one byte begin, `(8 / width, 1)`."""
    return torch.arange(0, 8, width, dtype=torch.uint8, device=device)[:, None]


def _field(row: Tensor, k: int, width: int, below: int) -> Tensor:
    """The fields `(..., k)` in a row of bytes, shifted to their place in the digit, above `below` other bits."""
    planes = (row[..., None, :] >> _shifts(width, row.device)) & (2**width - 1)
    field: Tensor = planes.flatten(-2)[..., :k]
    return torch.bitwise_left_shift(field, below) if below else field
