"""The predictions against the contract's own table and against what the layer does."""

import math

import pytest
import torch
from torch import nn

from bitlinear import BitLinear, Scheme
from bitlinear.contract import contract_forward, twin_forward
from bitlinear.theory import DISTRIBUTIONS, OUTLIER, predict_sqnr, prediction_tolerance

K = 2560


@pytest.mark.parametrize(
    ("in_features", "expected"),
    [(64, 44.5), (256, 43.2), (1024, 42.0), (2560, 41.7), (4096, 41.2), (8192, 40.7), (14336, 40.6)],
)
def test_eight_bit_weights_by_size(in_features, expected):
    assert predict_sqnr(Scheme(8, 16), "gaussian", in_features) == pytest.approx(expected, abs=0.2)


@pytest.mark.parametrize(
    ("scheme", "distribution", "expected"),
    [
        ("w4a16", "gaussian", 16.5),
        ("w3a16", "gaussian", 9.2),
        ("w1a16", "gaussian", 4.40),
        ("w1a16", "uniform", 6.02),
        ("w1a16", "laplace", 3.01),
        ("w1.58a16", "gaussian", 5.79),
        ("w1.58a16", "uniform", 8.06),
        ("w1.58a16", "laplace", 4.05),
        ("w1.58a8", "uniform", 8.06),
        ("w1a8", "uniform", 6.01),
        ("w16a8-nonorm", "outliers", 22.0),
    ],
)
def test_the_table_of_the_contract(scheme, distribution, expected):
    assert predict_sqnr(scheme, distribution, K) == pytest.approx(expected, abs=0.22)


def test_a_bit_is_worth_six_decibels():
    for low, high in ((4, 5), (5, 6), (6, 7), (7, 8)):
        step = predict_sqnr(Scheme(high, 16), "gaussian", K) - predict_sqnr(Scheme(low, 16), "gaussian", K)
        assert step == pytest.approx(20 * math.log10((2 ** (high - 1) - 1) / (2 ** (low - 1) - 1)), abs=0.1)


def sample(distribution, *shape):
    if distribution == "uniform":
        return (torch.rand(shape) * 2 - 1) * math.sqrt(3)
    if distribution == "laplace":
        return torch.distributions.Laplace(0.0, 1 / math.sqrt(2)).sample(shape)
    return torch.randn(shape)


def measured_sqnr(scheme, distribution, tokens, out_features, in_features=K):
    weight, x = sample(distribution, out_features, in_features), sample(distribution, tokens, in_features)
    if distribution == "outliers":
        x[:, 0] *= OUTLIER
    linear = nn.Linear(in_features, out_features, bias=False, device="meta")
    linear.weight = nn.Parameter(weight)
    layer = BitLinear.from_linear(linear, scheme)
    twin = twin_forward(layer, x)
    return 10 * math.log10((twin.square().sum() / (twin - contract_forward(layer, x)).square().sum()).item())


SAMPLED = ["w1a8", "w1.58a4g32", "w2a8g2", "w3a16g8", "w4a4", "w4a8g16-nonorm", "w8a4g32", "w8a8g4", "w8a8-nonorm"]


@pytest.mark.parametrize("scheme", SAMPLED)
@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_layer_does_what_is_predicted(scheme, distribution):
    scheme = Scheme.parse(scheme)
    # An outlier channel makes one column of the weight and one value a token count: only many of them average out,
    # fewer where it is one of many groups.
    many = (512, 1024, K // 2) if scheme.groups > 4 else (1024, 2048, K // 2)
    tokens, out_features, in_features = many if distribution == "outliers" else (64, 256, K)
    expected = predict_sqnr(scheme, distribution, in_features)
    assert measured_sqnr(scheme, distribution, tokens, out_features, in_features) == pytest.approx(expected, abs=0.3)


def test_what_cannot_be_predicted():
    assert predict_sqnr(Scheme(16, 16), "gaussian", K) == math.inf
    assert math.isnan(predict_sqnr(Scheme(groups=10), "gaussian", 10))  # normalised, every single feature is zero
    with pytest.raises(ValueError, match="unknown distribution 'normal'; choose from: gaussian, uniform, laplace, out"):
        predict_sqnr(Scheme(), "normal", K)
    with pytest.raises(ValueError, match="in_features=10 is not divisible by groups=4"):
        predict_sqnr(Scheme(groups=4), "gaussian", 10)


SMALL = [
    (8, 8, 64),
    (64, 8, 512),
    (8, 64, 1024),
    (16, 64, 64),
    (64, 64, 64),
    (64, 512, 64),
    (256, 64, 256),
    (256, 512, 640),
]
"""Features, tokens and outputs."""


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize("scheme", ["w1.58a8", "w2a16g2", "w4a4", "w8a8-nonorm", "w16a4"])
def test_a_small_sample_strays_no_further_than_its_tolerance(scheme, distribution):
    torch.manual_seed(0)
    scheme = Scheme.parse(scheme)
    strayed = 0
    for size, tokens, out_features in SMALL:
        k = size * scheme.groups
        allowed = prediction_tolerance(scheme, distribution, k, out_features, tokens)
        expected = predict_sqnr(scheme, distribution, k)
        for _ in range(4):
            off = abs(measured_sqnr(scheme, distribution, tokens, out_features, k) - expected)
            strayed += off > allowed
            assert off < 2 * allowed
    assert strayed <= 1, f"of {4 * len(SMALL)} samples"


def test_a_quantiser_that_is_wrong_is_still_off():
    assert prediction_tolerance(Scheme.parse("w1.58a8"), "gaussian", 2560, 640, 512) == 0.3
    assert prediction_tolerance(Scheme.parse("w1.58a8"), "outliers", 2560, 1024, 512) < 0.5
    for n in (1, 2, 7):
        assert prediction_tolerance(Scheme(), "gaussian", 2560, n, 512) == math.inf
        assert prediction_tolerance(Scheme(), "gaussian", 2560, 512, n) == math.inf


def test_nothing_is_promised_of_a_normalised_pair_which_every_quantiser_holds():
    scheme = Scheme(16, 4, groups=5)
    assert measured_sqnr(scheme, "gaussian", 64, 64, 10) > 100
    assert predict_sqnr(scheme, "gaussian", 10) < 40
    assert prediction_tolerance(scheme, "gaussian", 10, 64, 64) == math.inf
    with pytest.raises(ValueError, match="in_features=10 is not divisible by groups=4"):
        prediction_tolerance(Scheme(groups=4), "gaussian", 10, 64, 64)
