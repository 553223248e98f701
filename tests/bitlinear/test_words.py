"""Codes in words: packed and unpacked without loss, multiplied without rounding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitlinear.layouts.words import FORMATS, LARGEST_ACTIVATION
from bitlinear.scheme import largest_code


def codes_of(weight_bits, rows, columns):
    top = 1 if weight_bits == 1.58 else int(largest_code(weight_bits)) if weight_bits >= 2 else 1
    codes = torch.randint(-top, top + 1, (rows, columns), dtype=torch.int8)
    codes = torch.where(codes > 0, 1, -1).to(torch.int8) if weight_bits == 1 else codes
    codes[0], codes[1] = top, -top
    return codes


@given(st.sampled_from(list(FORMATS)), st.integers(1, 300), st.integers(0, 2**31))
def test_what_is_packed_comes_back(weight_bits, columns, seed):
    torch.manual_seed(seed)
    codes, form = codes_of(weight_bits, 4, columns), FORMATS[weight_bits]
    words = form.pack(codes.float())
    assert words.dtype == torch.int32
    assert words.shape == (4, form.words(columns))
    assert torch.equal(form.unpack(words, columns), codes)


@given(st.sampled_from(list(FORMATS)), st.integers(1, 300), st.integers(0, 2**31))
def test_products_are_exact(weight_bits, columns, seed):
    torch.manual_seed(seed)
    codes, form = codes_of(weight_bits, 4, columns), FORMATS[weight_bits]
    a = torch.randint(-LARGEST_ACTIVATION, LARGEST_ACTIVATION + 1, (5, columns)).float()
    a[0], a[1] = LARGEST_ACTIVATION, -LARGEST_ACTIVATION
    a[2] = LARGEST_ACTIVATION * torch.where(torch.arange(columns) % 2 == 0, 1, -1)
    product = form.product(a, form.pack(codes.float()))
    assert torch.equal(product.double(), a.double() @ codes.double().T)


@pytest.mark.parametrize(("columns", "dtype"), [(1000, torch.float32), (14336, torch.int32)])
def test_products_are_exact_however_wide(columns, dtype):
    codes, form = codes_of(4, 2, columns), FORMATS[4]
    a = torch.full((1, columns), float(LARGEST_ACTIVATION))
    product = form.product(a, form.pack(codes.float()))
    assert product.dtype == dtype
    assert torch.equal(product.double(), a.double() @ codes.double().T)
