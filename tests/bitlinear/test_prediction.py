"""Predictions from a weight itself and from its moments, against what the layer does on odd weights."""

import math

import numpy as np
import pytest
import torch

from bitlinear import BitLinear, Scheme
from bitlinear.contract import contract_forward, twin_forward
from bitlinear.moments import EPSILON, Moments
from bitlinear.prediction import predict, predict_from_moments
from bitlinear.quantize import EPS
from bitlinear.theory import predict_sqnr

N, K = 512, 256


def odd(kind, rows=N):
    torch.manual_seed(0)
    gaussian = torch.randn(rows, K)
    match kind:
        case "gaussian":
            return gaussian
        case "student":
            return torch.distributions.StudentT(3.0).sample((rows, K))
        case "bimodal":
            return torch.sign(torch.randn(rows, K)) + 0.1 * gaussian
        case "zeros":
            return gaussian * (torch.rand(rows, K) < 0.1)
        case "rows":
            return gaussian * torch.exp(torch.randn(rows, 1))
        case "columns":
            return gaussian * torch.exp(torch.randn(1, K))
        case "ternary":
            return torch.randint(-1, 2, (rows, K)) * 0.02
        case "tiny":
            return gaussian * 1e-6
        case "off centre":
            return gaussian + torch.randn(rows, 1)
    raise ValueError(kind)


ODD = ["gaussian", "student", "bimodal", "zeros", "rows", "columns", "ternary", "tiny", "off centre"]


def measured(weight, scheme):
    scheme = Scheme.parse(scheme)
    layer = BitLinear(
        K, len(weight), scheme.groups, weight_bits=scheme.weight_bits, activation_bits=scheme.activation_bits,
        norm=scheme.norm,
    )  # fmt: skip
    layer.weight.data = weight
    x = torch.randn(512, K)
    twin = twin_forward(layer, x)
    return 10 * math.log10((twin.square().sum() / (twin - contract_forward(layer, x)).square().sum()).item())


@pytest.mark.parametrize("scheme", ["w1a8", "w1.58a8", "w2a8", "w1a4g4", "w4a4", "w2a8g4-nonorm", "w16a4"])
@pytest.mark.parametrize("kind", ODD)
def test_a_known_weight_needs_no_distribution(kind, scheme):
    weight = odd(kind)
    assert predict(weight, scheme).sqnr == pytest.approx(measured(weight, scheme), abs=0.3)


@pytest.mark.parametrize(
    ("kind", "w1", "ternary", "w2"),
    [
        ("gaussian", 4.4, 5.8, 1.9),
        ("student", 2.3, 2.9, 2.0),
        ("bimodal", 20.0, 20.0, 10.4),
        ("zeros", 0.5, 0.6, 3.9),
        ("rows", 1.3, 1.8, 1.9),
        ("ternary", 5.9, 9.6, math.inf),
        ("tiny", 4.4, 0.0, 0.0),
    ],
)
def test_figures_that_were_measured_elsewhere(kind, w1, ternary, w2):
    predicted = [predict(odd(kind), f"w{bits}a16").sqnr for bits in ("1", "1.58", "2")]
    assert predicted == pytest.approx([w1, ternary, w2], abs=0.3)


@pytest.mark.parametrize("scheme", ["w1a8", "w1.58a8", "w2a8", "w3a8", "w4a4", "w8a8", "w1.58a8g4", "w4a4g2-nonorm"])
@pytest.mark.parametrize("kind", ODD)
def test_moments_tell_the_error_or_say_that_they_do_not(kind, scheme):
    weight = odd(kind)
    told = predict_from_moments(Moments.of(weight, Scheme.parse(scheme).groups), scheme)
    on_a_grid = kind == "ternary" and "w1" not in scheme
    if not on_a_grid and not any("moments" in doubt for doubt in told.doubts):
        assert told.sqnr == pytest.approx(predict(weight, scheme).sqnr, abs=1.3)


def test_moments_doubt_what_they_cannot_tell_and_nothing_else():
    def doubted(kind, scheme):
        return any("moments" in doubt for doubt in predict_from_moments(Moments.of(odd(kind)), scheme).doubts)

    assert [kind for kind in ODD if doubted(kind, "w3a8")] == ["student", "zeros", "columns"]
    assert doubted("off centre", "w1a8")
    assert not doubted("rows", "w1a8")


def test_moments_of_gaussian_weights_agree_with_the_named_distribution():
    moments = Moments.of(odd("gaussian"))
    assert moments.kurtosis == pytest.approx(3, abs=0.1)
    for scheme in ("w1a8", "w3a8", "w4a4", "w8a8"):
        assert predict_from_moments(moments, scheme).sqnr == pytest.approx(predict_sqnr(scheme, "gaussian", K), abs=0.3)


def test_moments_by_hand():
    moments = Moments.of([[1.0, -3.0, 0.0, 0.0], [2.0, 2.0, 0.0, 4.0]], groups=2)
    assert moments.absolute_mean.tolist() == [[2, 0], [2, 2]]
    assert moments.second.tolist() == [[5, 0], [4, 8]]
    assert moments.zeros.tolist() == [[0, 1], [0, 0.5]]
    assert moments.peak.tolist() == [[3, 0], [2, 4]]
    assert moments.kurtosis == pytest.approx((1 + 81 + 3 * 0 + 16 + 16 + 256) / 8 / (34 / 8) ** 2)
    assert Moments.of(np.ones((8, 8))).row_spread == 0
    assert Moments.of(odd("rows")).row_spread > 1 > 0.1 > Moments.of(odd("gaussian")).row_spread
    assert Moments.of(odd("columns")).column_spread > 0.8


def test_doubts():
    assert predict(odd("gaussian"), "w1.58a8").doubts == ()
    assert predict(odd("tiny"), "w1a8").doubts == ()
    (below,) = predict(odd("tiny"), "w2a8g4").doubts
    assert below.startswith("2048 of 2048 scales of the weight are the contract's epsilon of 1e-05")
    (few,) = predict(odd("gaussian", rows=4), "w1.58a8").doubts
    assert few.startswith("4 outputs")
    (narrow,) = predict(odd("gaussian"), "w1.58a8g64").doubts
    assert narrow.startswith("4 features a group")


def test_what_cannot_be_predicted():
    assert predict(odd("gaussian"), "w16a16").sqnr == math.inf
    assert math.isnan(predict(torch.zeros(8, 8), "w1.58a8").sqnr)
    assert math.isnan(predict(odd("gaussian"), f"w1a8g{K}").sqnr)
    assert math.isnan(predict(torch.full((8, 8), math.nan), "w2a8").sqnr)
    with pytest.raises(ValueError, match="unknown distribution of inputs 'outliers'; choose from: gaussian, uniform"):
        predict(odd("gaussian"), "w1a8", inputs="outliers")
    with pytest.raises(ValueError, match="moments of 1 groups do not fit w1a8g4"):
        predict_from_moments(Moments.of(odd("gaussian")), "w1a8g4")
    with pytest.raises(ValueError, match=r"a weight of shape \(3,\)"):
        Moments.of([1.0, 2.0, 3.0])


def test_a_weight_that_was_quantised_before_is_predicted_by_its_own_scale():
    weight = odd("ternary")
    assert predict(weight, "w1.58a8").sqnr == pytest.approx(9.6, abs=0.1)
    scale = torch.full((1, 1), 0.02)
    assert predict(weight, "w1.58a8", weight_scale=scale).sqnr > 40
    assert EPSILON == EPS
