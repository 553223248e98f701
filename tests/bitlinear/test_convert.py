import copy
import gc
import sys
import weakref

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from bitlinear import BitLinear, PackedLinear, Scheme, convert, replace_linear, survey


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        return self.down(self.up(self.attention(x, x, x)[0]))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.layers = nn.Sequential(Block(), Block())
        self.lm_head = nn.Linear(8, 11, bias=False)
        self.lm_head.weight = self.embed.weight

    def forward(self, ids):
        return self.lm_head(self.layers(self.embed(ids)))


def kinds(model):
    return {name: type(m).__name__ for name, m in model.named_modules() if "Linear" in type(m).__name__}


def test_linears_are_replaced_in_place_and_still_run():
    model = Model()
    parameters = {id(p) for p in model.parameters()}
    assert replace_linear(model, Scheme(1.58, groups=2), skip="lm_head") is model
    assert kinds(model) == {
        "layers.0.attention.out_proj": "NonDynamicallyQuantizableLinear",
        "layers.0.up": "BitLinear",
        "layers.0.down": "BitLinear",
        "layers.1.attention.out_proj": "NonDynamicallyQuantizableLinear",
        "layers.1.up": "BitLinear",
        "layers.1.down": "BitLinear",
        "lm_head": "Linear",
    }
    assert {id(p) for p in model.parameters()} == parameters
    assert str(model.layers[0].up.scheme) == "w1.58a8g2"
    assert model(torch.tensor([[1, 2, 3]])).shape == (1, 3, 11)


def test_tied_parameters_stay_tied():
    model = replace_linear(Model(), Scheme(), tied=True)
    assert isinstance(model.lm_head, BitLinear)
    assert model.lm_head.weight is model.embed.weight


def test_a_shared_layer_stays_shared_under_both_names():
    model = nn.Module()
    model.a = model.b = nn.Linear(4, 4)
    model.inner = nn.Sequential(model.a)
    replace_linear(model, Scheme())
    assert isinstance(model.a, BitLinear)
    assert model.a is model.b is model.inner[0]


def test_the_root_may_be_a_linear_and_bitlinears_stay():
    linear = nn.Linear(4, 4)
    assert isinstance(replace_linear(linear, Scheme()), BitLinear)
    assert replace_linear(linear, Scheme(), skip=lambda name, module: True) is linear
    kept = BitLinear(4, 4, weight_bits=4)
    assert replace_linear(nn.Sequential(kept), Scheme())[0] is kept


@pytest.mark.parametrize(
    ("skip", "left"),
    [
        (["layers.0"], {"layers.0.up", "layers.0.down", "lm_head"}),
        (["up", "lm_head"], {"layers.0.up", "layers.1.up", "lm_head"}),
        (lambda name, module: module.out_features == 16, {"layers.0.up", "layers.1.up", "lm_head"}),
    ],
)
def test_skip_takes_names_and_predicates(skip, left):
    model = replace_linear(Model(), Scheme(), skip=skip)
    assert {name for name, kind in kinds(model).items() if kind == "Linear"} == left


def test_nothing_is_replaced_when_something_cannot_be():
    model = Model()
    before = kinds(model)
    with pytest.raises(ValueError, match=r"groups=16 does not divide the input features of layers.0.up \(8\), layers"):
        replace_linear(model, Scheme(groups=16))
    with pytest.raises(ValueError, match=r"skip='head' matches no linear layer; the model has: layers\.0\.up, layers"):
        replace_linear(model, Scheme(), skip=["head"])
    assert kinds(model) == before


def test_a_name_is_read_once_and_a_generator_will_do():
    model = replace_linear(Model(), Scheme(), skip=(name for name in ["up", "lm_head"]))
    assert {name for name, kind in kinds(model).items() if kind == "Linear"} == {
        "layers.0.up",
        "layers.1.up",
        "lm_head",
    }


def test_many_names_and_layers_are_matched_in_proportion_to_their_number(monkeypatch):
    asked = 0

    def counted(name):
        nonlocal asked
        asked += 1
        return parts(name)

    module = sys.modules["bitlinear.models.names"]
    parts = module._whole_parts
    monkeypatch.setattr(module, "_whole_parts", counted)
    model = nn.ModuleList(nn.Linear(1, 1) for _ in range(100))
    replace_linear(model, Scheme(), skip=[str(number) for number in range(50)])
    assert asked == 100


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("implementation", [None, "native", "packed", "int8", "eager"])
@pytest.mark.parametrize("masked", [False, True])
def test_torchs_transformer_computes_in_eval_what_it_computes_in_training(implementation, norm_first, masked):
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True, norm_first=norm_first)
    for model in (nn.TransformerEncoder(copy.deepcopy(block), 2), nn.Sequential(block)):
        replace_linear(model, "w1.58a8")
        if implementation:
            convert(model, implementation)
        mask = {"src_key_padding_mask": torch.tensor([[False] * 5, [False] * 3 + [True] * 2])} if masked else {}
        layer, x = model if isinstance(model, nn.TransformerEncoder) else model[0], torch.randn(2, 5, 16)
        with torch.no_grad():
            right = layer.train()(x, **mask)
            torch.testing.assert_close(layer.eval()(x, **mask), right)


def test_a_layer_put_into_torchs_transformer_by_hand_is_called():
    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
    block.linear1 = BitLinear.from_linear(block.linear1, "w1.58a8")
    encoder, x = nn.TransformerEncoder(block, 2), torch.randn(2, 5, 16)
    mask = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    with torch.no_grad():
        right, y = encoder.train()(x, src_key_padding_mask=mask), encoder.eval()(x, src_key_padding_mask=mask)
    torch.testing.assert_close(y[~mask], right[~mask])


class Reads(nn.Module):
    def __init__(self):
        super().__init__()
        self.asked, self.used, self.called = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.several = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.inner = nn.Sequential(nn.Linear(4, 4))
        nn.init.zeros_(self.called.weight)

    def forward(self, x):
        if isinstance(self.asked.weight, torch.Tensor):
            x = self.asked(x.to(self.asked.weight.dtype))
        for index in range(2):
            x = x @ self.several[index].weight
        return self.called(x @ self.used.weight.T) + x @ self.inner[0].weight


def test_a_layer_whose_weight_the_parent_reads_is_left_and_said(caplog):
    model = replace_linear(nn.Sequential(Reads()), "w1.58a8")
    assert {name for name, kind in kinds(model).items() if kind == "BitLinear"} == {"0.asked", "0.called"}
    (message,) = caplog.messages
    assert "4 left as they are, because Reads.forward reads their weight instead of calling them" in message
    replace_linear(model, "w1.58a8", only_called=False)
    assert set(kinds(model).values()) == {"BitLinear"}


def test_torchs_own_readers_are_known():
    loss = nn.LinearCrossEntropyLoss(5, 10)
    assert list(survey(loss).left) == ["linear"]
    found = survey(nn.Transformer(8, 2, 1, 1, 16))
    assert all(name.endswith(("linear1", "linear2")) for name in found.linear)
    assert {name.rsplit(".", 1)[-1] for name in found.left} == {"self_attn", "multihead_attn", "out_proj"}


def test_attention_refuses_a_projection_that_it_would_read():
    attention, x = nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(1, 3, 8)
    attention.out_proj = PackedLinear.from_layer(BitLinear(8, 8))
    for mode in (attention.train(), attention.eval()):
        with torch.no_grad(), pytest.raises(TypeError, match="the weight of a PackedLinear is kept as codes"):
            mode(x, x, x)


class Conv1D(nn.Module):  # as transformers has it
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 4))


def test_what_is_no_linear_layer_is_said(caplog):
    pruned, normed = nn.Linear(4, 4), nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    prune.l1_unstructured(pruned, "weight", 0.5)
    model = nn.ModuleDict({"conv": Conv1D(), "pruned": pruned, "normed": normed, "embed": nn.Embedding(3, 4)})
    replace_linear(model, "w1.58a8")
    assert model["pruned"] is pruned
    (message,) = caplog.messages
    assert message.startswith("0 layers are BitLinear w1.58a8 now; the model has:")
    for line in (
        "because Conv1D is no nn.Linear and holds weight itself: conv",
        "because the weight is computed by a hook: remove pruning or weight norm first: pruned",
        "because the weight is computed by a parametrisation: remove it first: normed",
    ):
        assert line in message
    assert "embed" not in message


@pytest.mark.parametrize("implementation", ["native", "packed", "int8", "eager", "compiled"])
def test_a_whole_model_is_converted(implementation):
    torch.manual_seed(0)
    ids = torch.tensor([[1, 2, 3]])
    model = replace_linear(Model(), "w1.58a8", skip="lm_head").eval()
    right = model(ids)
    assert convert(model, implementation, skip="lm_head") is model
    assert not any(isinstance(module, BitLinear) for module in model.modules())
    torch.testing.assert_close(model(ids), right, rtol=1e-4, atol=1e-5)
    straight = convert(Model(), implementation, "w8a8-nonorm", skip=["lm_head"])
    assert {name for name, kind in kinds(straight).items() if kind == "Linear"} == {"lm_head"}
    assert straight(ids).shape == (1, 3, 11)


def test_converting_shares_what_was_shared_and_keeps_no_float_weight():
    model = nn.Module()
    model.a = model.b = nn.Linear(8, 8)
    weight = weakref.ref(model.a.weight)
    convert(model, "packed", "w4a8-nonorm")
    assert model.a is model.b
    assert isinstance(model.a, PackedLinear)
    gc.collect()
    assert weight() is None


def test_what_converting_costs_is_said(caplog):
    convert(Model(), "packed", "w1.58a8", tied=True)
    text = "\n".join(caplog.messages)
    assert "1 share their weight with another module, which keeps its floats: lm_head" in text
    assert "w1.58a8 normalises the input of layers that were not trained so; w1.58a8-nonorm does not" in text


def test_nothing_is_converted_when_something_cannot_be():
    model = Model()
    before = kinds(model)
    for arguments, words in (
        (("nativ", "w4a8"), "no implementation 'nativ'; did you mean 'native'"),
        (
            ("native",),
            r"the model has no BitLinear to convert; give a scheme for linear layers: convert\(model, 'native'",
        ),
        (("native", "w4a16-nonorm"), "layers.0.up cannot be converted: native multiplies codes of at most 8 bits"),
        (("packed", "w16a8"), "weight_bits=16 has none"),
        (("packed", "w4a8g16"), r"groups=16 does not divide the input features of layers.0.up \(8\)"),
        (("packed", "w4a8", "head"), "skip='head' matches no linear layer"),
    ):
        with pytest.raises(ValueError, match=words):
            convert(model, *arguments)
    assert kinds(model) == before


class Indirect(nn.Module):
    def __init__(self):
        super().__init__()
        self.named, self.asked, self.called = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.looped = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        self.listed, self.paired = nn.Linear(4, 4), nn.Linear(4, 4)
        self.by_key = nn.ModuleDict({"key": nn.Linear(4, 4)})

    def forward(self, x):
        named, _ = self.named, None
        layers = self.looped
        x = x @ named.weight + x @ getattr(self.asked, "weight")  # noqa: B009 - the way that is tested
        for _, layer in enumerate(layers):
            x = x @ layer.weight
        for layer in self.by_key.values():
            x = x @ layer.weight
        return self.called(x) @ torch.cat([layer.weight for layer in (self.listed, self.paired)], 1)[:, :4]


def test_a_weight_that_is_read_in_a_roundabout_way_is_found():
    assert survey(Indirect()).linear == ["called"]


def test_a_class_without_source_is_told_by_its_names():
    scope = {"nn": nn}
    text = "class Typed(nn.Module):\n def forward(self, x):\n  return self.called(x) @ self.used.weight"
    exec(text, scope)
    model = scope["Typed"]()
    model.used, model.other = nn.Linear(4, 4), nn.Linear(4, 4)
    assert survey(model).linear == ["other"]


@pytest.mark.parametrize("spoil", ["bias", "float8", "empty", "lazy"])
def test_a_layer_that_cannot_be_taken_over_is_left_and_said(spoil):
    odd = {"empty": nn.Linear(0, 4), "lazy": nn.LazyLinear(4)}.get(spoil) or nn.Linear(4, 4)
    if spoil == "bias":
        prune.l1_unstructured(odd, "bias", 0.5)
    if spoil == "float8":
        odd.weight.data = odd.weight.data.to(torch.float8_e4m3fn)
    words = {
        "bias": "the bias is computed by a hook",
        "float8": "float8_e4m3fn",
        "empty": "no features",
        "lazy": "call",
    }
    model = nn.Sequential(nn.Linear(4, 4), odd)
    assert words[spoil] in survey(model).left["1"]
    replace_linear(model, "w1.58a8")
    assert kinds(model) == {"0": "BitLinear", "1": type(odd).__name__}


def test_a_reparametrised_bitlinear_is_converted_as_it_computes():
    pruned, normed = BitLinear(8, 8), nn.utils.parametrizations.weight_norm(BitLinear(8, 8))
    prune.l1_unstructured(pruned, "weight", 0.5)
    model, x = nn.Sequential(pruned, normed), torch.randn(3, 8)
    right = model(x)
    torch.testing.assert_close(convert(model, "packed")(x), right)


def test_a_model_on_the_meta_device_is_converted():
    with torch.device("meta"):
        model = convert(nn.Sequential(nn.Linear(8, 4)), "packed", "w4a8-nonorm")
        assert model(torch.empty(2, 8)).shape == (2, 4)


def test_arguments_of_another_kind_are_named():
    with pytest.raises(TypeError, match="is a list; give a"):
        replace_linear([nn.Linear(4, 4)], "w4a8")
    with pytest.raises(TypeError, match="skip=None is a NoneType; give names, or a function"):
        replace_linear(nn.Sequential(nn.Linear(4, 4)), "w4a8", None)
    model = convert(nn.Sequential(nn.Linear(4, 4)), "packed", "w4a8-nonorm")
    with pytest.raises(ValueError, match="has:\n1 converted already"):
        convert(model, "packed", "w4a8")
