"""Weight codes of a few bits in int32 words, and a product that multiplies two of them at once.

Written for compilers that only know how to vectorise elementwise arithmetic, as torch's Inductor is one: there is no
dot-product instruction in it, no table and no shuffle, only shifts, masks, multiplications and additions of int32.

A word of 32 bits is two halves of `h = 16 // bits` fields. With `W` words to a row, field `i` of the lower half of
word `j` belongs to column `i W + j`, field `i` of the upper half to column `(h + i) W + j`; columns past the last have
field 0. A code is `step * field - offset`, so `dot(codes, a) = step * dot(fields, a) - offset * sum(a)`.

The product takes field `i` of both halves at once, and the two activation codes in opposite order in one int32:

    (f_low + f_high 2^16) (a_high + a_low 2^16) = f_low a_high + (f_low a_low + f_high a_high) 2^16   modulo 2^32

The upper half of such products, rounded, adds up to a word's dot product for as long as the sums below and in it stay
under 2^15, which those of one word do.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

HALF = 16
LARGEST_ACTIVATION = 127
"""Largest magnitude of an activation code that the formats leave room for."""
EXACT_IN_FLOAT32 = 1 << 24


@dataclass(frozen=True)
class WordFormat:
    """How codes lie in words: `bits` a field, `code = step * field - offset`, fields from 0 to `top`."""

    bits: int
    step: int
    offset: int
    top: int

    @property
    def half(self) -> int:
        """Fields in half a word."""
        return HALF // self.bits

    def words(self, columns: int) -> int:
        """Words to a row of so many columns."""
        return -(-columns // (2 * self.half))

    def pack(self, codes: Tensor) -> Tensor:
        """int32 words `(..., W)` of whole-number codes `(..., K)`."""
        width = self.words(codes.shape[-1])
        fields = torch.div(codes + self.offset, self.step, rounding_mode="floor").to(torch.int32)
        fields = self._split(fields, width)
        words = torch.zeros_like(fields[..., 0, :])
        for i, shift in enumerate(self._shifts()):
            words |= fields[..., i, :] << shift
        return words

    def unpack(self, words: Tensor, columns: int) -> Tensor:
        """int8 codes `(..., K)` of words `(..., W)`."""
        i = torch.arange(2 * self.half, dtype=torch.int32, device=words.device)[:, None]
        shifts = i // self.half * HALF + i % self.half * self.bits
        fields = (words[..., None, :] >> shifts) & (2**self.bits - 1)
        codes: Tensor = (fields * self.step - self.offset).to(torch.int8)
        return codes.flatten(-2)[..., :columns]

    def product(self, a: Tensor, words: Tensor) -> Tensor:
        """`a @ codes.T`, exact: activation codes `(M, K)`, whole numbers up to 127, and words `(N, W)` to `(M, N)`.

        int32, or float32 where that is exact, because Inductor adds up a vector of int32 one by one.
        """
        exact = a.shape[-1] * LARGEST_ACTIVATION * self.top < EXACT_IN_FLOAT32
        total = torch.float32 if exact else torch.int32
        a = a.to(torch.int32)
        pairs = self._pairs(a)
        sums = pairs[:, 0, None] * self._both(words, 0)
        for i in range(1, self.half):
            sums = sums + pairs[:, i, None] * self._both(words, i)
        sums = (sums + (1 << HALF - 1)) >> HALF
        dots = sums.to(total).sum(-1, dtype=total)
        return self.step * dots - self.offset * a.to(total).sum(-1, keepdim=True, dtype=total)

    def _pairs(self, a: Tensor) -> Tensor:
        """Activation codes `(M, half, W)`, two in an int32: those of the lower half of a word in the upper bits."""
        width = self.words(a.shape[-1])
        parts = self._split(a, width)
        pairs = (parts[:, : self.half] << HALF) + parts[:, self.half :]
        # Inductor would rather compute this, quantisation included, anew for every row of the weights; of what is
        # strided it needs a copy in memory.
        return torch.as_strided(pairs, pairs.shape, pairs.stride())

    def _split(self, values: Tensor, width: int) -> Tensor:
        """Values `(..., K)`, one for each column, as `(..., 2 half, W)`: one for each field; 0 past the last column."""
        padded = F.pad(values, (0, 2 * self.half * width - values.shape[-1]))
        fields: Tensor = torch.unflatten(padded, -1, (2 * self.half, width))
        return fields

    def _both(self, words: Tensor, i: int) -> Tensor:
        """Field `i` of both halves, each in the lowest bits of its half."""
        mask = 2**self.bits - 1
        fields: Tensor = (words >> i * self.bits) & (mask << HALF | mask)
        return fields

    def _shifts(self) -> list[int]:
        return [half * HALF + i * self.bits for half in (0, 1) for i in range(self.half)]


FORMATS: dict[float, WordFormat] = {
    1: WordFormat(1, 2, 1, 1),
    1.58: WordFormat(2, 1, 1, 2),
    2: WordFormat(2, 1, 1, 2),
    3: WordFormat(3, 1, 3, 6),
    4: WordFormat(4, 1, 7, 14),
}
"""By `weight_bits`. From 5 bits on, words would save little and leave little room for sums."""
