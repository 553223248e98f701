import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from bitlinear import Scheme, absmax_quantize
from bitlinear.quantize import activation_codes, normalise, weight_codes

DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
bits = st.integers(2, 16)
tensors = arrays(
    np.float32, array_shapes(max_dims=3, min_side=0, max_side=9), elements=st.floats(-(2.0**99), 2.0**99, width=32)
).map(torch.from_numpy)


@given(tensors, bits)
def test_dequantised_values_are_within_half_a_step(x, bits):
    quant, dequant = absmax_quantize(x, bits)
    assert quant.dtype == (torch.int8 if bits <= 8 else torch.int16)
    assert quant.shape == dequant.shape == x.shape
    if x.numel():
        top, peak = 2 ** (bits - 1) - 1, x.abs().max().item()
        assert quant.abs().max() <= top
        assert (x.double() - dequant.double()).abs().max() <= max(peak, 1e-5) * (0.5 / top + 4e-7)


@given(tensors, bits)
def test_quantising_twice_changes_nothing_and_signs_are_symmetric(x, bits):
    quant, dequant = absmax_quantize(x, bits)
    assert torch.equal(absmax_quantize(dequant, bits)[0], quant)
    assert torch.equal(absmax_quantize(-x, bits)[0], -quant)


@given(tensors.filter(lambda x: x.dim() > 1 and x.numel()), bits)
def test_slices_are_quantised_independently(x, bits):
    together = absmax_quantize(x, bits, dim=-1)
    rows = [absmax_quantize(row, bits) for row in x.reshape(-1, x.shape[-1])]
    for whole, parts in zip(together, zip(*rows, strict=True), strict=True):
        assert torch.equal(whole.reshape(-1, x.shape[-1]), torch.stack(parts))


@pytest.mark.parametrize("dtype", DTYPES)
def test_half_precision_input_is_quantised_in_float32(dtype):
    x = torch.randn(64, 100, generator=torch.Generator().manual_seed(0)).to(dtype)
    quant, dequant = absmax_quantize(x, dim=-1)
    assert dequant.dtype == dtype
    assert torch.equal(quant, absmax_quantize(x.float() if dtype != torch.float64 else x, dim=-1)[0])


def test_rounding_is_half_to_even():
    quant, _ = absmax_quantize(torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, 127.0]))
    assert quant.tolist() == [0, 2, 2, 0, -2, 127]


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
def test_a_slice_with_nan_or_infinity_dequantises_to_nan(poison):
    x = torch.ones(3, 4)
    x[1, 2] = poison
    quant, dequant = absmax_quantize(x, dim=-1)
    assert dequant.isnan().all(dim=-1).tolist() == [False, True, False]
    assert quant[1].tolist() == [0, 0, 0, 0]
    assert absmax_quantize(x)[1].isnan().all()


def test_zeros_stay_zeros_and_a_tuple_of_dimensions_is_one_slice():
    assert torch.equal(absmax_quantize(torch.zeros(2, 3))[1], torch.zeros(2, 3))
    x = torch.randn(2, 3, 4)
    assert torch.equal(absmax_quantize(x, dim=(1, 2))[0], absmax_quantize(x.flatten(1), dim=-1)[0].view_as(x))


def test_bad_arguments_are_named():
    for wrong in (1, 17, 8.0, True):
        with pytest.raises(ValueError, match=f"bits={wrong}; choose a whole number from 2 to 16"):
            absmax_quantize(torch.ones(3), wrong)
    with pytest.raises(TypeError, match=r"dtype torch\.int64; give a floating-point tensor"):
        absmax_quantize(torch.ones(3, dtype=torch.int64))


@pytest.mark.parametrize("groups", [1, 2, 5])
def test_normalise_is_group_norm(groups):
    x = torch.randn(7, 20) * 3 + 1
    expected = F.group_norm(x, groups, eps=1e-5)
    torch.testing.assert_close(normalise(x, Scheme(groups=groups)).flatten(1), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(normalise(x, Scheme(groups=groups, norm=False)).flatten(1), x)


def test_weight_codes_follow_the_table():
    w = torch.randn(6, 20, generator=torch.Generator().manual_seed(1))
    for g, part in enumerate(w.double().split(10, dim=1)):
        one, scale = weight_codes(w, Scheme(1, groups=2))
        assert torch.equal(one[:, g] > 0, part > part.mean())
        assert scale[0, g].item() == pytest.approx(part.abs().mean().item(), rel=1e-6)
        ternary, scale = weight_codes(w, Scheme(1.58, groups=2))
        assert torch.equal(ternary[:, g].double(), (part / part.abs().mean()).round().clamp(-1, 1))
        for bits in range(2, 9):
            codes, scale = weight_codes(w, Scheme(bits, groups=2))
            step = part.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
            assert torch.equal(codes[:, g].double(), (part / step).round())
            assert scale.shape == (6, 2, 1)


@pytest.mark.parametrize("bits", [1, 1.58, 2, 8])
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_poisoned_group_of_weights_dequantises_to_nan(bits, poison):
    w = torch.ones(3, 4)
    w[1, 0] = poison
    codes, scale = weight_codes(w, Scheme(bits, groups=2))
    dequant = codes * scale
    assert dequant[1, 0].isnan().all()
    assert not dequant[:, 1].isnan().any()


def test_sixteen_bits_leave_values_alone():
    x = torch.randn(3, 4)
    for codes, scale in (activation_codes(x, Scheme(1, 16)), weight_codes(x, Scheme(16))):
        assert torch.equal(codes.reshape(3, 4), x)
        assert (scale == 1).all()
