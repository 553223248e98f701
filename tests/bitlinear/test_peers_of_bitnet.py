"""Libraries that compute BitNet layers or ggml's formats: what they promise, and what they return here."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from bitlinear import BitLinear, Scheme
from bitlinear.contract import contract_forward
from bitlinear.peers import PEERS
from bitlinear.peers.ggml import GGML, IK
from bitlinear.peers.interface import effective_weight
from bitlinear.peers.zetascale import Zetascale
from tests.bitlinear.data.recorded import golden, layer_of, relative_error

BY_NAME = {peer.name: peer for peer in PEERS}
TERNARY = Scheme.parse("w1.58a8-nonorm")
FOLLOW_THE_CONTRACT = ["litespark", "bitlinear-pytorch"]
COMPILED = ["transformers-bitlinear", "transformers-autobitlinear", "transformers-autobitlinear-online"]
"""Every shape of these costs seconds of compilation."""
OWN_FUNCTION = [*(peer.name for peer in (*GGML, *IK)), "zetascale"]
CUDA = ["gemlite", "bitblas"]
SHAPES = [(1, 97, 5), (3, 10, 1), (65, 256, 130)]
"""tokens, input and output features; a token alone and more than 64 of them go other ways"""


def peer_here(name, scheme=TERNARY):
    peer = BY_NAME[name]
    if reason := peer.why_not(scheme=scheme, device="cpu", dtype=torch.float32):
        pytest.skip(reason)
    return peer


def assert_keeps_promise(peer, layer, op, x):
    given = x.clone()
    with torch.no_grad():
        y = op(x)
    assert (y.shape, y.dtype) == ((*x.shape[:-1], layer.out_features), x.dtype)
    assert torch.equal(x, given)
    error = peer.disagreement(layer, x, peer.expected(layer, x), y)
    assert error <= peer.tolerance(layer.scheme, x.dtype, layer.in_features).relative


def random_layer(in_features, out_features, bits=1.58):
    layer = BitLinear(in_features, out_features, weight_bits=bits, norm=False, bias=True)
    torch.nn.init.normal_(layer.bias)
    return layer


@pytest.mark.parametrize("name", [*FOLLOW_THE_CONTRACT, *OWN_FUNCTION])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_keeps_its_promise(name, shape):
    peer, (m, k, n) = peer_here(name), shape
    layer = random_layer(k, n)
    op = peer.build(layer)
    layer_copy = layer_of(layer.weight.clone(), TERNARY)
    layer_copy.bias = torch.nn.Parameter(layer.bias.detach().clone())
    with torch.no_grad():
        layer.weight.zero_()  # the op is independent of it
    for x in (torch.randn(m, k), torch.randn(2, m, k)):
        assert_keeps_promise(peer, layer_copy, op, x)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPILED)
def test_keeps_its_promise_compiled(name):
    peer = peer_here(name)
    layer = random_layer(96, 6)
    assert_keeps_promise(peer, layer, peer.build(layer), torch.randn(3, 96))


@pytest.mark.parametrize("name", FOLLOW_THE_CONTRACT)
def test_agrees_with_what_was_recorded(name):
    peer, data = peer_here(name), golden("peers_b158")
    layer = layer_of(data["weight"], TERNARY)
    with torch.no_grad():
        y = peer.build(layer)(data["x"])
    assert relative_error(contract_forward(layer, data["x"]), y) < 1e-6
    recorded = {"litespark": "litespark103_mT", "bitlinear-pytorch": "bitlinear_pytorch050"}[name]
    assert relative_error(data[recorded], y) < 1e-6


@pytest.mark.parametrize("name", [*FOLLOW_THE_CONTRACT, *(peer.name for peer in (*GGML, *IK))])
def test_outputs_are_independent_and_repeatable(name):
    peer = peer_here(name)
    op, x = peer.build(random_layer(64, 70)), torch.randn(3, 64)
    with torch.no_grad():
        first = op(x)
        kept = first.clone()
        op(torch.randn(1, 64))  # another number of tokens, which rebuilds ggml's graph
        assert not torch.equal(op(-x), kept)
        assert torch.equal(first, kept)
        assert torch.equal(op(x), kept)


@pytest.mark.parametrize("name", ["ggml-tq2_0", "ik-iq2_bn_r4"])
def test_a_graph_is_computed_for_one_thread_at_a_time(name):
    op, inputs = peer_here(name).build(random_layer(512, 64)), [torch.randn(2, 512) for _ in range(4)]
    with torch.no_grad(), ThreadPoolExecutor(4) as threads:
        alone = [op(x) for x in inputs]
        for together in (list(threads.map(op, inputs)) for _ in range(30)):
            assert all(torch.equal(y, other) for y, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("peer", GGML, ids=lambda peer: peer.name)
@pytest.mark.parametrize("bits", [1, 1.58, 2, 3, 4, 8])
def test_the_weights_that_ggml_is_expected_to_keep_are_those_of_its_python_package(peer, bits):
    quants = pytest.importorskip("gguf.quants", reason="needs the package gguf: pip install gguf")
    if bits not in peer.weight_bits:
        reason = peer.why_not(scheme=Scheme(bits, 8, norm=False), device="cpu", dtype=torch.float32)
        assert reason
        return
    layer = BitLinear(512, 40, weight_bits=bits, norm=False)
    x = 127 * torch.eye(512)[:, None]  # a token a feature, which keeps its value in any block
    kind = quants.GGMLQuantizationType(peer._form.kind)
    kept = quants.dequantize(quants.quantize(effective_weight(layer).numpy(), kind), kind)
    assert np.array_equal(peer.expected(layer, x)[:, 0].T.numpy() / 127, kept.astype(np.float64))


@pytest.mark.parametrize("peer", [*GGML, *IK], ids=lambda peer: peer.name)
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_ggml_keeps_its_promise_for_other_weights(peer, bits):
    scheme = Scheme(bits, 8, norm=False)
    if bits not in peer.weight_bits:
        assert str(scheme) in peer_here(peer.name).why_not(scheme=scheme, device="cpu", dtype=torch.float32)
        return
    peer = peer_here(peer.name, scheme)
    layer = random_layer(300, 33, bits)
    x = torch.randn(5, 300)
    x[0] = 0
    assert_keeps_promise(peer, layer, peer.build(layer), x)


@pytest.mark.parametrize("name", ["litespark", *(peer.name for peer in (*GGML, *IK))])
def test_stores_as_few_bits_as_it_says(name):
    peer = peer_here(name)
    op = peer.build(BitLinear(512, 64, weight_bits=1.58, norm=False))
    bits = 8 * sum(tensor.nbytes for tensor in (*op.parameters(), *op.buffers())) / (512 * 64)
    promised = {
        "litespark": 2, "ggml-tq1_0": 1.6875, "ggml-tq2_0": 2.0625, "ggml-q4_0": 4.5, "ggml-q8_0": 8.5,
        "ik-iq2_bn_r4": 2.0625, "ik-iq2_bn": 2.0625, "ik-iq1_bn": 1.65625,
    }  # fmt: skip
    assert bits == promised[name]


@pytest.mark.parametrize("name", ["zeta_g1_128x10_20", "zeta_g1_3d_4x7x10_20", "zeta_g1_zero"])
def test_zetascale_is_expected_to_return_what_was_recorded(name):
    data = golden(name)
    layer = layer_of(data["weight"], Scheme(1, norm=False))
    assert relative_error(data["y"] + 1, Zetascale().expected(layer, data["x"]) + 1) < 1e-6


def test_zetascale_mixes_tokens_and_ignores_the_scale_of_its_weight():
    peer = Zetascale()
    layer, x = BitLinear(64, 8, norm=False), torch.randn(4, 64)
    x[0] /= 10
    assert not torch.equal(peer.expected(layer, x)[:1], peer.expected(layer, x[:1]))
    assert torch.equal(peer.expected(layer, x), peer.expected(layer_of(2 * layer.weight.detach(), layer.scheme), x))
    assert (peer.tokenwise, peer.homogeneous) == (False, False)


@pytest.mark.parametrize("name", CUDA)
def test_says_that_it_needs_a_gpu(name):
    assert "runs on cuda" in BY_NAME[name].why_not(scheme=TERNARY, device="cpu", dtype=torch.bfloat16)


def test_a_ring_of_what_does_not_scale_has_equal_layers():
    from suites.workloads.layer.ring import ring_of

    op = torch.nn.Linear(8, 8)
    layers, _ = ring_of(op, lambda gain: torch.nn.Linear(8, 8), lambda op: op(torch.ones(1, 8)), gains=1)
    assert {layer.gain for layer in layers} == {1.0}
