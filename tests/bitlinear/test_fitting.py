"""Scales of least squared error."""

import math

import pytest
import torch
from torch import nn

from bitlinear import BitLinear, convert, replace_linear
from bitlinear.contract import contract_forward
from bitlinear.models.fitting import fit_scales, fitted_scale
from bitlinear.quantize import weight_codes
from bitlinear.scheme import Scheme


def linear_of(weight):
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight.data.copy_(weight)
    return linear


def gaussian(n=256, k=1024):
    return torch.randn(n, k, generator=torch.Generator().manual_seed(3))


def error_by_scale(weight, scheme, scale):
    """The squared error of what shares a scale: a group of all rows up to 1.58 bits, of one row from two bits on."""
    codes, scale = weight_codes(weight, scheme, scale)
    noise = (codes * scale - weight.unflatten(1, codes.shape[1:])).square()
    return noise.sum((0, 2) if scheme.weight_bits < 2 else 2)


@pytest.mark.parametrize(
    ("scheme", "contract", "fitted"),
    [
        ("w1a8-nonorm", 4.40, 4.40),  # one bit has the mean magnitude already
        ("w1.58a8-nonorm", 5.79, 7.21),  # J. Max, 1960: three levels, mean squared error 0.1902
        ("w2a8-nonorm", 1.2, 7.21),
        ("w3a8-nonorm", 9.5, 13.29),  # seven levels of equal distance, 0.0469
    ],
)
def test_gaussian_weights_gain_what_is_known(scheme, contract, fitted):
    model = replace_linear(nn.Sequential(linear_of(gaussian())), scheme)
    (fit,) = fit_scales(model).values()
    assert fit.contract_sqnr == pytest.approx(contract, abs=0.1)
    assert fit.fitted_sqnr == pytest.approx(fitted, abs=0.1)


def test_a_ternary_scale_of_gaussian_weights_is_that_of_theory():
    weight = gaussian()
    assert float(fitted_scale(weight, "w1.58a8")) == pytest.approx(1.53 * float(weight.abs().mean()), rel=0.01)


@pytest.mark.parametrize("bits", [1, 1.58, 2, 3, 4, 8])
@pytest.mark.parametrize("draw", ["gaussian", "heavy", "rows"])
def test_no_scale_is_better(bits, draw):
    weight = gaussian(6, 48)
    if draw == "heavy":
        weight = weight**3
    if draw == "rows":
        weight = weight * torch.logspace(-7, 1, 6)[:, None]  # below the contract's least scale too
    scheme = Scheme(bits, groups=3)
    fitted = fitted_scale(weight, scheme)
    assert fitted.shape == (1 if bits < 2 else 6, 3)
    error = error_by_scale(weight, scheme, fitted)
    shares = torch.linspace(0.2, 5, 400)
    best = torch.stack([error_by_scale(weight, scheme, fitted * share) for share in shares]).amin(0)
    assert bool((error <= error_by_scale(weight, scheme, None) * 1.000001).all())
    if bits <= 2:
        assert bool((error <= best * 1.000001).all())
    else:  # with 16 weights to a scale, the last per cent are luck of rounding
        assert float((error / best).log().mean().exp()) < (1.1 if bits < 8 else 1.4)


def test_rows_of_unlike_spread_gain_most_from_a_scale_each():
    weight = gaussian(16, 256) * torch.logspace(-1, 1, 16)[:, None]
    models = [replace_linear(nn.Sequential(linear_of(weight)), scheme) for scheme in ("w1.58a8-nonorm", "w2a8-nonorm")]
    one, each = (fit_scales(model)["0"].fitted_sqnr for model in models)
    assert each > one + 1
    codes, scale = models[1][0].quantised_weight()
    assert (set(codes.unique().tolist()), scale.shape) == ({-1, 0, 1}, (16, 1, 1))


@pytest.mark.parametrize("implementation", ["eager", "packed", "native", "int8"])
@pytest.mark.parametrize("scheme", ["w1a8g2-nonorm", "w1.58a8gs32-nonorm", "w2a8gs32-nonorm", "w4a8-nonorm"])
def test_implementations_keep_codes_and_scale(implementation, scheme, tmp_path):
    model, x = replace_linear(nn.Sequential(linear_of(gaussian(24, 64))), scheme), torch.randn(5, 64)
    fit_scales(model)
    kept = model[0].quantised_weight()
    expected = contract_forward(model[0], x)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    again = replace_linear(nn.Sequential(linear_of(gaussian(24, 64))), scheme)
    again.load_state_dict(torch.load(tmp_path / "state.pt"))
    made = convert(again, implementation)
    assert torch.equal(made[0].dequantised_weight(), (kept[0] * kept[1]).flatten(1))
    torch.testing.assert_close(made(x).double(), expected, rtol=1e-5, atol=1e-5)


def test_layers_are_chosen_and_known_scales_stay():
    known = BitLinear.from_linear(linear_of(torch.tensor([[0.5, 0.0, -0.5, 0.0]])), "w1.58a8-nonorm")
    full = BitLinear(4, 4, weight_bits=16)
    model = nn.Sequential(known, BitLinear(4, 4), full, BitLinear(4, 4), BitLinear(4, 4))
    scale = known.weight_scale.clone()
    assert set(fit_scales(model, "3", only=["0", "1", "2", "3"])) == {"1"}
    assert torch.equal(known.weight_scale, scale)
    assert model[4].weight_scale is full.weight_scale is None
    with pytest.raises(ValueError, match="only='9' matches no linear layer"):
        fit_scales(model, only="9")
    with pytest.raises(ValueError, match="no BitLinear whose scale could be fitted; call replace_linear"):
        fit_scales(nn.Sequential(nn.Linear(4, 4)))
    with pytest.raises(ValueError, match="weight_bits=16 has no scale to fit"):
        fitted_scale(torch.ones(4, 4), "w16a8")


@pytest.mark.parametrize("bits", [1, 1.58, 2, 4])
def test_zeros_and_what_is_not_finite_stay_so(bits):
    weight = gaussian(4, 8)
    weight[:, :4] = 0
    layer = BitLinear.from_linear(linear_of(weight), Scheme(bits, 16, groups=2, norm=False))
    assert math.isfinite(fit_scales(nn.Sequential(layer))["0"].fitted_sqnr)
    codes, scale = layer.quantised_weight()
    assert float((codes * scale)[:, 0].abs().max()) < 1e-30
    layer.weight.data[1, 5] = math.nan
    layer.use_weight_scale(None)
    fit_scales(nn.Sequential(layer))
    assert bool(layer(torch.ones(1, 8))[0, 1].isnan())
