"""Every implementation has every property that is asked of one; see `bitlinear.conformance`."""

import itertools

import pytest
import torch

from bitlinear import IMPLEMENTATIONS, BitLinear, Scheme
from bitlinear.conformance import INFORMATIVE, PROPERTIES, SCHEMES
from bitlinear.conformance.check import check, refused
from bitlinear.conformance.subject import Subject
from bitlinear.contract import accumulators
from bitlinear.quantize import activation_codes, normalise
from tests.bitlinear.conforms import assert_conforms

# Every shape and dtype costs `compiled` a second of compilation, so it walks a path through the grid: kinds of codes,
# activation bits and groups once, both layers, few tokens and many.
COMPILED = ["w1a4", "w1.58a8g2", "w3a8-nonorm", "w8a8-nonorm", "w4a16g5-nonorm"]
LAYERS = [(10, 20, True), (100, 1, False)]
"""in_features, out_features, bias"""
implementations = pytest.mark.parametrize(
    "implementation", [i for i in IMPLEMENTATIONS if i.name not in ("compiled", "triton")], ids=lambda i: i.name
)
"""`triton` needs a GPU or an interpreter of its own: triton_on_device.py."""


EVERY_SCHEME = ("why_not", "schemes")
"""Properties that are asked of the whole product of bits, groups and norm."""


@pytest.mark.parametrize("name", PROPERTIES)
@implementations
def test_has_the_property(implementation, name):
    schemes = SCHEMES[:1] if name in INFORMATIVE else SCHEMES if name in EVERY_SCHEME else in_pairs(implementation)
    subject = Subject(implementation, schemes)
    if reason := refused(subject):
        pytest.skip(reason)
    found = check(name, subject)
    assert found.fault == ""
    assert found.examples > 0


def in_pairs(implementation):
    """Schemes that it offers, as few as have every pair of bits, activation bits, groups and norm between them."""
    rest = {s: pairs_of(s) for s in SCHEMES if not implementation.why_not(scheme=s, device="cpu", dtype=torch.float32)}
    chosen, missing = [], set().union(*rest.values())
    while missing:
        chosen.append(max(rest, key=lambda scheme: len(rest[scheme] & missing)))
        missing -= rest[chosen[-1]]
    return chosen


def pairs_of(scheme):
    values = (scheme.weight_bits, scheme.activation_bits, scheme.groups, scheme.norm)
    return set(itertools.combinations(enumerate(values), 2))


def layer_of(scheme, in_features, out_features, bias):
    return BitLinear(
        in_features,
        out_features,
        scheme.groups,
        weight_bits=scheme.weight_bits,
        activation_bits=scheme.activation_bits,
        norm=scheme.norm,
        bias=bias,
    )


def awkward_tokens(in_features):
    """Ordinary tokens, zeros, an outlier channel, one NaN, one infinity: `(128, in_features)`."""
    x = torch.randn(128, in_features)
    x[0] = 0
    x[1, 0] *= 50
    x[2, 3] = float("nan")
    x[3, 4] = float("inf")
    return x


@pytest.mark.parametrize(("scheme", "shape"), list(zip(COMPILED, itertools.cycle(LAYERS))))
def test_compiled_agrees_with_what_it_promises(scheme, shape):
    compiled = next(i for i in IMPLEMENTATIONS if i.name == "compiled")
    layer = layer_of(Scheme.parse(scheme), *shape)
    assert compiled.why_not(scheme=layer.scheme, device="cpu", dtype=torch.float32) is None
    op = compiled.build(layer)
    with torch.inference_mode():
        for x in (awkward_tokens(layer.in_features), torch.empty(0, layer.in_features)):
            assert_conforms(compiled, layer, op, x)
        assert_conforms(compiled, layer, op, awkward_tokens(layer.in_features)[0].to(torch.bfloat16))


@pytest.mark.parametrize("tokens", [2, 20])
def test_compiled_is_exact_where_whole_vectors_are_computed_with(tokens):
    compiled, int8 = (next(i for i in IMPLEMENTATIONS if i.name == name) for name in ("compiled", "int8"))
    layer = layer_of(Scheme.parse("w1.58a8-nonorm"), 1000, 33, True)
    x = torch.randn(tokens, 1000)
    x[0] = 100 * torch.where(int8.build(layer).codes[0, 0] < 0, -1.0, 1.0)  # the largest sum that there can be
    with torch.inference_mode():
        torch.testing.assert_close(compiled.build(layer)(x), int8.build(layer)(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["eager", "int8", "bf16", "fp16"])
@pytest.mark.parametrize("scheme", ["w1a8-nonorm", "w1.58a8g5-nonorm", "w4a4g2-nonorm", "w8a8-nonorm"])
def test_codes_and_inner_sums_are_exact(name, scheme):
    implementation = next(i for i in IMPLEMENTATIONS if i.name == name)
    layer = layer_of(Scheme.parse(scheme), 1000, 33, False)
    x = torch.randn(20, 1000)
    op = implementation.build(layer)
    a, a_scale = op.quantise(x)
    codes, scale = activation_codes(normalise(x, layer.scheme), layer.scheme)
    shrink = a_scale / scale  # fp16 keeps its sums below 65504 by a power of two
    assert shrink.unique().numel() == 1
    assert torch.equal(a, codes * shrink)
    sums = torch.stack([op.accumulate(a[:, g], op.codes[g]) for g in range(layer.scheme.groups)], dim=1)
    exact = accumulators(layer, x) * shrink[0, 0, 0].double()
    if name in ("eager", "int8"):
        assert torch.equal(sums.double(), exact)
    else:
        assert torch.equal(sums, exact.to(sums.dtype))  # summed exactly, rounded once


def test_reference_and_eager_keep_their_promise_where_float32_rounds():
    layer = layer_of(Scheme(8, 8, norm=False), 14336, 32, False)
    x = torch.randn(8, 14336)
    for implementation in (i for i in IMPLEMENTATIONS if i.name in ("reference", "eager")):
        assert_conforms(implementation, layer, implementation.build(layer), x)
