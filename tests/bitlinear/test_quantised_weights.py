"""Weights that are quantised already keep their codes and their scale."""

import logging

import pytest
import torch
from torch import nn

from bitlinear import IMPLEMENTATIONS, BitLinear, Scheme, replace_linear
from bitlinear.contract import contract_forward
from bitlinear.recognise import quantised_scale
from bitlinear.scheme import largest_code

WIDTHS = (1, 1.58, 2, 3, 4, 5, 6, 7, 8)


def grid(bits, dtype=torch.float32, groups=1, n=12, k=64):
    """A weight that is whole numbers times a scale, none of them the largest from three bits on; and the scale."""
    generator = torch.Generator().manual_seed(int(bits * 100))
    top = largest_code(bits)
    most = max(1, top - 2)
    codes = torch.randint(-most, most + 1, (n, groups, k // groups), generator=generator).float()
    if bits == 1:
        codes = torch.where(codes > 0, 1.0, -1.0)
    elif bits < 3:
        codes[0, 0, 0] = 1
    else:
        codes[..., 0], codes[..., 1] = most, 1  # whole numbers without a common divisor
    rows = n if bits >= 2 else 1
    scale = (torch.rand(rows, groups, generator=generator) + 0.5) / 50
    weight = (codes * scale.to(dtype).float()[..., None]).flatten(1).to(dtype)
    return weight, codes


def linear_of(weight):
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype)
    linear.weight.data.copy_(weight)
    return linear


@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("bits", WIDTHS)
def test_codes_times_scale_are_kept_exactly(bits, groups):
    weight, _ = grid(bits, groups=groups)
    layer = BitLinear.from_linear(linear_of(weight), Scheme(bits, 16, groups, norm=False))
    kept, scale = layer.quantised_weight()
    torch.testing.assert_close((kept * scale).flatten(1), weight, rtol=1e-6, atol=0)
    x = torch.randn(5, 64)
    torch.testing.assert_close(layer(x), x @ weight.T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("bits", [1, 1.58, 2, 3, 4])
def test_halves_are_told_too_and_so_are_halves_that_were_widened(bits, dtype):
    weight, codes = grid(bits, dtype)
    for given in (weight, weight.float()):
        kept, scale = BitLinear.from_linear(linear_of(given), Scheme(bits)).quantised_weight()
        torch.testing.assert_close((kept * scale).flatten(1), weight.float(), rtol=torch.finfo(dtype).eps, atol=0)
        if bits < 3:
            assert torch.equal(kept, codes.reshape(12, 1, 64))


@pytest.mark.parametrize(("bits", "dtype"), [(4, torch.bfloat16), (7, torch.float16), (8, torch.float32)])
def test_rows_whose_largest_codes_differ_are_told(bits, dtype):
    codes = torch.arange(1, largest_code(bits) + 1).float()
    codes = torch.stack([codes * (codes <= codes[-1] - i) for i in range(3)])
    weight = (codes * 0.013).to(dtype)
    kept, scale = BitLinear.from_linear(linear_of(weight), Scheme(bits)).quantised_weight()
    torch.testing.assert_close((kept * scale).flatten(1), weight.float(), rtol=torch.finfo(dtype).eps, atol=0)


def test_a_group_of_zeros_does_not_keep_the_others_from_being_told():
    weight = torch.tensor([[0.1, -0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    for bits in (1.58, 2, 4):
        kept, scale = BitLinear.from_linear(linear_of(weight), Scheme(bits, groups=2)).quantised_weight()
        torch.testing.assert_close((kept * scale).flatten(1), weight)


def test_a_dequantised_bitnet_layer_loses_nothing_in_any_implementation():
    weight, codes = grid(1.58)
    scheme = Scheme(1.58, norm=False)
    layer, x = BitLinear.from_linear(linear_of(weight), scheme), torch.randn(5, 64)
    share = (codes != 0).float().mean()
    assert share < 0.75  # of which the contract's own scale would be
    expected = contract_forward(layer, x)
    torch.testing.assert_close(expected, contract_forward(linear_to_sixteen_bits(weight), x), rtol=0.05, atol=0.05)
    for one in IMPLEMENTATIONS:
        if not one.baseline and one.why_not(scheme=scheme, device="cpu", dtype=x.dtype) is None:
            error = one.disagreement(layer, x, expected, one.build(layer)(x))
            assert error <= one.tolerance(scheme, x.dtype, 64).relative, one.name


def linear_to_sixteen_bits(weight):
    return BitLinear.from_linear(linear_of(weight), Scheme(16, norm=False))


def test_real_weights_are_quantised_by_the_contract():
    for bits in WIDTHS:
        linear = nn.Linear(64, 12)
        assert BitLinear.from_linear(linear, Scheme(bits)).weight_scale is None
        assert quantised_scale(linear.weight.detach().bfloat16(), Scheme(bits)) is None
    assert quantised_scale(torch.zeros(4, 8), Scheme(1.58)) is None
    assert quantised_scale(torch.full((4, 8), float("nan")), Scheme(1.58)) is None


def test_a_constant_weight_keeps_its_sign_at_one_bit():
    layer = BitLinear.from_linear(linear_of(torch.full((4, 8), 0.5)), "w1a16-nonorm")
    torch.testing.assert_close(layer(torch.ones(1, 8)), torch.full((1, 4), 4.0))


def test_it_is_said(caplog):
    caplog.set_level(logging.INFO, "bitlinear")
    BitLinear.from_linear(linear_of(grid(1.58)[0]), "w1.58a8")
    assert caplog.messages == ["the weight (12, 64) holds w1.58a8 codes times a scale already; both are kept"]
    caplog.clear()
    replace_linear(nn.Sequential(linear_of(grid(1.58)[0]), nn.Linear(12, 4)), "w1.58a8")
    assert caplog.messages == [
        "2 layers are BitLinear w1.58a8 now: 0, 1",
        "1 hold w1.58a8 codes times a scale already; both are kept: 0",
    ]


def test_the_scale_may_be_given_and_survives_casts_and_files(tmp_path):
    linear = nn.Linear(64, 12, bias=False)
    layer = BitLinear.from_linear(linear, "w2a8g2", weight_scale=0.01)
    codes, scale = layer.quantised_weight()
    assert torch.equal(scale.unique(), torch.tensor([0.01]))
    assert set(codes.unique().tolist()) <= {-1, 0, 1}
    assert layer.half().weight_scale.dtype == torch.float32
    layer.float()
    torch.save(layer.state_dict(), tmp_path / "layer.pt")
    fresh = BitLinear(64, 12, 2, weight_bits=2)
    fresh.load_state_dict(torch.load(tmp_path / "layer.pt"))
    x = torch.randn(3, 64)
    assert torch.equal(fresh(x), layer(x))
    fresh.load_state_dict(linear.state_dict())
    assert fresh.weight_scale is None  # the scale belongs to the weight that came with it
    for wrong in (0.0, -1.0, float("nan"), torch.ones(5)):
        with pytest.raises(ValueError, match="weight_scale"):
            BitLinear.from_linear(linear, "w2a8g2", weight_scale=wrong)
    with pytest.raises(ValueError, match="has no scale; leave weight_scale out"):
        BitLinear.from_linear(linear, "w16a8", weight_scale=1.0)
