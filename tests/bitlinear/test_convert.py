import pytest
import torch
from torch import nn

from bitlinear import BitLinear, Scheme, replace_linear


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
    model = replace_linear(Model(), Scheme())
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
        (["layers.0"], {"layers.0.up", "layers.0.down"}),
        (["up", "lm_head"], {"layers.0.up", "layers.1.up", "lm_head"}),
        (lambda name, module: module.out_features == 16, {"layers.0.up", "layers.1.up"}),
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
