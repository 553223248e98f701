"""Other people's libraries: where they agree with the contract, and where the contract differs on purpose."""

import pytest
import torch

from bitlinear import IMPLEMENTATIONS, Scheme, absmax_quantize
from bitlinear.contract import accumulators, contract_forward
from bitlinear.quantize import activation_codes, normalise, weight_codes
from tests.bitlinear.data.recorded import golden, layer_of, relative_error

PEERS = ["bitlinear_pytorch050", "torchao018_bitnet_training", "litespark103_mT"]


@pytest.fixture(scope="module")
def peers():
    return golden("peers_b158")


@pytest.fixture
def ternary_layer(peers):
    return layer_of(peers["weight"], Scheme(1.58, norm=False))


@pytest.mark.parametrize("peer", PEERS)
def test_three_libraries_compute_the_contract(peers, ternary_layer, peer):
    assert relative_error(contract_forward(ternary_layer, peers["x"]), peers[peer]) < 1e-6


def test_codes_and_scales_are_theirs_bit_for_bit(peers, ternary_layer):
    scheme = ternary_layer.scheme
    codes, scale = weight_codes(peers["weight"], scheme)
    assert torch.equal(codes[:, 0].to(torch.int8), peers["w_codes"])
    assert scale.item() == peers["w_scale_absmean"].item()
    codes, scale = activation_codes(normalise(peers["x"], scheme), scheme)
    assert torch.equal(codes[:, 0].to(torch.int8), peers["x_codes"])
    assert torch.equal(scale[:, 0], peers["x_scale_127_over_absmax"])
    product = peers["x_codes"].long() @ peers["w_codes"].long().T
    assert torch.equal(accumulators(ternary_layer, peers["x"])[:, 0], product)


@pytest.mark.parametrize("name", ["reference", "eager", "int8"])
def test_implementations_agree_with_the_libraries(peers, ternary_layer, name):
    implementation = next(i for i in IMPLEMENTATIONS if i.name == name)
    with torch.inference_mode():
        y = implementation.build(ternary_layer)(peers["x"])
    for peer in PEERS:
        assert relative_error(peers[peer], y) < 1e-6


ZETA = ["zeta_g1_128x10_20", "zeta_g1_3d_4x7x10_20", "zeta_g1_const_weight", "zeta_g1_zero", "zeta_g2_1x10_20"]


@pytest.mark.parametrize("name", ZETA)
def test_absmax_quantize_gives_the_codes_of_zeta(name):
    data = golden(name)
    quant, dequant = absmax_quantize(data["x"])
    assert torch.equal(quant, data["q"])
    if name == "zeta_g1_zero":
        assert data["dq"].isnan().all()  # there 0 / 0; the contract says zeros give zeros
        assert torch.equal(dequant, data["x"])
    else:
        assert torch.equal(dequant, data["dq"])


def test_zeta_applies_no_scale_where_the_contract_does():
    data = golden("zeta_g1_128x10_20")
    signs = torch.sign(data["weight"] - data["weight"].mean())
    assert torch.equal(data["y"], data["q"].float() @ signs.T)  # codes, never dequantised
    # With one scale for the whole input, as zeta takes it, the contract's scales are all that is missing.
    x, dequant = data["x"], absmax_quantize(data["x"])[1]
    gain = (127 / x.abs().max()) / data["weight"].abs().mean()
    assert relative_error(dequant @ (signs * data["weight"].abs().mean()).T, data["y"] / gain) < 1e-6


def test_zeta_changes_the_number_of_tokens_where_the_contract_keeps_it():
    data = golden("zeta_g2_1x10_20")
    assert data["y"].shape == (2, 20)
    assert layer_of(data["weight"], Scheme(1, groups=2))(data["x"]).shape == (1, 20)


def test_zeta_gives_nan_for_constant_weights_where_the_contract_is_finite():
    data = golden("zeta_g1_const_weight")
    assert data["y"].isnan().all()
    layer = layer_of(data["weight"], Scheme(1, norm=False))
    expected = -data["x"].sum(1, keepdim=True) * data["weight"].abs().mean()  # no weight exceeds the mean: all codes -1
    torch.testing.assert_close(layer(data["x"]), expected.expand(-1, 20), rtol=0.05, atol=0.02)


def test_both_give_zeros_for_zeros():
    data = golden("zeta_g1_zero")
    assert torch.equal(data["y"], torch.zeros(4, 20))
    assert torch.equal(layer_of(data["weight"], Scheme())(data["x"]), torch.zeros(4, 20))
