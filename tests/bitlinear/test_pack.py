"""Packings are bijections of any size, documented to the bit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bitlinear.layouts.packing import BASE3, PACKINGS, TERNARY, Packing

ALL: dict[str, Packing] = {f"w{bits}": packing for bits, packing in PACKINGS.items()} | {"base3": BASE3}
SIZES = {
    "w1": lambda k: -(-k // 8),
    "w1.58": lambda k: -(-k // 4),
    "w2": lambda k: -(-k // 4),
    "w3": lambda k: -(-k // 4) - (-k // 8),
    "w4": lambda k: -(-k // 2),
    "w5": lambda k: -(-k // 2) - (-k // 8),
    "w6": lambda k: -(-k // 2) - (-k // 4),
    "w7": lambda k: -(-k // 2) - (-k // 4) - (-k // 8),
    "w8": lambda k: k,
    "base3": lambda k: -(-k // 5),
}
"""Bytes of a row of k codes."""
packings = pytest.mark.parametrize("name", ALL)
few = settings(max_examples=25)
"""Each is of many codes, and a row has one of 22 lengths."""


def codes_of(packing: Packing) -> st.SearchStrategy[torch.Tensor]:
    """Any legal codes of any shape, empty ones included. A whole array is drawn as one text of bytes."""

    def filled(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
        size = math.prod(shape)
        drawn = st.binary(min_size=size, max_size=size)
        return drawn.map(lambda text: np.frombuffer(text, np.uint8).astype(np.int16).reshape(shape))

    digits = array_shapes(max_dims=3, min_side=0, max_side=21).flatmap(filled)
    return digits.map(
        lambda d: torch.from_numpy(d % digits_of(packing) * packing.step - packing.largest).to(torch.int8)
    )


def digits_of(packing: Packing) -> int:
    return 2 * packing.largest // packing.step + 1


@packings
@few
@given(data=st.data())
def test_codes_survive_in_the_documented_number_of_bytes(name, data):
    packing = ALL[name]
    codes = data.draw(codes_of(packing))
    packed, k = packing.pack(codes), codes.shape[-1]
    assert packed.dtype == torch.uint8
    assert packed.shape == (*codes.shape[:-1], SIZES[name](k))
    assert packing.size(k) == SIZES[name](k)
    unpacked = packing.unpack(packed, k)
    assert unpacked.dtype == torch.int8
    assert torch.equal(unpacked, codes)


@packings
@few
@given(data=st.data())
def test_raw_numbers_are_the_codes_but_for_their_unit_and_the_largest(name, data):
    packing = ALL[name]
    codes = data.draw(codes_of(packing))
    k = codes.shape[-1]
    read, unit = packing.reading(k)
    raw = read(packing.pack(codes))
    assert raw.dtype == torch.uint8
    assert torch.equal(raw * unit - packing.largest, codes.float())


@packings
@few
@given(data=st.data())
def test_padding_is_zeros_so_equal_codes_give_equal_bytes(name, data):
    packing = ALL[name]
    codes = data.draw(codes_of(packing).filter(lambda codes: codes.numel()))
    packed, k = packing.pack(codes), codes.shape[-1]
    room = max(wider for wider in range(k, k + 8) if packing.size(wider) == packing.size(k))
    assert (packing.unpack(packed, room)[..., k:] == -packing.largest).all()
    filled = torch.nn.functional.pad(codes, (0, room - k), value=-packing.largest)
    assert torch.equal(packing.pack(filled), packed)


@packings
@few
@given(data=st.data())
def test_any_bytes_unpack_and_legal_codes_among_them_survive(name, data):
    packing, k = ALL[name], data.draw(st.integers(0, 21))
    codes = packing.unpack(torch.from_numpy(data.draw(arrays(np.uint8, (3, packing.size(k))))), k)
    assert codes.shape == (3, k)
    if (codes.abs() <= packing.largest).all() and -128 not in codes:
        assert torch.equal(packing.unpack(packing.pack(codes), k), codes)
    else:
        with pytest.raises(ValueError, match=f"other than -{packing.largest} to {packing.largest} in steps of"):
            packing.pack(codes)


@pytest.mark.parametrize(
    ("packing", "codes", "packed"),  # the examples of docs/how-it-works/packing.md
    [
        (PACKINGS[1], [1, -1, -1, 1, 1, 1, -1, -1, 1], [0b10101, 0b0110]),
        (TERNARY, [0, 1, -1, 1, 0, 1, -1], [0b00_01_00_01, 0b00_10_10_10]),
        (PACKINGS[3], [3, -3, 0, 1, 2], [0b00_10_01_11, 0b00_00_10_00, 0b10100]),
        (PACKINGS[4], [-7, 0, 7], [0xE0, 0x07]),
        (PACKINGS[8], [-127, 0, 127], [0, 127, 254]),
        (BASE3, [1, 1, 1, 1, 1], [255]),
        (BASE3, [0], [86]),
        (BASE3, [-1, -1, -1, -1, 0], [2]),
    ],
)
def test_layouts_are_the_documented_ones(packing, codes, packed):
    assert packing.pack(torch.tensor(codes)).tolist() == packed


@pytest.mark.parametrize(("packing", "code"), [(PACKINGS[1], 0), (BASE3, 2), (TERNARY, -2), (PACKINGS[8], 256)])
def test_what_is_no_code_is_refused(packing, code):
    with pytest.raises(ValueError, match=f"there are codes other than -{packing.largest} to {packing.largest} in"):
        packing.pack(torch.tensor([[1, code]]))


@pytest.mark.parametrize(
    ("packing", "byte", "code"),
    [(TERNARY, 0b11, 2), (PACKINGS[3], 0, -3), (PACKINGS[4], 0x0F, 8), (PACKINGS[8], 255, -128), (BASE3, 255, 1)],
)
def test_bytes_that_no_codes_give_unpack_to_what_is_documented(packing, byte, code):
    packed = torch.full((packing.size(1),), byte, dtype=torch.uint8)
    assert packing.unpack(packed, 1).tolist() == [code]


def test_every_byte_is_ternary_in_base_3():
    assert set(BASE3.unpack(torch.arange(256, dtype=torch.uint8)[:, None], 5).unique().tolist()) == {-1, 0, 1}
