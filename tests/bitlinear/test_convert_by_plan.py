"""Whole models by a plan: schemes layer by layer, group sizes, only some layers, tied heads, Conv1D, experts."""

import copy
import logging
import pickle

import pytest
import torch
from torch import nn

from bitlinear import BitLinear, PackedLinear, convert, replace_linear, survey
from bitlinear.models.plan import Plan
from bitlinear.models.record import conversion_of, stored_bytes
from bitlinear.quantize import weight_codes
from bitlinear.scheme import Scheme


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(12, 32), nn.Linear(32, 12)

    def forward(self, x):
        return x + self.down(self.up(x).relu())


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 12)
        self.layers = nn.Sequential(Block(), Block())
        self.lm_head = nn.Linear(12, 11, bias=False)
        self.lm_head.weight = self.embed.weight

    def forward(self, ids):
        return self.lm_head(self.layers(self.embed(ids)))


def schemes_in(model):
    return {name: str(m.scheme) for name, m in model.named_modules() if hasattr(m, "scheme")}


IDS = torch.tensor([[1, 2, 3]])
PLAN = {"layers.*.down": "w8a8gs8-nonorm", "*": "w4a8gs4-nonorm", "layers.0.down": "w2a8-nonorm", "layers.1.up": None}
GIVEN = {"layers.0.up": "w4a8g3-nonorm", "layers.0.down": "w2a8-nonorm", "layers.1.down": "w4a8g8-nonorm"}


def test_a_group_size_fits_layers_of_all_widths():
    assert schemes_in(replace_linear(Model(), "w4a8gs4-nonorm")) == {
        "layers.0.up": "w4a8g3-nonorm",
        "layers.0.down": "w4a8g8-nonorm",
        "layers.1.up": "w4a8g3-nonorm",
        "layers.1.down": "w4a8g8-nonorm",
    }
    with pytest.raises(
        ValueError, match=r"a group size of 8 does not divide the input features of layers\.0\.up \(12\), l"
    ):
        replace_linear(Model(), "w4a8gs8-nonorm")
    linear = nn.Linear(12, 4)
    by_size, by_number = (BitLinear.from_linear(linear, scheme) for scheme in ("w4a8gs4", "w4a8g3"))
    assert repr(by_size) == repr(by_number)
    assert repr(PackedLinear(12, 4, "w4a8gs4")) == repr(PackedLinear(12, 4, "w4a8g3"))


@pytest.mark.parametrize("form", ["mapping", "plan", "file"])
@pytest.mark.parametrize("to", ["BitLinear", "packed", "native"])
def test_each_layer_gets_the_scheme_of_its_rule(tmp_path, form, to):
    plan = Plan.of(PLAN)
    plan.save(tmp_path / "plan.json")
    given = {"mapping": PLAN, "plan": plan, "file": tmp_path / "plan.json"}[form]
    torch.manual_seed(0)
    model = Model()
    right = replace_linear(copy.deepcopy(model), given)
    made = right if to == "BitLinear" else convert(model, to, given)
    assert schemes_in(made) == GIVEN
    assert type(made.layers[1].up) is nn.Linear
    torch.testing.assert_close(made(IDS), right(IDS), rtol=1e-5, atol=1e-5)
    record = conversion_of(made)
    assert {name: str(scheme) for name, scheme in record.schemes.items()} == GIVEN
    assert record.skipped == ["layers.1.up"]
    assert "their weight is that of embed" in record.left["lm_head"]


def test_a_plan_that_fits_no_layer_changes_nothing():
    model = Model()
    for plan, words in (
        ({"*": "w4a8", "layer.0.up": "w8a8"}, r"'layer\.0\.up', which matches no layer; did you mean layers\.0\.up or"),
        ({"embed": "w4a8"}, "'embed', which matches no layer"),
        ({"*": "w4a8g3"}, r"groups=3 does not divide the input features of layers\.0\.down \(32\), layers\.1\.down"),
    ):
        for change in (replace_linear, lambda m, given: convert(m, "packed", given)):
            with pytest.raises(ValueError, match=words):
                change(model, plan)
    assert schemes_in(model) == {}


def test_one_layer_under_two_names_has_one_scheme():
    model = nn.Module()
    model.a = model.b = nn.Linear(4, 4)
    with pytest.raises(
        ValueError, match="a and b are one layer, and the plan gives them w4a8 and None; give both the same"
    ):
        replace_linear(model, {"a": "w4a8"})
    replace_linear(model, {"[ab]": "w4a8"})
    assert model.a is model.b
    assert len(conversion_of(model).replaced) == 1


@pytest.mark.parametrize("only", ["up", ["layers.0.up", "layers.1.up"], lambda name, layer: layer.out_features == 32])
def test_only_leaves_all_others(only):
    assert set(schemes_in(replace_linear(Model(), "w4a8", only=only))) == {"layers.0.up", "layers.1.up"}
    assert set(schemes_in(convert(Model(), "packed", "w4a8", "layers.0", only=only))) == {"layers.1.up"}
    assert "lm_head" in survey(Model(), only=only).skipped
    for wrong, error in (("upp", ValueError), (3, TypeError)):
        with pytest.raises(error, match="only="):
            replace_linear(Model(), "w4a8", only=wrong)


def test_a_tied_head_is_converted_only_when_asked():
    assert "their weight is that of embed, which keeps it in floats" in survey(Model()).left["lm_head"]
    assert survey(Model(), tied=True).linear[-1] == "lm_head"
    small, large = (convert(Model(), "packed", "w8a8-nonorm", tied=tied) for tied in (False, True))
    assert stored_bytes(large) > stored_bytes(small)
    assert large.embed.weight.is_floating_point()
    untied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    untied[1].weight = untied[0].weight
    assert survey(untied).linear == ["0", "1"]  # codes of both, and no floats are left


def test_what_was_done_is_kept_with_the_model(caplog):
    caplog.set_level(logging.INFO, "bitlinear")
    model = Model()
    with pytest.raises(ValueError, match="this Model was not converted"):
        conversion_of(model)
    before = stored_bytes(model)
    replace_linear(model, Plan.of(PLAN))
    assert "layers are BitLinear w8a8gs8-nonorm or w4a8gs4-nonorm or w2a8-nonorm now" in caplog.text
    trained = conversion_of(model)
    assert (trained.bytes_before, trained.bytes_after) == (before, before)
    convert(model, "packed")
    for one in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        done = conversion_of(one)
        assert (done.bytes_before, done.bytes_after) == (before, stored_bytes(model))
        weights = sum(m.codes.nbytes + m.scale.nbytes for m in one.modules() if isinstance(m, PackedLinear))
        assert done.packed_bytes == trained.packed_bytes == weights
        assert {replaced.was for replaced in done.replaced} == {"BitLinear"}
        assert "1 BitLinear are PackedLinear w2a8-nonorm now: layers.0.down" in str(done)
        assert str(done).endswith(f"{before:,} bytes before, {stored_bytes(model):,} after")


def test_the_state_of_one_width_is_refused_by_another():
    four, three = (convert(Model(), "packed", scheme) for scheme in ("w4a8-nonorm", "w3a8-nonorm"))
    with pytest.raises(
        RuntimeError, match=r"layers\.0\.up: the state is of a layer of scheme w4a8-nonorm, and this layer"
    ):
        three.load_state_dict(four.state_dict())
    by_size = replace_linear(Model(), "w4a8gs4-nonorm")
    by_size.load_state_dict(replace_linear(Model(), {"*.up": "w4a8g3-nonorm", "*.down": "w4a8g8-nonorm"}).state_dict())


def quantised(weight, scheme):
    codes, scale = weight_codes(weight, Scheme.parse(scheme).for_features(weight.shape[1]))
    return (codes * scale).flatten(1)


def test_gpt2_of_conv1d_computes_as_if_its_weights_were_quantised_by_hand():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=50, n_positions=16, n_embd=24, n_layer=2, n_head=2)
    model = transformers.GPT2LMHeadModel(config).eval()
    by_hand = copy.deepcopy(model)
    for layer in by_hand.modules():
        if type(layer).__name__ == "Conv1D":
            layer.weight.data = quantised(layer.weight.data.T, "w4a16gs8-nonorm").T
    made = replace_linear(copy.deepcopy(model), "w4a16gs8-nonorm")
    assert not any(type(layer).__name__ == "Conv1D" for layer in made.modules())
    assert conversion_of(made).replaced[0].was == "Conv1D"
    assert list(conversion_of(made).left) == ["lm_head"]
    ids = torch.randint(0, 50, (2, 16))
    with torch.no_grad():
        right = by_hand(ids).logits
        torch.testing.assert_close(made(ids).logits, right, rtol=1e-5, atol=1e-5)
        assert (model(ids).logits - right).norm() > 1e-2 * right.norm()
        packed = convert(model, "packed", "w4a16gs8-nonorm")
        torch.testing.assert_close(packed(ids).logits, right, rtol=1e-5, atol=1e-5)


class Conv1D(nn.Module):  # as transformers has it
    def __init__(self, nf, nx):
        super().__init__()
        self.nf = nf
        self.weight, self.bias = nn.Parameter(torch.randn(nx, nf)), nn.Parameter(torch.randn(nf))

    def forward(self, x):
        return x @ self.weight + self.bias


def test_a_conv1d_is_turned():
    layer, x = Conv1D(6, 8), torch.randn(3, 8)
    layer.weight.requires_grad_(False)
    model = replace_linear(nn.Sequential(layer).eval(), "w16a16-nonorm")
    torch.testing.assert_close(model(x), layer(x))
    assert model[0].bias is layer.bias
    assert (model[0].weight.requires_grad, model[0].training) == (False, False)
    assert (model[0].in_features, model[0].out_features) == (8, 6)
    tied = nn.Sequential(Conv1D(8, 8), Conv1D(8, 8))
    tied[1].weight = tied[0].weight
    assert "a transposed copy would not be" in survey(tied, tied=True).left["1"]


class Experts(nn.Module):
    def __init__(self, *shape):
        super().__init__()
        self.up_proj, self.up_proj_bias = (
            nn.Parameter(torch.randn(shape)),
            nn.Parameter(torch.randn(shape[0], shape[2])),
        )


@pytest.mark.parametrize(("said", "word"), [(False, True), (True, True), (None, "out-in"), (None, "in-out")])
def test_experts_are_quantised_one_by_one_the_right_way_round(said, word):
    torch.manual_seed(0)
    model = nn.Sequential(Experts(3, 8, 12), nn.Linear(12, 12))
    if said is not None:
        model[0].is_transposed = said
    turned = said if said is not None else word == "in-out"
    before, parameter = model[0].up_proj.detach().clone(), model[0].up_proj
    assert "experts=True quantises" in survey(model).left["0.up_proj"]
    replace_linear(model, {"0.up_proj": "w1.58a8gs4-nonorm", "1": "w4a8-nonorm"}, experts=word)
    for now, old in zip(model[0].up_proj, before, strict=True):
        right = quantised(old.T, "w1.58a8gs4-nonorm").T if turned else quantised(old, "w1.58a8gs4-nonorm")
        torch.testing.assert_close(now, right)
    assert model[0].up_proj is parameter
    (_, record) = conversion_of(model).replaced
    sizes = (12, 8) if turned else (8, 12)
    assert (record.count, record.out_features, record.in_features) == (3, *sizes)
    assert str(record.scheme) == ("w1.58a8g2-nonorm" if turned else "w1.58a8g3-nonorm")


def test_the_side_of_experts_is_never_guessed():
    model = nn.Sequential(Experts(3, 8, 12))
    assert "does not say which way round its weights are" in survey(model, experts=True).left["0.up_proj"]
    with pytest.raises(ValueError, match="experts='in_out'; give True, or 'out-in' or 'in-out'"):
        survey(model, experts="in_out")


@pytest.mark.parametrize("kind", ["Qwen3Moe", "Mixtral", "GptOss"])
def test_mixtures_of_transformers_say_which_way_round_they_are(kind):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2}
    experts = {"num_experts": 4, "moe_intermediate_size": 8, "num_local_experts": 4, "num_experts_per_tok": 2}
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=30, intermediate_size=8, head_dim=8, pad_token_id=0, **sizes, **experts
    )
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    by_hand = copy.deepcopy(model)
    for name, parameter in by_hand.named_parameters():
        if name.endswith(("experts.down_proj", "experts.gate_up_proj")):
            turn = (lambda w: w.T) if kind == "GptOss" else (lambda w: w)
            parameter.data = torch.stack([turn(quantised(turn(w), "w4a8gs4-nonorm")) for w in parameter.data])
    found = survey(model, experts=True)
    assert [name.rpartition(".")[2] for name in found.experts] == ["gate_up_proj", "down_proj"]
    made = replace_linear(model, {"*.experts.*": "w4a8gs4-nonorm"}, experts=True)
    ids = torch.arange(6)[None]
    with torch.no_grad():
        torch.testing.assert_close(made(ids).logits, by_hand(ids).logits)
