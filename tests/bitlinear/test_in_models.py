"""Layers where models, loaders, tracers and trainers of other people meet them: the same answer from each of them."""

import copy
import pickle
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

import bitlinear.implementations.compiled as compiled
from bitlinear import IMPLEMENTATIONS, BitLinear, PackedLinear, Scheme
from bitlinear.contract import contract_forward
from bitlinear.engines.native import NativeLinear
from bitlinear.layouts.packing import BASE3, Base3Packing, BitPacking  # noqa: F401 - names that a repr consists of

CPU = {"scheme": Scheme(1.58, groups=2), "device": "cpu", "dtype": torch.float32}
EVERY = [one for one in IMPLEMENTATIONS if not one.baseline and one.name != "triton" and one.why_not(**CPU) is None]
FROZEN = [one for one in EVERY if not one.trainable]
PLAIN = [one for one in FROZEN if one.name != "compiled"]
TRACED = ("eager", "native", "packed")
"""Exported by way of the compiler's tracer, too, which the dynamic graph takes for all of them."""
X = torch.randn(4, 16, generator=torch.Generator().manual_seed(1))
HALF = ("bf16", "bf16-naive", "fp16")

every = pytest.mark.parametrize("one", EVERY, ids=lambda one: one.name)
frozen = pytest.mark.parametrize("one", FROZEN, ids=lambda one: one.name)


def layer_of(seed=0, **options):
    torch.manual_seed(seed)
    return BitLinear(16, 6, 2, **{"weight_bits": 1.58, "bias": True, **options})


def close(one, a, b):
    bound = 0.1 if one.name == "bf16-naive" else 0.02 if one.name in HALF else 1e-5
    return ((a - b).norm() <= bound * b.norm()).item()


@pytest.fixture
def default_dtype():
    yield torch.set_default_dtype
    torch.set_default_dtype(torch.float32)


@every
def test_the_input_gets_the_straight_through_gradient(one):
    layer, upstream = layer_of(), torch.randn(4, 6)
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        right, leaf = (X.clone().to(dtype).requires_grad_() for _ in range(2))
        (layer(right) * upstream).sum().backward()
        y = one.build(layer)(leaf)
        y += 1  # as a residual connection may
        (y * upstream).sum().backward()
        assert leaf.grad.dtype == dtype
        assert F.cosine_similarity(leaf.grad.flatten().double(), right.grad.flatten().double(), 0) > 0.999


@every
def test_forward_mode_equals_reverse_mode(one):
    layer = layer_of()
    op = one.build(layer)
    forward, reverse = jacfwd(op)(X[0]), jacrev(op)(X[0])
    torch.testing.assert_close(forward, reverse, rtol=1e-4, atol=1e-5)
    assert close(one, reverse, jacrev(layer)(X[0]))
    assert close(one, vmap(grad(lambda x: op(x).sum()))(X), vmap(grad(lambda x: layer(x).sum()))(X))
    assert close(one, hessian(lambda x: op(x).sum())(X[0]), hessian(lambda x: layer(x).sum())(X[0]))


def test_forward_mode_of_the_unquantised_layer_is_that_of_a_linear_one():
    layer = BitLinear(2, 1, weight_bits=16, activation_bits=16, norm=False, dtype=torch.float64)
    torch.testing.assert_close(jacfwd(layer)(torch.randn(2, dtype=torch.float64)), layer.weight.detach())


@frozen
def test_an_adapter_before_a_checkpointed_layer_is_trained(one):
    adapter = nn.Linear(16, 16)
    checkpoint(one.build(layer_of()), adapter(X), use_reentrant=False).sum().backward()
    assert adapter.weight.grad.count_nonzero() > 0


@every
def test_autocast_changes_nothing(one):
    op = one.build(layer_of())
    with torch.no_grad():
        y = op(X)
        for dtype in (torch.bfloat16, torch.float16):
            with torch.autocast("cpu", dtype):
                assert torch.equal(op(X), y)


def test_the_float_baselines_keep_their_promise_under_autocast():
    layer = layer_of()
    for one in (one for one in IMPLEMENTATIONS if one.baseline):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            y = one.build(layer)(X)
        error = one.disagreement(layer, X, one.expected(layer, X), y)
        assert error <= one.tolerance(layer.scheme, X.dtype, 16).relative, one.name


@frozen
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_casts_leave_codes_and_scales_alone(one, dtype):
    op = one.build(layer_of(bias=False))
    before, y = {name: buffer.clone() for name, buffer in op.named_buffers()}, op(X)
    op.to(dtype)
    assert op.weight.dtype == dtype
    for name, buffer in op.named_buffers():
        assert buffer.dtype == before[name].dtype, name
        assert torch.equal(buffer, before[name]), name
    assert close(one, op(X), y)


@every
def test_global_defaults_are_not_the_layers(one, default_dtype):
    layer = layer_of()
    right = one.build(layer)(X)
    for dtype in (torch.bfloat16, torch.float64):
        default_dtype(dtype)
        assert torch.equal(one.build(layer)(X), right), dtype
        default_dtype(torch.float32)
    with torch.device("meta"):
        op = one.build(layer)
        assert close(one, op(X), right)


@every
def test_meta_gives_meta(one):
    y = one.build(layer_of()).to("meta")(torch.empty(3, 16, device="meta"))
    assert (y.is_meta, y.shape) == (True, (3, 6))


@pytest.mark.parametrize("kind", [PackedLinear, NativeLinear])
def test_a_state_is_loaded_under_another_default_dtype(kind, default_dtype):
    saved = kind.from_layer(layer_of())
    default_dtype(torch.bfloat16)
    loaded = kind(16, 6, "w1.58a8g2", bias=True)
    default_dtype(torch.float32)
    loaded.load_state_dict(saved.state_dict())
    assert close(EVERY[0], loaded(X), saved(X)) or loaded.bias.dtype == torch.bfloat16
    assert loaded.scale.dtype == torch.float32


@pytest.mark.parametrize("one", PLAIN, ids=lambda one: one.name)
def test_any_number_of_tokens_passes_a_dynamic_graph_and_an_exported_one(one):
    torch._dynamo.reset()
    op = one.build(layer_of())
    graph = torch.compile(op, fullgraph=True, dynamic=True, backend="eager")
    with torch.no_grad():
        open_tokens = {"dynamic_shapes": ({0: torch.export.Dim("tokens")},)}
        ways = (False, True) if one.name in TRACED else (False,)
        programs = [torch.export.export(op, (torch.randn(5, 16),), **open_tokens, strict=s) for s in ways]
        for tokens in (1, 2, 9):
            x = torch.randn(tokens, 16)
            assert close(one, graph(x), op(x))
            assert all(close(one, program.module()(x), op(x)) for program in programs)


@frozen
def test_gradients_pass_a_compiled_graph(one):
    torch._dynamo.reset()
    layer = layer_of()
    op = one.build(layer)
    graph = op if one.name == "compiled" else torch.compile(op, fullgraph=True, backend="aot_eager")
    right, leaf = X.clone().requires_grad_(), X.clone().requires_grad_()
    layer(right).sum().backward()
    with torch.autocast("cpu", torch.bfloat16):
        y = graph(leaf)
    y.sum().backward()
    assert y.dtype == torch.float32
    assert close(one, leaf.grad, right.grad)


def test_compiled_says_what_is_wrong_with_an_input_as_the_layer_does():
    op = compiled.Compiled().build(layer_of())
    for wrong, kind, words in ((X.long(), TypeError, "torch.int64"), (X[:, :5], ValueError, "in_features=16")):
        with pytest.raises(kind, match=words):
            op(wrong)
    torch.testing.assert_close(op(X), layer_of()(X))


@every
def test_an_ensemble_is_computed_at_once(one):
    ops = [one.build(layer_of(seed)) for seed in range(3)]
    shell = copy.deepcopy(ops[0]).to("meta")
    y = vmap(lambda *tensors: functional_call(shell, tensors, (X,)))(*torch.func.stack_module_state(ops))
    for op, its_own in zip(ops, y, strict=True):
        assert close(one, its_own, op(X))


def test_compiled_never_raises_for_want_of_room(monkeypatch, caplog):
    monkeypatch.setattr(compiled, "_SHAPES", 2)
    monkeypatch.setattr(compiled, "_CALLS", {})
    op, eager = compiled.Compiled().build(layer_of()), layer_of()
    with torch.no_grad():
        for tokens in (1, 2, 3, 4, 3, 1):
            x = torch.randn(tokens, 16)
            torch.testing.assert_close(op(x), eager(x))
    assert [record.getMessage() for record in caplog.records if record.name == "bitlinear"] == [
        "compiled: compiled for 2 input shapes, no more are; others run uncompiled, which is slower"
    ]


@pytest.mark.filterwarnings("ignore")
@every
def test_tracers_see_the_computation(one):
    op = one.build(layer_of())
    with torch.no_grad():
        y = op(X)
        for graph in (make_fx(op)(X), torch.jit.trace(op, X, check_trace=False)):
            torch.full_like(y, 7.0)  # what lies in free memory
            assert close(one, graph(X), y)


def test_native_is_one_operation_to_profilers_and_counters():
    op = NativeLinear.from_layer(layer_of())
    with torch.no_grad(), torch.profiler.profile() as profile:
        op(X)
    assert "bitlinear::native_linear" in {event.name for event in profile.events()}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        op(X)
    assert counter.get_total_flops() == 2 * 4 * 16 * 6


@every
def test_tensors_that_are_not_what_they_seem(one):
    op = one.build(layer_of())
    negated = torch.randn(3, 16, dtype=torch.cfloat).conj().imag
    assert negated.is_neg()
    assert close(one, op(negated), op(negated.resolve_neg()))
    assert close(one, vmap(op)(X.expand(3, 4, 16)), op(X).expand(3, 4, 6))
    for layout in (torch.strided, torch.jagged):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls nested tensors a prototype
            nested = torch.nested.nested_tensor([X[:2], X], layout=layout)
        parts = op(nested).unbind()
        assert all(close(one, part, op(x)) for part, x in zip(parts, (X[:2], X), strict=True))


@every
def test_tensors_of_another_layer_are_used_when_they_are_handed_in(one):
    op, other = one.build(layer_of()), one.build(layer_of(seed=1))
    tensors = {**dict(other.named_parameters()), **dict(other.named_buffers())}
    assert close(one, functional_call(op, tensors, (X,)), other(X))


@frozen
def test_buffers_may_be_added_and_registered_anew(one):
    op = one.build(layer_of())
    y, scale = op(X), op.scale
    op.register_buffer("extra", torch.zeros(1))
    del op.scale
    op.register_buffer("scale", scale)
    assert torch.equal(op(X), y)
    bias = op.bias
    del op.bias
    op.bias = nn.Parameter(bias + 1)
    assert close(one, op(X), y + 1)


@every
def test_a_bias_that_is_absent_is_a_parameter_or_buffer_that_is_none(one):
    op = one.build(layer_of(bias=False))
    assert op.bias is None
    if isinstance(op, BitLinear):
        op.register_parameter("bias", nn.Parameter(torch.ones(6)))
    else:
        op.register_buffer("bias", torch.ones(6))
    assert close(one, op(X), one.build(layer_of(bias=False))(X) + 1)


@frozen
def test_a_packed_weight_tells_what_it_is_and_refuses_to_be_multiplied(one):
    op = one.build(layer_of())
    weight = op.weight
    assert (weight.shape, weight.dtype, weight.device.type, weight.is_floating_point()) == (
        (6, 16),
        torch.float32,
        "cpu",
        True,
    )
    assert op(X.to(weight.dtype)).shape == (4, 6)
    for use in (lambda: F.linear(X, weight), lambda: X @ weight.T, lambda: weight.data, lambda: weight.float()):
        with pytest.raises(TypeError, match=rf"the weight of a {type(op).__name__} is kept as codes"):
            use()


class AsksForItsDtype(nn.Module):  # as T5 does
    def __init__(self, wo):
        super().__init__()
        self.wo = wo

    def forward(self, x):
        return self.wo(x.to(self.wo.weight.dtype))


@pytest.mark.parametrize("kind", [PackedLinear, NativeLinear])
def test_a_graph_may_ask_for_the_dtype_of_the_weight(kind):
    torch._dynamo.reset()
    model = AsksForItsDtype(kind.from_layer(layer_of()))
    with torch.no_grad():
        graph = torch.compile(model, fullgraph=True, backend="eager")
        assert torch.equal(graph(X.double()), model(X.double()))
        assert torch.export.export(model, (X,)).module()(X).shape == (4, 6)


@frozen
def test_the_dequantised_weight_is_codes_times_scale(one):
    layer = layer_of(bias=False)
    codes, scale = layer.quantised_weight()
    bound = 0.01 if one.name == "bf16-naive" else 1e-6
    torch.testing.assert_close(
        one.build(layer).dequantised_weight(), (codes * scale).flatten(1), rtol=bound, atol=bound
    )


@every
def test_the_scheme_travels_in_the_state(one, tmp_path):
    saved, other = one.build(layer_of()), one.build(layer_of(weight_bits=2))
    before = other(X)
    words = r"the state is of a layer of scheme w1\.58a8g2( in Base3.*)?, and this layer has w2a8g2"
    with pytest.raises(RuntimeError, match=words):
        other.load_state_dict(saved.state_dict())
    assert torch.equal(other(X), before)
    old = {name: tensor for name, tensor in saved.state_dict().items() if not name.endswith("_extra_state")}
    same = one.build(layer_of(seed=1))
    same.load_state_dict(old)
    assert torch.equal(same(X), saved(X))


@every
def test_layers_are_pickled_and_copied(one):
    op = one.build(layer_of())
    for twin in (pickle.loads(pickle.dumps(op)), copy.deepcopy(op)):
        assert close(one, twin(X), op(X))


def test_a_repr_is_a_call_that_makes_such_a_layer():
    layer = layer_of()
    for op in (
        layer,
        PackedLinear.from_layer(layer),
        PackedLinear.from_layer(layer, BASE3),
        NativeLinear.from_layer(layer),
    ):
        assert repr(eval(repr(op))) == repr(op)


@pytest.mark.parametrize("bits", [9, 12, 15, 16])
def test_wide_activations_are_right_or_refused(bits):
    layer = layer_of(activation_bits=bits, norm=False)
    expected = contract_forward(layer, X).float()
    torch.testing.assert_close(NativeLinear.from_layer(layer)(X), expected, rtol=1e-5, atol=1e-5)
    for one in (one for one in FROZEN if one.why_not(scheme=layer.scheme, device="cpu", dtype=torch.float32)):
        if one.name != "native":
            with pytest.raises(ValueError, match="codes of at most 8 bits"):
                one.build(layer)


@pytest.mark.parametrize("kind", [PackedLinear, NativeLinear])
def test_public_classes_refuse_in_the_same_words(kind):
    for sizes in ((0, 4), (-1, 4), (4, 0), (4.0, 4), (True, 4)):
        with pytest.raises(ValueError, match="both must be 1 or more"):
            kind(*sizes, Scheme())
    with pytest.raises(ValueError, match="weight_bits=16 has no codes to pack; keep the BitLinear"):
        kind.from_layer(BitLinear(8, 4, weight_bits=16))
    with pytest.raises(ValueError, match="in_features=10 is not divisible by groups=3"):
        kind(10, 4, "w1.58a8g3")
    with pytest.raises(ValueError, match=r"not a scheme: 'w1\.58'"):
        kind(10, 4, "w1.58")
    with pytest.raises(TypeError, match=r"scheme=1\.58 is a float; give a Scheme, or a text"):
        kind(10, 4, 1.58)


@every
def test_input_of_a_dtype_without_arithmetic_is_refused(one):
    op = one.build(layer_of())
    # Dynamo wraps the TypeError in one of its own.
    kind = Exception if one.name == "compiled" else TypeError
    with pytest.raises(kind, match=r"dtype torch\.float8_e4m3fn; give float32, bfloat16, float16 or float64"):
        op(torch.ones(1, 16).to(torch.float8_e4m3fn))
