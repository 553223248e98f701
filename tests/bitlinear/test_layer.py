import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from bitlinear import BitLinear, Scheme
from bitlinear.contract import contract_forward, twin_forward
from bitlinear.quantize import activation_codes, normalise, weight_codes


def relative_error(reference, y):
    return ((reference - y).norm() / reference.norm()).item()


def test_the_documented_examples():
    class MyModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = BitLinear(10, 20)

        def forward(self, x):
            return self.linear(x)

    for model in (BitLinear(10, 20), BitLinear(10, 20, groups=2), MyModel()):
        input = torch.randn(128, 10)  # noqa: A001 - the documentation's own name
        assert model(input).size() == torch.Size([128, 20])


@pytest.mark.parametrize("shape", [(10,), (7, 10), (2, 3, 10), (0, 10), (2, 0, 10)])
@pytest.mark.parametrize("bits", [1, 1.58, 4, 16])
def test_any_leading_shape(shape, bits):
    layer = BitLinear(10, 20, groups=2, weight_bits=bits, bias=True)
    y = layer(torch.randn(shape))
    assert y.shape == (*shape[:-1], 20)
    assert y.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_dtypes_quantise_in_float32_or_better(dtype):
    layer = BitLinear(100, 20, groups=5, weight_bits=1.58, bias=True).to(dtype)
    x = torch.randn(64, 100, dtype=dtype)
    y = layer(x)
    assert y.dtype == dtype
    # Nothing but the output is rounded, so what is left is the unit roundoff of the dtype.
    assert relative_error(contract_forward(layer, x), y) < max(torch.finfo(dtype).eps, 1e-15)


def test_input_and_layer_may_differ_in_dtype():
    layer = BitLinear(10, 20)
    for dtype in (torch.float16, torch.float64):
        assert layer(torch.randn(3, 10, dtype=dtype)).dtype == dtype


def test_autocast_does_not_touch_the_codes():
    layer, x = BitLinear(100, 20, bias=True), torch.randn(8, 100)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), layer(x).float())
        inside = layer(x)
    assert torch.equal(inside, layer(x))


def test_compile_and_export_give_the_same_layer():
    layer, x = BitLinear(10, 20, groups=2, bias=True), torch.randn(4, 10)
    torch.testing.assert_close(torch.compile(layer, fullgraph=True)(x), layer(x))
    batch = torch.export.Dim("batch")
    exported = torch.export.export(layer, (x,), dynamic_shapes=({0: batch},)).module()
    other = torch.randn(9, 10)
    assert torch.equal(exported(other), layer(other))


def test_copies_and_state_dicts_compute_the_same():
    layer, x = BitLinear(10, 20, groups=2, weight_bits=4, bias=True), torch.randn(4, 10)
    other = BitLinear(10, 20, groups=2, weight_bits=4, bias=True)
    other.load_state_dict(layer.state_dict())
    for twin in (other, copy.deepcopy(layer)):
        assert torch.equal(twin(x), layer(x))
    assert set(layer.state_dict()) == {"weight", "bias", "_extra_state"}


@pytest.mark.parametrize("scheme", ["w1a8", "w1.58a8g2", "w4a4-nonorm", "w16a16"])
def test_the_gradient_passes_straight_through(scheme):
    scheme = Scheme.parse(scheme)
    layer = BitLinear.from_linear(nn.Linear(10, 20), scheme)
    x = torch.randn(5, 10, requires_grad=True)
    upstream = torch.randn(5, 20)
    (layer(x) * upstream).sum().backward()
    # Straight through: the gradient of the product is taken at the dequantised operands, and goes on as if unquantised.
    normed = normalise(x, scheme)
    a_codes, a_scale = activation_codes(normed.detach(), scheme)
    w_codes, w_scale = weight_codes(layer.weight.detach(), scheme)
    torch.testing.assert_close(layer.weight.grad, upstream.T @ (a_codes / a_scale).flatten(1), rtol=1e-4, atol=1e-5)
    (expected,) = torch.autograd.grad(normed.flatten(1), x, upstream @ (w_codes * w_scale).flatten(1))
    torch.testing.assert_close(x.grad, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.bias.grad, upstream.sum(0))


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    layer = BitLinear(32, 8, weight_bits=1.58)
    x, target = torch.randn(64, 32), torch.randn(64, 8)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (layer(x) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_sixteen_bits_are_the_twin():
    layer, x = BitLinear(100, 20, 5, weight_bits=16, activation_bits=16, bias=True), torch.randn(8, 100)
    assert relative_error(twin_forward(layer, x), layer(x)) < 1e-6


def test_parameters_are_drawn_like_those_of_linear():
    torch.manual_seed(0)
    layer = BitLinear(400, 300, bias=True)
    assert layer.weight.abs().max() <= 1 / 20
    assert layer.weight.std().item() == pytest.approx(1 / 20 / 3**0.5, rel=0.01)
    torch.manual_seed(0)
    assert torch.equal(layer.weight, nn.Linear(400, 300).weight)


def test_from_linear_takes_over_the_parameters():
    linear = nn.Linear(10, 20).eval()
    layer = BitLinear.from_linear(linear, Scheme(1.58, groups=2))
    assert layer.weight is linear.weight
    assert layer.bias is linear.bias
    assert not layer.training
    assert repr(layer) == "BitLinear(10, 20, groups=2, weight_bits=1.58, activation_bits=8, norm=True, bias=True)"
    prune.l1_unstructured(linear, "weight", 0.5)
    with pytest.raises(TypeError, match="computed by a hook"):
        BitLinear.from_linear(linear, Scheme())


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="in_features=10 is not divisible by groups=3"):
        BitLinear(10, 20, groups=3)
    with pytest.raises(ValueError, match="in_features=0, out_features=20; both must be 1 or more"):
        BitLinear(0, 20)
    with pytest.raises(TypeError, match=r"dtype=torch\.float8_e5m2; give torch\.float32, bfloat16"):
        BitLinear(10, 20, dtype=torch.float8_e5m2)
    with pytest.raises(ValueError, match="norm='no'; give True or False"):
        BitLinear(10, 20, norm="no")
    with pytest.raises(ValueError, match=r"weight_bits=1\.5"):
        BitLinear(10, 20, weight_bits=1.5)


def test_bad_input_is_named():
    layer = BitLinear(10, 20)
    with pytest.raises(ValueError, match=r"shape \(4, 20\); its last dimension must be in_features=10"):
        layer(torch.randn(4, 20))
    with pytest.raises(ValueError, match=r"shape \(\); its last"):
        layer(torch.tensor(1.0))
    with pytest.raises(TypeError, match=r"dtype torch\.int64; give a floating-point tensor"):
        layer(torch.ones(4, 10, dtype=torch.int64))
    with pytest.raises(ValueError, match="input is on meta, the layer on cpu"):
        layer(torch.randn(4, 10, device="meta"))


def test_a_bad_token_spoils_itself_alone():
    layer, x = BitLinear(10, 20), torch.randn(4, 10)
    x[1, 3], x[2, 0] = float("nan"), float("inf")
    assert layer(x).isnan().all(dim=-1).tolist() == [False, True, True, False]
