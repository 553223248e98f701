"""The kernels of `triton` against the contract.

Under Triton's interpreter, in a process of its own that test_triton.py starts, or on a GPU:
`pytest tests/bitlinear/triton_on_device.py`.
"""

import itertools

import pytest
import torch

from bitlinear import BitLinear, Scheme
from bitlinear.conformance.subject import DTYPES
from bitlinear.contract import accumulators
from bitlinear.engines.triton import linear
from bitlinear.implementations.eager import Eager
from bitlinear.implementations.triton import Triton, interpreted
from bitlinear.quantize import activation_codes, normalise
from tests.bitlinear.conforms import assert_conforms

DEVICE = "cpu" if interpreted() else "cuda"
SHAPES = [(10, 5), (100, 33), (17, 1), (1, 33), (640, 5)]
"""in_features, out_features: whole bytes and parts of one, K of one step and of several."""
TOKENS = [1, 3, 17]
KINDS = (torch.float32, torch.float16, torch.bfloat16)
CODED = ["w1a8", "w1.58a8", "w2a4", "w3a8", "w4a8", "w6a8", "w8a8"]
GROUPS = {10: 5, 100: 2, 17: 1, 1: 1, 640: 2}


def layer_of(scheme, in_features, out_features, groups=None, bias=True):
    scheme = Scheme.parse(scheme)
    return BitLinear(
        in_features,
        out_features,
        groups or scheme.groups,
        weight_bits=scheme.weight_bits,
        activation_bits=scheme.activation_bits,
        norm=scheme.norm,
        bias=bias,
        device=DEVICE,
    )


def tokens(m, k):
    """Ordinary tokens; where there are several, zeros, an outlier channel, one NaN, one infinity."""
    x = torch.randn(m, k, device=DEVICE)
    if m > 4:
        x[0] = 0
        x[1, 0] *= 50
        x[2, -1] = float("nan")
        x[3, 0] = float("inf")
    return x


def same(y, expected):
    return torch.equal(y.isnan(), expected.isnan()) and torch.equal(y.nan_to_num(), expected.nan_to_num())


def both(layer):
    return Triton().build(layer), Eager().build(layer)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("scheme", CODED)
def test_with_codes_it_returns_what_eager_returns_bit_for_bit(scheme, shape):
    op, eager = both(layer_of(f"{scheme}-nonorm", *shape, GROUPS[shape[0]] if scheme in ("w1a8", "w3a8") else 1))
    calls = list(itertools.product(TOKENS, KINDS))
    if interpreted():  # slowly: one call each, and among all of them every pair of scheme, shape, tokens and dtype
        i, j = CODED.index(scheme), SHAPES.index(shape)
        calls = [(TOKENS[(i + j) % 3], KINDS[(i + 2 * j) % 3])]
    for m, dtype in [(0, torch.float32), *calls]:
        x = tokens(m, shape[0]).to(dtype)
        assert same(op(x), eager(x)), (m, dtype)


@pytest.mark.parametrize("tile", [linear.tile_for(1, 4, 1), linear.tile_for(9, 4, 1)], ids=["vector", "matrix"])
@pytest.mark.parametrize("scheme", ["w1a8g5-nonorm", "w1.58a8-nonorm", "w4a8g2-nonorm", "w8a8-nonorm"])
def test_inner_sums_are_the_contract_s(scheme, tile):
    layer = layer_of(scheme, 1290, 17)  # steps and outputs that are not whole tiles
    x = torch.randn(2, 1290, device=DEVICE)
    op = Triton().build(layer)
    activations, _ = op.prepare(x)
    steps = -(-op.packed.shape[-1] // tile.bytes)
    for splits in {1, steps}:
        partial = op.partial_sums(activations, tile, splits, -(-steps // splits) * tile.bytes)
        assert partial.dtype == torch.int32
        assert torch.equal(partial.sum(1).movedim(1, 0), accumulators(layer, x))


def test_codes_and_scales_are_the_contract_s_also_at_ties():
    layer = layer_of("w1a8-nonorm", 500, 1)
    x = torch.randn(6, 500, device=DEVICE)
    x[0] = torch.arange(500, device=DEVICE) / 2 - 122.5  # the scale is 1: every second value lies between two codes
    x[0, 0] = 127
    x[1] *= 1e-7  # below eps
    x[2] *= 1e30
    x[3, 7] = float("nan")
    codes, scale = Triton().build(layer).prepare(x)
    expected, expected_scale = activation_codes(normalise(x, layer.scheme), layer.scheme)
    assert same(scale, expected_scale.squeeze(-1))
    assert torch.equal(codes, expected.nan_to_num().to(torch.int8))


CONFORMING = ["w1a8", "w4a8g2", "w1a16", "w1.58a16-nonorm", "w3a16g2-nonorm", "w8a16g5"]


@pytest.mark.parametrize("scheme", CONFORMING)
def test_it_conforms_in_every_dtype(scheme):
    layer = layer_of(scheme, 100, 33)
    op = Triton().build(layer)
    calls = list(itertools.product((1, 7), DTYPES))
    if interpreted():  # slowly: every dtype with one of them, and every pair among all schemes
        calls = [((1, 7)[(CONFORMING.index(scheme) + i) % 2], dtype) for i, dtype in enumerate(DTYPES)]
    for m, dtype in calls:
        assert_conforms(Triton(), layer, op, tokens(m, 100).to(dtype))


@pytest.mark.parametrize("scheme", ["w1a8-nonorm", "w4a8g2-nonorm", "w1.58a16-nonorm"])
def test_one_kernel_and_two_agree(scheme, monkeypatch):
    layer, x = layer_of(scheme, 400, 70), tokens(20, 400)  # several steps, the last one not whole
    op = Triton().build(layer)
    split = op(x)
    monkeypatch.setattr(linear, "_MOST_PARTS", 0)
    monkeypatch.setattr(op, "partial_sums", None)  # not to be called
    whole = op(x)
    if layer.scheme.activation_bits == 8:
        assert same(split, whole)
    else:
        torch.testing.assert_close(split, whole, rtol=1e-4, atol=1e-4, equal_nan=True)
    assert_conforms(Triton(), layer, op, x)


def test_a_token_s_output_does_not_depend_on_its_company():
    op = Triton().build(layer_of("w1.58a8g2", 100, 33))
    x = torch.randn(70, 100, device=DEVICE)
    alone, few, all_of_them = op(x[:1]), op(x[:9]), op(x)
    assert torch.equal(all_of_them[:1], alone)
    assert torch.equal(all_of_them[:9], few)


def test_any_shape_and_stride_of_the_input():
    layer = layer_of("w2a8", 100, 5)
    op = Triton().build(layer)
    wide = torch.randn(6, 200, device=DEVICE)
    for x in (wide[0, :100], wide[:, ::2], wide[:, :100].reshape(2, 3, 100), wide[:, 50:150].T.contiguous().T):
        assert_conforms(Triton(), layer, op, x)
    x = torch.randn(2, 100, device=DEVICE, requires_grad=True)
    (gradient,) = torch.autograd.grad(op(x).sum(), x)
    torch.testing.assert_close(gradient, torch.autograd.grad(layer(x).sum(), x)[0], rtol=1e-4, atol=1e-5)


def test_weights_that_are_not_finite_give_nan():
    layer = layer_of("w4a8-nonorm", 10, 5)
    layer.weight.data[2, 3] = float("nan")
    y = Triton().build(layer)(torch.randn(3, 10, device=DEVICE))
    assert y.isnan().any(0).tolist() == [False, False, True, False, False]


def test_what_does_not_fit_is_refused():
    op = Triton().build(layer_of("w1a8", 10, 5))
    with pytest.raises(ValueError, match="must be in_features=10"):
        op(torch.randn(3, 11, device=DEVICE))
    with pytest.raises(ValueError, match="input is on meta, the layer on"):
        op(torch.randn(3, 10, device="meta"))
    with pytest.raises(TypeError, match="floating"):
        op(torch.ones(3, 10, device=DEVICE, dtype=torch.int64))
