"""torchao's checkpoints: `dequantize()` and the linear layers of torchao are the oracle, where it is installed."""

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from bitlinear import PackedLinear
from bitlinear.checkpoints import CheckpointError, open_checkpoint
from bitlinear.engines.native import BuildError, NativeLinear
from bitlinear.engines.native.library import library
from tests.bitlinear.data.torchao_files import INT8, int8_parts, write_flattened

try:
    library()
    KINDS = [PackedLinear, NativeLinear]
except BuildError:
    KINDS = [PackedLinear]
INTX = {
    "block_size": [1, 24],
    "dtype": {"_type": "torch.dtype", "_data": "bfloat16"},
    "target_dtype": {"_type": "torch.dtype", "_data": "int4"},
    "activation_quantization": None,
}


@pytest.fixture(scope="module")
def quantization():
    return pytest.importorskip("torchao.quantization", reason="needs torchao")


def configured(quantization, name):
    """A configuration of torchao, by a name of this test."""
    q = quantization
    free = q.MappingType.SYMMETRIC_NO_CLIPPING_ERR
    return {
        "int8": lambda: q.Int8WeightOnlyConfig(set_inductor_config=False),
        "int8, one scale": lambda: q.Int8WeightOnlyConfig(granularity=q.PerTensor(), set_inductor_config=False),
        "int8, groups": lambda: q.Int8WeightOnlyConfig(granularity=q.PerGroup(64), set_inductor_config=False),
        "int8, dynamic": lambda: q.Int8DynamicActivationInt8WeightConfig(set_inductor_config=False),
        "int8, per tensor": lambda: q.Int8DynamicActivationInt8WeightConfig(
            granularity=q.PerTensor(), set_inductor_config=False
        ),
        "int4, dynamic": lambda: q.Int8DynamicActivationIntxWeightConfig(
            weight_dtype=torch.int4, weight_granularity=q.PerGroup(32)
        ),
        **{
            f"int{bits}": lambda bits=bits: q.IntxWeightOnlyConfig(
                weight_dtype=getattr(torch, f"int{bits}"), granularity=q.PerGroup(64), mapping_type=free
            )
            for bits in range(2, 8)
        },
    }[name]()


SCHEMES = {
    "int8": "w8a16-nonorm",
    "int8, one scale": "w8a16-nonorm",
    "int8, groups": "w8a16g4-nonorm",
    "int8, dynamic": "w8a8-nonorm",
    "int8, per tensor": "w8a16-nonorm",
    "int4, dynamic": "w5a16g8-nonorm",
    "int2": "w2a16g4-nonorm",  # the larger end of weights whose ends are alike is 1, and no end is -2
    **{f"int{bits}": f"w{bits + 1}a16g4-nonorm" for bits in range(3, 8)},
}


def flattened(quantization, name, path, dtype=torch.float32, weight=None):
    """A layer of torchao, and the file that torchao and safetensors make of it."""
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    model = nn.ModuleDict({"up": nn.Linear(256, 48, dtype=dtype)})
    if weight is not None:
        model["up"].weight = nn.Parameter(weight)
    quantization.quantize_(model, configured(quantization, name))
    tensors, metadata = flatten_tensor_state_dict(model.state_dict())
    save_file(tensors, path, metadata)
    return model["up"], open_checkpoint(path)


def assert_near(y, expected, error=1e-6):
    assert (y.double() - expected.double()).norm() <= error * expected.double().norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", SCHEMES)
def test_codes_times_scale_are_the_bits_that_torchao_dequantises(name, dtype, quantization, tmp_path):
    linear, file = flattened(quantization, name, tmp_path / "model.safetensors", dtype)
    expected = linear.weight.dequantize()
    assert (file.entries["up.weight"].shape, file.entries["up.weight"].has_codes) == ((48, 256), True)
    read = file.codes("up.weight")
    assert str(read.scheme) == SCHEMES[name]
    assert torch.equal(read.codes.flatten(1), linear.weight.qdata)
    for values in (read.dequantised().to(dtype), file.values("up.weight")):
        assert values.dtype == dtype
        assert torch.equal(values, expected)
    assert torch.equal(file.values("up.bias"), linear.bias)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SCHEMES)
def test_a_layer_of_the_codes_computes_what_torchao_does(name, kind, quantization, tmp_path):
    """The activations of torchao that no scheme has are made by torchao here."""
    from torchao.quantization.quantize_.workflows.intx import intx_unpacked_to_int8_tensor as intx

    linear, file = flattened(quantization, name, tmp_path / "model.safetensors")
    read, x = file.codes("up.weight"), torch.randn(5, 256)
    layer = kind.from_codes(read.codes, read.scale, replace(read.scheme, activation_bits=16), bias=read.bias)
    theirs = x
    if name == "int4, dynamic":
        theirs = intx._apply_int8_act_asym_per_token_quant_dequant(x)
        assert "a zero point for each token" in read.contract
    elif name in ("int8, dynamic", "int8, per tensor"):
        granularity = linear.weight.act_quant_kwargs.granularity
        theirs = quantization.Int8Tensor.from_hp(x, granularity).dequantize()
    assert_near(layer(theirs), linear(x))
    if name == "int8, dynamic":
        assert "step max|x| / 127.5, clamped at 127" in read.contract
        as_said = kind.from_codes(read.codes, read.scale, read.scheme, bias=read.bias)
        assert_near(as_said(x), linear(x), 0.02)  # another step of the activations


def test_ternary_weights_of_two_bits_are_read_as_two_bits(quantization, tmp_path):
    weight = torch.randint(-1, 2, (48, 256)) * 0.25
    weight[:, ::64] = 0.25  # the mapping without clipping takes the larger end
    _, file = flattened(quantization, "int2", tmp_path / "model.safetensors", weight=weight)
    read = file.codes("up.weight")
    assert read.scheme.weight_bits == 2
    assert torch.equal(read.dequantised(), weight)


def test_asymmetric_weights_and_other_classes_are_refused(quantization, tmp_path):
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    path = tmp_path / "model.safetensors"
    for config, message in (
        (
            quantization.IntxWeightOnlyConfig(torch.int4, mapping_type=quantization.MappingType.ASYMMETRIC),
            "'up.weight' has zero points that are not 0",
        ),
        (
            quantization.Float8WeightOnlyConfig(set_inductor_config=False),
            "'up.weight' is a Float8Tensor of torchao, which is not read",
        ),
    ):
        model = nn.ModuleDict({"up": nn.Linear(256, 48)})
        quantization.quantize_(model, config)
        tensors, metadata = flatten_tensor_state_dict(model.state_dict())
        save_file(tensors, path, metadata)
        for way in (open_checkpoint(path).codes, open_checkpoint(path).values):
            with pytest.raises(CheckpointError, match=message):
                way("up.weight")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation_bits", [8, 16])
def test_the_lowest_byte_is_a_code_like_any_other(kind, activation_bits, tmp_path):
    """The step of torchao is max / 127.5, so a row whose peak is negative has -128."""
    parts = int8_parts()
    parts["up._weight_qdata"][0] = -128
    read = open_checkpoint(write_flattened(tmp_path / "model.safetensors", parts)).codes("up.weight")
    scheme = replace(read.scheme, activation_bits=activation_bits)
    layer = kind.from_codes(read.codes, read.scale, scheme)
    x = torch.randint(-127, 128, (3, 48)).float()
    x[:, 0] = 127  # so that 8 bits hold x exactly
    x[0] = 127
    assert torch.equal(layer.dequantised_weight(), read.dequantised())
    assert_near(layer(x), F.linear(x.double(), read.dequantised().double()))


def test_sums_with_the_lowest_byte_stay_exact():
    """1040 products of 127 and 127 are exact in float32, and those of 127 and -128 are not."""
    codes = torch.full((1, 1, 1040), -128, dtype=torch.int8)
    codes[0, 0, 0] = -127
    layer = PackedLinear.from_codes(codes, torch.ones(1, 1), "w8a8-nonorm")
    x = torch.full((1, 1040), 127.0)
    assert layer._sum_dtype(x) == torch.float64
    assert_near(layer(x), torch.tensor([[-127.0 * (128 * 1039 + 127)]]), 1e-7)
    again = PackedLinear(1040, 1, "w8a8-nonorm", packing=layer.packing)
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again(x), layer(x))


def test_scales_of_blocks_of_rows_and_a_shard_without_the_weight(tmp_path):
    parts = {**int8_parts(), "up._weight_scale": torch.rand(2, 3)}
    path = write_flattened(tmp_path / "1.safetensors", parts, data={**INT8, "block_size": [4, 16]})
    read = open_checkpoint(path).codes("up.weight")
    expected = parts["up._weight_qdata"] * parts["up._weight_scale"].repeat_interleave(4, 0).repeat_interleave(16, 1)
    assert torch.equal(read.dequantised(), expected)
    write_flattened(tmp_path / "2.safetensors", {"up.norm": torch.ones(2)}, data={**INT8, "block_size": [4, 16]})
    assert torch.equal(open_checkpoint(tmp_path).codes("up.weight").codes, read.codes)
    with pytest.raises(CheckpointError, match=r"there is no tensor 'up\.weight'"):
        open_checkpoint(tmp_path / "2.safetensors").codes("up.weight")
    write_flattened(tmp_path / "2.safetensors", {"up.norm": torch.ones(2)})
    with pytest.raises(CheckpointError, match="is described otherwise than in another file"):
        open_checkpoint(tmp_path)


WRONG_PARTS = {
    "holds the code 8, and IntxUnpackedToInt8Tensor int4 has none": {},
    "has a scale that is not finite": {"up._weight_scale": torch.full((8, 2), torch.nan)},
    r"'up\._weight_scale' is F32 \(8, 1\); 'up\.weight' wants": {"up._weight_scale": torch.ones(8, 1)},
    r"'up\._weight_scale' is I8 \(8, 2\)": {"up._weight_scale": torch.ones(8, 2).char()},
    r"'up\._weight_qdata' is U8 \(8, 48\)": {"up._weight_qdata": torch.ones(8, 48).byte()},
    r"has shape \(8, 40\), which blocks of \(1, 24\) do not divide": {"up._weight_qdata": torch.ones(8, 40).char()},
    "has two dimensions": {"up._weight_qdata": torch.ones(2, 8, 48).char()},
    r"scales each input feature \(act_pre_scale\)": {"up._weight_act_pre_scale": torch.ones(48)},
    "has zero points that are not 0": {"up._weight_zero_point": torch.ones(8, 2)},
    r"'up\._weight_zero_point' is F32 \(1,\)": {"up._weight_zero_point": torch.zeros(1)},
}


@pytest.mark.parametrize("message", WRONG_PARTS)
def test_parts_that_do_not_fit_are_refused(message, tmp_path):
    codes = torch.randint(-8, 8, (8, 48), dtype=torch.int8)
    if not WRONG_PARTS[message]:
        codes[0, 0] = 8
    parts = {"up._weight_qdata": codes, "up._weight_scale": torch.ones(8, 2), **WRONG_PARTS[message]}
    path = write_flattened(tmp_path / "model.safetensors", parts, "IntxUnpackedToInt8Tensor", INTX)
    with pytest.raises(CheckpointError, match=message) as refused:
        open_checkpoint(path).codes("up.weight")
    assert "\n" not in str(refused.value)


def test_a_part_that_is_missing_is_named(tmp_path):
    parts = int8_parts()
    del parts["up._weight_scale"]
    with pytest.raises(CheckpointError, match=r"there is no tensor 'up\._weight_scale'"):
        open_checkpoint(write_flattened(tmp_path / "model.safetensors", parts)).codes("up.weight")


LYING = {
    "is no JSON": {"up.weight": "{"},
    "is no JSON: RecursionError": {"up.weight": "[" * 100_000},
    "is no list": {"tensor_names": "{}"},
    "is no dict": {"up.weight": "[]"},
    "lists the tensor 'down' and does not describe it": {"tensor_names": '["down"]'},
    "in a way that is not torchao's": {"up.weight": json.dumps({"_type": "a\nb", "_data": {}})},
    "with a block_size or dtype": {"up.weight": json.dumps({"_type": "Int8Tensor", "_data": {**INT8, "dtype": "F8"}})},
    "with a target_dtype": {"up.weight": json.dumps({"_type": "IntxUnpackedToInt8Tensor", "_data": INT8})},
}


@pytest.mark.parametrize("message", LYING)
def test_metadata_that_lies_is_refused(message, tmp_path):
    path = write_flattened(tmp_path / "model.safetensors", int8_parts(), **LYING[message])
    with pytest.raises(CheckpointError, match=message) as refused:
        open_checkpoint(path)
    assert "\n" not in str(refused.value)


def test_a_tensor_that_is_also_a_weight_in_parts_is_refused(tmp_path):
    path = write_flattened(tmp_path / "model.safetensors", {**int8_parts(), "up.weight": torch.ones(2)})
    with pytest.raises(CheckpointError, match=r"'up\.weight' is a tensor, and the metadata makes a Int8Tensor of it"):
        open_checkpoint(path)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["PerRow", "int4", "float32"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["_type", "_data"]), inner),
    max_leaves=5,
)


def read_all(path):
    """Codes and values of whatever can be read; what cannot is refused in a line."""
    read = {}
    try:
        file = open_checkpoint(path)
    except CheckpointError as refused:
        return {"": str(refused)}
    for name in file.entries:
        for way in (file.codes, file.values):
            try:
                read[name, way.__name__] = way(name)
            except CheckpointError as refused:
                read[name, way.__name__] = str(refused)
    return read


@settings(max_examples=200)
@given(data=st.data())
def test_any_metadata_is_read_or_refused_in_a_line(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    kind, valid = data.draw(st.sampled_from([("Int8Tensor", INT8), ("IntxUnpackedToInt8Tensor", INTX)]))
    keys = st.sampled_from([*INT8, *INTX, "act_quant_kwargs"])
    write_flattened(path, int8_parts(), kind, {**valid, **data.draw(st.dictionaries(keys, ANYTHING, max_size=3))})
    assert not any("\n" in read for read in read_all(path).values() if isinstance(read, str))


@settings(max_examples=200)
@given(data=st.data())
def test_flipped_bits_and_files_cut_off_are_read_or_refused_in_a_line(data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    damaged = bytearray(write_flattened(path, int8_parts()).read_bytes())
    header = 8 + int.from_bytes(damaged[:8], "little")
    for at in data.draw(st.lists(st.integers(0, header - 1), max_size=4)):
        damaged[at] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.integers(0, len(damaged)) | st.just(len(damaged)))
    path.write_bytes(damaged[:end])
    read = read_all(path)
    assert not any("\n" in one for one in read.values() if isinstance(one, str))
    assert end == len(damaged) or list(read) == [""]
