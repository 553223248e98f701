"""GGUF files read bit for bit: the package gguf is the oracle for weights, what the peer expects for layers."""

import dataclasses
import struct
import sys

import gguf
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bitlinear import BitLinear, PackedLinear
from bitlinear.checkpoints import CheckpointError, open_checkpoint
from bitlinear.peers.ggml import GGML
from tests.bitlinear.data.checkpoint_files import KINDS, K, quantised, write_gguf

PEERS = {peer.name.removeprefix("ggml-").upper(): peer for peer in GGML}
kinds = pytest.mark.parametrize("kind", KINDS)


def opened(tmp_path, **tensors):
    return open_checkpoint(write_gguf(tmp_path / "model.gguf", tensors))


def bits(tensor):
    return torch.as_tensor(tensor).contiguous().view(torch.uint8)


@kinds
def test_codes_times_scale_are_the_bits_that_gguf_decodes(kind, tmp_path):
    """The sign of zeros included: Q4_0 has negative scales, and a block of zeros has the scale 0."""
    raw = quantised(kind)
    read = opened(tmp_path, weight=(raw, KINDS[kind])).codes("weight")
    expected = gguf.dequantize(raw, KINDS[kind])
    assert torch.equal(bits(read.dequantised()), bits(expected))
    assert (read.codes.dtype, read.scale.dtype) == (torch.int8, torch.float32)
    assert read.scale[0, 0] == 0
    assert read.group_size * read.scheme.groups == K
    if kind == "Q4_0":
        assert np.signbit(expected[expected == 0]).any()


@kinds
def test_a_layer_of_the_codes_computes_what_ggml_does(kind, tmp_path):
    raw = quantised(kind)
    bias = torch.randn(5)
    read = opened(tmp_path, **{"up.weight": (raw, KINDS[kind]), "up.bias": (bias.numpy(), None)}).codes("up.weight")
    layer = PackedLinear.from_codes(read.codes, read.scale, read.scheme, bias=read.bias)
    x = torch.randn(4, K)
    twin = BitLinear(K, 5, weight_bits=16, norm=False, bias=True)
    twin.weight.data, twin.bias.data = torch.from_numpy(gguf.dequantize(raw, KINDS[kind])), bias
    expected = PEERS[kind].expected(twin, x)
    half_scales = 2**-11 if "float16 scale for each 32" in read.contract else 0  # of ggml's activations
    assert (layer(x) - expected).norm() <= (1e-6 + half_scales) * expected.norm()


@kinds
def test_a_layer_without_quantised_activations_is_the_plain_product(kind, tmp_path):
    raw = quantised(kind)
    read = opened(tmp_path, weight=(raw, KINDS[kind])).codes("weight")
    scheme = dataclasses.replace(read.scheme, activation_bits=16)
    x = torch.randn(4, K)
    expected = F.linear(x.double(), torch.from_numpy(gguf.dequantize(raw, KINDS[kind])).double())
    assert (PackedLinear.from_codes(read.codes, read.scale, scheme)(x) - expected).norm() <= 1e-6 * expected.norm()


def test_ternary_weights_survive_as_tq_and_not_as_q4_0(tmp_path):
    """TQ takes the largest magnitude of a block for its scale, and Q4_0 an eighth of it, where 8 becomes 7."""
    weight = np.sign(np.random.default_rng(0).standard_normal((4, K)).astype(np.float32)) * np.float32(0.5)
    weight[:, ::3] = 0
    for kind in KINDS:
        read = opened(tmp_path, weight=(gguf.quantize(weight, KINDS[kind]), KINDS[kind])).codes("weight")
        values = set(read.dequantised().unique().tolist())
        if kind == "Q4_0":
            assert values & {0.4375, -0.4375}  # 7/8 of it
        elif kind != "Q8_0":
            assert values == {-0.5, 0.0, 0.5}
            assert torch.equal(read.dequantised(), torch.from_numpy(weight))


def test_values_have_the_dtype_of_the_file(tmp_path):
    floats = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    bf16 = gguf.quantize(floats, gguf.GGMLQuantizationType.BF16)
    raw = quantised("TQ2_0")
    file = opened(
        tmp_path,
        single=(floats, None),
        half=(floats.astype(np.float16), None),
        brain=(bf16, gguf.GGMLQuantizationType.BF16),
        coded=(raw, KINDS["TQ2_0"]),
        five=(
            gguf.quantize(floats.reshape(1, 12).repeat(32, axis=1), gguf.GGMLQuantizationType.Q5_0),
            gguf.GGMLQuantizationType.Q5_0,
        ),
        whole=(np.arange(3, dtype=np.int32), None),
    )
    for name, dtype in {"single": torch.float32, "half": torch.float16, "brain": torch.bfloat16}.items():
        values = file.values(name)
        assert (values.dtype, file.entries[name].has_codes) == (dtype, False)
        assert torch.equal(values.float(), torch.from_numpy(floats))
    assert torch.equal(bits(file.values("coded")), bits(file.codes("coded").dequantised()))
    assert file.values("five").shape == (1, 384)
    assert (file.entries["coded"].shape, file.entries["coded"].format) == ((5, K), "TQ2_0")
    with pytest.raises(CheckpointError, match="'whole' is I32, which the package gguf lists and does not decode"):
        file.values("whole")
    with pytest.raises(CheckpointError, match="'single' has shape"):
        file.codes("single")
    with pytest.raises(CheckpointError, match="'five' is ggml's type 6, which is not read as codes; read its values"):
        file.codes("five")
    with pytest.raises(CheckpointError, match=r"there is no tensor 'singel'; did you mean 'single'\?"):
        file.codes("singel")


def test_what_needs_the_package_says_so(tmp_path, monkeypatch):
    raw = quantised("TQ2_0")
    file = opened(tmp_path, weight=(raw, KINDS["TQ2_0"]))
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert file.codes("weight").codes.shape == (5, 2, 256)  # codes do not need it
    with pytest.raises(CheckpointError, match=r"pip install 'bitlinear-bench\[checkpoints\]'"):
        file.values("weight")


def with_type(path, old, new):
    """Rewrites the type of the only tensor."""
    data = path.read_bytes()
    at = data.index(b"weight") + len(b"weight") + 4 + 16
    assert struct.unpack_from("<I", data, at) == (old,)
    path.write_bytes(data[:at] + struct.pack("<I", new) + data[at + 4 :])


@pytest.mark.parametrize(
    ("kind", "message"),
    [(36, "I2_S of bitnet.cpp has another layout for each processor"), (4, "does not know"), (999, "does not know")],
)
def test_types_that_cannot_be_read_say_why(kind, message, tmp_path):
    path = write_gguf(tmp_path / "model.gguf", {"weight": (quantised("Q8_0"), KINDS["Q8_0"])})
    with_type(path, 8, kind)
    file = open_checkpoint(path)
    with pytest.raises(CheckpointError, match=message):
        file.values("weight")
    with pytest.raises(CheckpointError):
        file.codes("weight")


@pytest.mark.parametrize(
    ("kind", "byte", "message"),
    [
        ("TQ2_0", 0xFF, "holds the code 2, and TQ2_0 has none"),
        ("Q8_0", 0x80, "holds the code -128, and Q8_0 has none"),
    ],
)
def test_codes_that_the_format_does_not_have_are_refused(kind, byte, message, tmp_path):
    raw = quantised(kind)
    raw[2, 10] = byte
    with pytest.raises(CheckpointError, match=message):
        opened(tmp_path, weight=(raw, KINDS[kind])).codes("weight")


def test_a_scale_that_is_not_finite_is_refused(tmp_path):
    raw = quantised("TQ1_0")
    raw[2, 52:54] = np.array([np.inf], np.float16).view(np.uint8)
    with pytest.raises(CheckpointError, match="has a scale that is not finite"):
        opened(tmp_path, weight=(raw, KINDS["TQ1_0"])).codes("weight")
