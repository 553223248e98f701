"""Layers made of codes and scales, with no float weight in between."""

import pytest
import torch

from bitlinear import BitLinear, PackedLinear, Scheme
from bitlinear.contract import contract_forward
from bitlinear.engines.native import BuildError, NativeLinear
from bitlinear.engines.native.library import library
from bitlinear.layouts.packing import BASE3
from bitlinear.scheme import largest_code

try:
    library()
    KINDS = [PackedLinear, NativeLinear]
except BuildError:
    KINDS = [PackedLinear]
kinds = pytest.mark.parametrize("kind", KINDS)
SCHEMES = ["w1a8", "w1.58a8g2", "w2a4g4", "w3a8-nonorm", "w4a16g2", "w5a8", "w8a8g4-nonorm", "w8a16-nonorm"]


def layer_of(scheme, **options):
    scheme = Scheme.parse(scheme)
    bits = {"weight_bits": scheme.weight_bits, "activation_bits": scheme.activation_bits}
    return BitLinear(96, 33, scheme.groups, norm=scheme.norm, **bits, **options)


def codes_of(scheme, rows=33, size=24):
    """Random codes and scales of either sign, some of them zero."""
    scheme = Scheme.parse(scheme)
    top = largest_code(scheme.weight_bits)
    codes = torch.randint(-top, top + 1, (rows, scheme.groups, size), dtype=torch.int8)
    scale = torch.randn(rows, scheme.groups)
    scale[::5] = 0
    return codes, scale, scheme


@kinds
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", [torch.int8, torch.int64])
def test_codes_make_the_layer_that_float_weights_make(kind, scheme, dtype):
    layer, x = layer_of(scheme, bias=True), torch.randn(7, 96)
    codes, scale = layer.quantised_weight()
    given = codes.to(dtype), scale.squeeze(-1), layer.bias.detach()
    made = kind.from_codes(given[0], given[1], scheme, bias=given[2])
    expected = kind.from_layer(layer)
    for name, buffer in expected.state_dict().items():
        assert torch.equal(made.state_dict()[name], buffer), name
    y = made(x)
    for tensor in given:
        tensor.zero_()  # nothing is shared
    assert torch.equal(made(x), y)
    assert torch.equal(y, expected(x))


@kinds
@pytest.mark.parametrize("scheme", ["w2a8g4-nonorm", "w5a8g4-nonorm", "w8a8g4-nonorm", "w2a16g4-nonorm"])
@pytest.mark.parametrize("groups", [4, 448])
def test_many_groups_and_scales_of_any_sign_are_multiplied_as_they_are(kind, scheme, groups):
    codes, scale, scheme = codes_of(scheme.replace("g4", f"g{groups}"), size=32)
    made, x = kind.from_codes(codes, scale, scheme), torch.randn(5, 32 * groups)
    weight = (codes * scale.double().unsqueeze(-1)).flatten(1)
    assert torch.equal(made.dequantised_weight(), weight.float())
    twin = BitLinear(32 * groups, 33, groups, weight_bits=16, activation_bits=scheme.activation_bits, norm=False)
    twin = twin.double()
    twin.weight.data = weight
    expected = contract_forward(twin, x)
    assert (made(x) - expected).norm() <= 1e-6 * expected.norm()


@kinds
def test_one_scale_stands_for_all_rows(kind):
    codes, scale, scheme = codes_of("w4a8g4-nonorm")
    one, each = scale[1:2], scale[1:2].repeat(33, 1)
    x = torch.randn(3, 96)
    assert torch.equal(kind.from_codes(codes, one, scheme)(x), kind.from_codes(codes, each, scheme)(x))


@kinds
def test_half_precision_as_the_default_changes_no_layer(kind):
    codes, scale, scheme = codes_of("w4a8g4")
    bias, x = torch.randn(33), torch.randn(3, 96)
    y = kind.from_codes(codes, scale, scheme, bias=bias)(x)
    torch.set_default_dtype(torch.float16)
    try:
        made = kind.from_codes(codes, scale, scheme, bias=bias)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(made(x), y)


def test_codes_go_into_a_packing_of_choice():
    codes, scale, scheme = codes_of("w2a8g4")
    x = torch.randn(3, 96)
    dense = PackedLinear.from_codes(codes, scale, scheme, packing=BASE3)
    assert torch.equal(dense(x), PackedLinear.from_codes(codes, scale, scheme)(x))


REFUSED = {
    r"codes are torch.float32; give whole numbers in an integer dtype": {"codes": torch.zeros(6, 2, 8)},
    r"codes have shape \(6, 16\); w2a8g2 wants \(outputs, 2, inputs of": {"codes": torch.zeros(6, 16).char()},
    r"codes have shape \(6, 3, 8\)": {"codes": torch.zeros(6, 3, 8).char()},
    r"codes have shape \(0, 2, 8\)": {"codes": torch.zeros(0, 2, 8).char()},
    r"codes go from -1 to 2; those of w2a8g2 from -1 to 1": {"codes": torch.tensor([[[-1], [2]]]).char()},
    r"codes hold 0, and those of w1a8g2 are -1 and 1": {"scheme": "w1a8g2", "scale": torch.ones(1, 2)},
    r"weight_bits=16 has no codes": {"scheme": "w16a8g2"},
    r"scale has shape \(6, 3\); w2a8g2 with these codes wants \(6, 2\)": {"scale": torch.ones(6, 3)},
    r"wants \(1, 2\); for a scale to each row take w2": {"scheme": "w1.58a8g2"},
    r"scale is torch.int64; give floating point": {"scale": torch.ones(6, 2).long()},
    r"bias is torch.float32 \(5,\); give floating point \(6,\)": {"bias": torch.ones(5)},
    r"not a scheme: 'w9'": {"scheme": "w9"},
}


@kinds
@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_fit_is_refused_in_a_line(kind, message):
    given = {"codes": torch.zeros(6, 2, 8).char(), "scale": torch.ones(6, 2), "scheme": "w2a8g2"} | REFUSED[message]
    with pytest.raises(ValueError, match=message) as refused:
        kind.from_codes(**given)
    assert "\n" not in str(refused.value)
