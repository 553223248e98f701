"""The oracle where float32 is not enough: means beside which the spread is small, magnitudes whose squares overflow."""

import math

import pytest
import torch

from bitlinear import IMPLEMENTATIONS, BitLinear, Scheme
from bitlinear.conformance.subject import Subject
from bitlinear.contract import contract_forward
from bitlinear.interface import flip_allowance, overflown, rounding_of_means

BY_NAME = {one.name: one for one in IMPLEMENTATIONS}
NORMALISED = ["w1.58a8", "w1a8g5", "w4a4", "w8a12", "w2a16"]
K, N = 640, 32


def layer_of(scheme, dtype=torch.float32):
    scheme = Scheme.parse(scheme)
    layer = BitLinear(
        K, N, scheme.groups, weight_bits=scheme.weight_bits, activation_bits=scheme.activation_bits,
        norm=scheme.norm, bias=True, dtype=torch.float32,
    )  # fmt: skip
    return layer.to(dtype)


def in_float64(layer, x):
    """The contract with nothing in float32."""
    exact = layer_of(str(layer.scheme), torch.float64)
    exact.load_state_dict(layer.state_dict())
    return contract_forward(exact, x.double())


def judged(implementation, layer, x, y):
    return implementation.disagreement(layer, x, implementation.expected(layer, x), y)


def allowed(implementation, layer, x):
    return implementation.tolerance(layer.scheme, x.dtype, K).relative


@pytest.mark.parametrize("scheme", NORMALISED)
@pytest.mark.parametrize(("mean", "spread"), [(3e3, 1.0), (-1e6, 1e3), (0.0, 1e20), (1e21, 1e19), (0.0, 1e37)])
def test_the_oracle_is_the_contract_in_float64(scheme, mean, spread):
    layer, x = layer_of(scheme), mean + spread * torch.randn(8, K)
    exact = in_float64(layer, x)
    assert exact.isfinite().all()
    error = (contract_forward(layer, x) - exact).norm() / exact.norm()
    assert error <= flip_allowance(layer.scheme, K) if layer.scheme.activation_bits < 16 else error < 1e-6
    assert judged(BY_NAME["eager"], layer, x, exact.float()) <= allowed(BY_NAME["eager"], layer, x)


@pytest.mark.parametrize("scheme", NORMALISED)
@pytest.mark.parametrize("mean", [1.0, 30.0, 1e3, 1e5])
def test_a_float32_normalisation_is_right_whatever_the_mean(scheme, mean):
    layer, x = layer_of(scheme), mean + torch.randn(64, K)
    eager = BY_NAME["eager"]
    with torch.no_grad():
        y = eager.build(layer)(x)
    assert judged(eager, layer, x, y) <= allowed(eager, layer, x)


@pytest.mark.parametrize("mean", [0.0, 1.0, 1e3])
def test_what_the_mean_explains_is_no_more_than_it_does(mean):
    layer, x = layer_of("w1.58a8"), mean + torch.randn(64, K)
    eager = BY_NAME["eager"]
    y = contract_forward(layer, x)
    explained = rounding_of_means(layer.scheme, x) / math.sqrt(x.numel())
    assert explained < max(flip_allowance(layer.scheme, K) / 4, 2e-5 * mean)
    noise = torch.randn_like(y)
    noise *= (2 * explained + 2 * allowed(eager, layer, x)) * y.norm() / noise.norm()
    assert judged(eager, layer, x, y + noise) > allowed(eager, layer, x)


def test_a_token_of_equal_values_may_be_off_by_the_rounding_of_its_mean():
    layer, x = layer_of("w1.58a8"), torch.randn(4, K)
    x[0] = 3000.1
    eager = BY_NAME["eager"]
    with torch.no_grad():
        y = eager.build(layer)(x)
    assert judged(eager, layer, x, y) <= allowed(eager, layer, x)


def test_an_output_beyond_its_dtype_is_infinite():
    layer, x = layer_of("w1.58a8-nonorm"), (1e4 * torch.randn(8, K)).half()
    layer.weight.data *= 10
    eager = BY_NAME["eager"]
    exact = eager.expected(layer, x)
    y = exact.half()
    assert 0 < y.isinf().sum() < y.numel()
    assert judged(eager, layer, x, y) <= allowed(eager, layer, x)
    assert not Subject(eager, dtype=torch.float16).fault(layer, x, y)
    for wrong in (-y, y.clamp(-65504, 65504) / 2, y.nan_to_num(posinf=torch.nan), torch.full_like(y, torch.inf)):
        assert judged(eager, layer, x, wrong) > 0.1
    assert not overflown(exact, torch.full_like(y, torch.nan)).any()


def test_not_a_number_stays_one():
    layer, x = layer_of("w1.58a8"), torch.randn(4, K)
    x[0, 0], x[1, 0] = torch.nan, torch.inf
    finite = contract_forward(layer, x).isfinite()
    assert finite[2:].all()
    assert not finite[:2].any()
