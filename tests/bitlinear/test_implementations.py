"""What single implementations do beyond the conformance that all share."""

import os

import pytest
import torch
from torch import nn

from bitlinear import IMPLEMENTATIONS, BitLinear, Implementation, Scheme
from bitlinear.implementations import compiled, int8
from suites.catalogue.factory import from_factory

BY_NAME = {implementation.name: implementation for implementation in IMPLEMENTATIONS}


def stored_bytes(op):
    return sum(tensor.numel() * tensor.element_size() for tensor in [*op.parameters(), *op.buffers()])


def why_not(name, scheme="w1.58a8", device="cpu", dtype=torch.float32, training=False):
    return BY_NAME[name].why_not(scheme=Scheme.parse(scheme), device=device, dtype=dtype, training=training)


def disagreement(implementation, layer, x, y):
    return implementation.disagreement(layer, x, implementation.expected(layer, x), y)


def test_names_are_unique_and_summaries_are_lines():
    assert len(BY_NAME) == len(IMPLEMENTATIONS)
    assert all(i.summary and "\n" not in i.summary for i in IMPLEMENTATIONS)


def test_why_not_is_a_sentence_or_nothing():
    assert all(why_not(name) is None for name in BY_NAME if name != "triton")
    assert why_not("int8", "w1a16") == "int8 multiplies int8 codes, and activation_bits=16 does not fit them"
    assert why_not("eager", "w16a16") == "eager stores weight codes, and weight_bits=16 has none; use reference"
    assert why_not("packed-base3", "w2a8") is None
    assert why_not("packed-base3", "w1a8") == (
        "packed-base3 stores ternary codes, and weight_bits=1 has others; use packed"
    )
    assert why_not("int8", device="mps") == "torch._int_mm runs on cpu and cuda, not on mps"
    assert why_not("reference", device="mps", dtype=torch.float64) == "mps has no float64"
    assert why_not("eager", training=True) == "eager fixes its weights when it is built, so it cannot be trained"
    assert "underflow" in why_not("linear-fp16", training=True)


def test_why_not_misses_the_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert why_not("compiled") == (
        "torch.compile finds no C++ compiler 'no-such-compiler'; install it, or set CXX to another"
    )


def test_stored_bytes_are_those_of_the_codes():
    layer = BitLinear(64, 32, groups=2, weight_bits=4)
    weights, scales = 64 * 32, 2 * 32 * 4
    sizes = {"linear-fp32": 4, "linear-bf16": 2, "reference": 4}
    for name, size in sizes.items():
        assert stored_bytes(BY_NAME[name].build(layer)) == weights * size
    for name, size in {"eager": 4, "bf16": 2, "fp16": 2, "int8": 1}.items():
        assert stored_bytes(BY_NAME[name].build(layer)) == weights * size + scales


@pytest.mark.parametrize("name", [name for name, i in BY_NAME.items() if i.trainable])
def test_trainable_ops_have_gradients_of_their_own(name):
    layer, x = BitLinear(10, 20, groups=2, bias=True), torch.randn(4, 10)
    assert why_not(name, training=True) is None
    op = BY_NAME[name].build_trainable(layer)
    assert dict(op.named_parameters()).keys() == {"weight", "bias"}
    op(x).square().sum().backward()
    assert layer.weight.grad is None
    assert op.weight.grad.shape == (20, 10)
    if not BY_NAME[name].baseline:
        layer(x).square().sum().backward()
        torch.testing.assert_close(op.weight.grad, layer.weight.grad)
        torch.testing.assert_close(op.bias.grad, layer.bias.grad)


@pytest.mark.parametrize("scheme", ["w8a8-nonorm", "w1a8-nonorm", "w8a15-nonorm", "w1a16-nonorm", "w3a16g20"])
def test_fp16_does_not_overflow_where_every_product_has_one_sign(scheme):
    scheme = Scheme.parse(scheme)
    layer = BitLinear(
        2560,
        2,
        scheme.groups,
        weight_bits=scheme.weight_bits,
        activation_bits=scheme.activation_bits,
        norm=scheme.norm,
    )
    layer.weight.data = torch.stack([torch.ones(2560), -torch.ones(2560)])
    x = torch.full((1, 2560), 1e6)
    y = BY_NAME["fp16"].build(layer)(x)
    assert disagreement(BY_NAME["fp16"], layer, x, y) <= 1e-3


def test_int8_falls_back_and_says_so(monkeypatch):
    assert BY_NAME["int8"].build(BitLinear(10, 20)).note == ""
    layer, x = BitLinear(10, 20, norm=False), torch.randn(5, 10)
    good = BY_NAME["int8"].build(layer)(x)
    monkeypatch.setattr(int8, "_int_mm", lambda a, w: (a.int() @ w.int().T).clamp(-99, 99))
    op = BY_NAME["int8"].build(layer)
    assert op.note == "torch._int_mm is inexact for K=10, N=20 here; using a slower exact product"
    assert torch.equal(op(x), good)

    def refuse(a, w):
        raise RuntimeError("self.size(0) needs to be greater than 16\nand more")

    monkeypatch.setattr(int8, "_int_mm", refuse)
    op = BY_NAME["int8"].build(layer)
    assert op.note.startswith("torch._int_mm refuses K=10, N=20 here (self.size(0) needs to be greater than 16); using")
    assert torch.equal(op(x), good)


@pytest.mark.parametrize("out_features", [1, 2, 3, 16])
def test_int8_is_exact_for_one_input_feature(out_features):
    layer = BitLinear(1, out_features, weight_bits=8, norm=False)
    x = torch.randn(4, 1)
    y = BY_NAME["int8"].build(layer)(x)
    assert disagreement(BY_NAME["int8"], layer, x, y) <= 1e-6


def test_int8_adds_the_rows_that_a_device_wants(monkeypatch):
    layer, x = BitLinear(16, 8), torch.randn(3, 16)
    plain = BY_NAME["int8"].build(layer)(x)
    monkeypatch.setitem(int8._LEAST_ROWS, "cpu", 17)
    assert torch.equal(BY_NAME["int8"].build(layer)(x), plain)


def test_compiled_ops_do_not_count_against_each_other(monkeypatch):
    monkeypatch.setattr(compiled, "_SHAPES", 1)
    monkeypatch.setattr(compiled, "_CALLS", {})
    x = torch.randn(2, 4)
    for _ in range(3):
        layer = BitLinear(4, 3, norm=False)
        op, eager = BY_NAME["compiled"].build(layer), BY_NAME["eager"].build(layer)
        with torch.inference_mode():
            assert torch.equal(op(x), eager(x))


def test_compiled_ops_that_are_alike_are_compiled_once_for_all(monkeypatch):
    """As are the layers of a model, and the rings and second builds that are measured."""
    from torch._dynamo.utils import counters

    monkeypatch.setattr(compiled, "_CALLS", {})
    before, kept = counters["stats"]["unique_graphs"], []
    with torch.inference_mode():
        for size, groups in ((8, 1), (8, 1), (8, 2), (12, 1), (8, 1)):
            layer = BitLinear(size, 4, groups)
            kept.append(BY_NAME["compiled"].build(layer))
            x = torch.randn(3, size)
            torch.testing.assert_close(kept[-1](x), BY_NAME["eager"].build(layer)(x))
    assert counters["stats"]["unique_graphs"] - before == 3


def test_compiled_packs_what_it_can():
    bits = {1: 1, 1.58: 2, 2: 2, 3: 3.2, 4: 4, 5: 8, 8: 8}
    for weight_bits, stored in bits.items():
        op = BY_NAME["compiled"].build(BitLinear(2560, 32, weight_bits=weight_bits))
        assert op.codes.nbytes == stored * 2560 * 32 / 8
    assert BY_NAME["compiled"].build(BitLinear(64, 32, activation_bits=16)).codes.dtype == torch.float32


def test_warming_the_toolchain_leaves_the_environment_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for before in ("somewhere", None):
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", before) if before else monkeypatch.delenv(
            "TORCHINDUCTOR_CACHE_DIR"
        )
        with compiled._kept_cache():
            assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(tmp_path / "bitlinear-bench" / "inductor")
        assert os.environ.get("TORCHINDUCTOR_CACHE_DIR") == before
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with compiled._kept_cache():
        assert "TORCHINDUCTOR_CACHE_DIR" not in os.environ


def test_anyones_own_in_a_few_lines():
    def mine(layer):
        """Linear on the sign of the weight."""
        sign, scale = layer.weight.detach().sign(), layer.weight.detach().abs().mean()
        return lambda x: nn.functional.linear(x, sign) * scale

    implementation = from_factory(mine, "mine")
    assert (implementation.name, implementation.summary) == ("mine", "Linear on the sign of the weight.")
    layer, x = BitLinear(10, 20, activation_bits=16, norm=False), torch.randn(3, 10)
    layer.weight.data -= layer.weight.data.mean()
    y = implementation.build(layer)(x)
    assert disagreement(implementation, layer, x, y) <= implementation.tolerance(layer.scheme, x.dtype, 10).relative
    assert disagreement(implementation, layer, x, y + 0.01) > 1e-3
    assert disagreement(implementation, layer, x, y[:2]) == float("inf")
    assert disagreement(implementation, layer, x, y * float("nan")) == float("inf")


def test_classes_instances_and_nonsense_as_factories():
    class Mine(Implementation):
        name, summary = "mine", "a copy of the reference"

        def build(self, layer):
            return BY_NAME["reference"].build(layer)

    assert isinstance(from_factory(Mine, "x"), Mine)
    assert from_factory(instance := Mine(), "x") is instance
    with pytest.raises(TypeError, match="mod:obj is 3; give an Implementation, or a class or function"):
        from_factory(3, "mod:obj")
    with pytest.raises(TypeError, match="mod:obj is a BitLinear that is already built"):
        from_factory(BitLinear(2, 2), "mod:obj")
    with pytest.raises(TypeError, match=r"mod:obj cannot be made without arguments: .*'what'"):
        from_factory(type("Needy", (Mine,), {"__init__": lambda self, what: None}), "mod:obj")
    with pytest.raises(TypeError, match="mod:obj has no name and no summary"):
        from_factory(type("Nameless", (Implementation,), {"build": Mine.build}), "mod:obj")
    with pytest.raises(TypeError, match=r"mod:obj returned None; it must return an nn\.Module or a callable"):
        from_factory(lambda layer: None, "mod:obj").build(BitLinear(2, 2))
