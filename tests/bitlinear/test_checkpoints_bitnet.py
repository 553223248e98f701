"""Hugging Face's BitNet files: the layers of transformers are the oracle."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from bitlinear import BitLinear, PackedLinear
from bitlinear.checkpoints import CheckpointError, open_checkpoint
from tests.bitlinear.data.checkpoint_files import ternary, write_bitnet

theirs = pytest.importorskip("transformers.integrations.bitnet", reason="needs transformers")
SCALE = torch.tensor([0.37])


@pytest.fixture(autouse=True)
def _not_compiled():
    """What transformers compiles would take seconds a shape."""
    with torch.compiler.set_stance("force_eager"), torch.no_grad():
        yield


def packed(codes):
    return theirs.pack_weights(codes.clone())  # it adds 1 to what it is given


def layer_of(read):
    return PackedLinear.from_codes(read.codes, read.scale, read.scheme, bias=read.bias)


def assert_computes(layer, op, columns=48):
    x = torch.randn(3, columns)
    expected = op(x)
    assert (layer(x) - expected).norm() <= 1e-6 * expected.norm()


def test_weight_scale_divides_in_bitlinear(tmp_path):
    codes, bias = ternary(8), torch.randn(8)
    tensors = {"up.weight": packed(codes), "up.weight_scale": SCALE, "up.bias": bias}
    read = open_checkpoint(write_bitnet(tmp_path, tensors)).codes("up.weight")
    op = theirs.BitLinear(48, 8, bias=True, dtype=torch.float32)
    op.load_state_dict({name.removeprefix("up."): tensor for name, tensor in tensors.items()})
    assert torch.equal(read.codes[:, 0], codes)
    assert_computes(layer_of(read), op)


@pytest.mark.parametrize("stored", [packed, torch.Tensor.float, torch.Tensor.bfloat16])
def test_weight_scale_multiplies_in_autobitlinear_and_scales_the_bias(stored, tmp_path):
    codes, bias = ternary(8), torch.randn(8)
    tensors = {"up.weight": stored(codes), "up.weight_scale": SCALE, "up.bias": bias}
    file = open_checkpoint(write_bitnet(tmp_path, tensors, linear_class="autobitlinear"))
    read = file.codes("up.weight")
    op = theirs.AutoBitLinear(48, 8, bias=True)
    op.load_state_dict({"weight": codes.float(), "weight_scale": SCALE, "bias": bias})
    assert torch.equal(read.codes[:, 0], codes)
    assert_computes(layer_of(read), op)
    assert file.entries["up.weight"].has_codes
    assert not file.entries["up.bias"].has_codes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_online_weights_are_quantised_as_transformers_does(dtype, tmp_path):
    weight = torch.randn(8, 48, dtype=dtype)
    config = {"linear_class": "autobitlinear", "quantization_mode": "online"}
    read = open_checkpoint(write_bitnet(tmp_path, {"up.weight": weight}, **config)).codes("up.weight")
    expected = theirs.WeightQuant.apply(weight)
    assert torch.equal(read.dequantised(), expected.float())
    op = theirs.AutoBitLinear(48, 8, bias=False, online_quant=True)
    op.weight = nn.Parameter(weight.float())
    if dtype == torch.float32:
        assert_computes(layer_of(read), op)


@pytest.mark.parametrize("rows", [1, 5, 6, 7, 130])
def test_rows_that_are_no_multiple_of_four_end_where_the_bias_does(rows, tmp_path):
    """Four rows to a byte, a quarter of them apart; what is padded would read as -1."""
    codes = ternary(rows)
    tensors = {"up.weight": packed(codes), "up.weight_scale": SCALE, "up.bias": torch.zeros(rows)}
    file = open_checkpoint(write_bitnet(tmp_path, tensors))
    assert file.entries["up.weight"].shape == (rows, 48)
    assert torch.equal(file.codes("up.weight").codes[:, 0], codes)
    del tensors["up.bias"]
    whole = open_checkpoint(write_bitnet(tmp_path, tensors)).codes("up.weight").codes[:, 0]
    assert torch.equal(whole[:rows], codes)
    assert len(whole) == -(-rows // 4) * 4
    assert (whole[rows:] == -1).all()


def test_half_precision_as_the_default_changes_nothing(tmp_path):
    tensors = {"up.weight": packed(ternary(8)), "up.weight_scale": SCALE.bfloat16(), "up.bias": torch.randn(8)}
    folder = write_bitnet(tmp_path, tensors, linear_class="autobitlinear")
    read = open_checkpoint(folder).codes("up.weight")
    torch.set_default_dtype(torch.float16)
    try:
        other = open_checkpoint(folder / "model.safetensors").codes("up.weight")
    finally:
        torch.set_default_dtype(torch.float32)
    for name in ("codes", "scale", "bias"):
        assert torch.equal(getattr(read, name), getattr(other, name))
        assert getattr(read, name).dtype == getattr(other, name).dtype


def test_an_rms_norm_of_the_layer_is_named(tmp_path):
    tensors = {"up.weight": packed(ternary(8)), "up.weight_scale": SCALE}
    read = open_checkpoint(write_bitnet(tmp_path, tensors, use_rms_norm=True)).codes("up.weight")
    assert "an RMS norm of the layer's own, which is not here" in read.contract


DAMAGED = {
    "holds the code 2, and packed ternary has none": {"up.weight": torch.full((2, 48), 0xFF, dtype=torch.uint8)},
    "has a scale that is not finite": {"up.weight_scale": torch.zeros(1)},
    "a weight_scale is one number": {"up.weight_scale": torch.ones(8)},
    "BitLinear of transformers wants packed uint8": {"up.weight": torch.ones(8, 48)},
    r"'up.bias' has shape \(11,\)": {"up.bias": torch.zeros(11)},
}


@pytest.mark.parametrize("message", DAMAGED)
def test_what_transformers_would_not_compute_is_refused(message, tmp_path):
    tensors = {"up.weight": packed(ternary(8)), "up.weight_scale": SCALE, **DAMAGED[message]}
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(write_bitnet(tmp_path, tensors)).codes("up.weight")


def test_floats_beside_a_weight_scale_have_to_be_codes(tmp_path):
    tensors = {"up.weight": torch.full((8, 48), 0.5), "up.weight_scale": SCALE}
    with pytest.raises(CheckpointError, match="holds values that are no ternary codes"):
        open_checkpoint(write_bitnet(tmp_path, tensors, linear_class="autobitlinear")).codes("up.weight")


@pytest.mark.parametrize(
    "text", ["{", "[" * 100_000, '{"quantization_config": {"quant_method": "bitnet", "linear_class": "x"}}'], ids=len
)
def test_a_config_that_is_damaged_is_refused(text, tmp_path):
    write_bitnet(tmp_path, {"up.weight": packed(ternary(8)), "up.weight_scale": SCALE})
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        open_checkpoint(tmp_path)


def test_without_a_config_nobody_knows_what_weight_scale_means(tmp_path):
    write_bitnet(tmp_path, {"up.weight": packed(ternary(8)), "up.weight_scale": SCALE})
    for text in (None, json.dumps({"model_type": "llama"}), "[]"):
        config = tmp_path / "config.json"
        config.unlink(missing_ok=True)
        if text:
            config.write_text(text)
        with pytest.raises(CheckpointError, match="nothing beside the file says that it holds codes"):
            open_checkpoint(tmp_path).codes("up.weight")


def test_plain_floats_that_were_dequantised_keep_their_codes(tmp_path):
    """Quantised anew by their mean magnitude they would lose a third of it."""
    codes = ternary(8)
    save_file({"up.weight": codes * 0.25}, tmp_path / "model.safetensors")
    linear = nn.Linear(48, 8, bias=False)
    linear.weight = nn.Parameter(open_checkpoint(tmp_path / "model.safetensors").values("up.weight"))
    layer = BitLinear.from_linear(linear, "w1.58a8-nonorm")
    found, scale = layer.quantised_weight()
    assert torch.equal(found.flatten(1), codes.float())
    assert scale.unique().tolist() == [0.25]


def test_a_folder_is_one_model_and_names_are_there_once(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "1.safetensors")
    save_file({"b": torch.zeros(3)}, tmp_path / "2.safetensors")
    file = open_checkpoint(tmp_path)
    assert {name: entry.shape for name, entry in file.entries.items()} == {"a": (2,), "b": (3,)}
    assert torch.equal(file.values("b"), torch.zeros(3))
    save_file({"a": torch.ones(2)}, tmp_path / "2.safetensors")
    with pytest.raises(CheckpointError, match=r"'a' is in 1\.safetensors and in 2\.safetensors"):
        open_checkpoint(tmp_path)
