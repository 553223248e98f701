"""Damaged checkpoints: read right or refused in a line, in bounded memory."""

import json
import struct
import tracemalloc

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from bitlinear.checkpoints import CheckpointError, open_checkpoint
from bitlinear.checkpoints.gguf_formats import BLOCKS
from tests.bitlinear.data.checkpoint_files import KINDS, quantised, ternary, write_bitnet, write_gguf

MOST_MEMORY = 1 << 20
"""Bytes; the files have a few thousand."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@pytest.fixture(scope="module")
def valid(folder):
    """The bytes of a valid file of each format, by the name that a damaged one is to have."""
    tensors = {kind: (quantised(kind, rows=1), one) for kind, one in KINDS.items()}
    tensors["floats"] = (np.ones((2, 3), np.float32), None)
    metadata = [("tokens", ["a", "bc", "def"]), ("sizes", [1, 2, 3])]
    packed = (ternary(8) + 1).view(torch.uint8)[:2]
    write_bitnet(folder, {"up.weight": packed, "up.weight_scale": torch.ones(1), "up.bias": torch.ones(8)})
    return {
        "model.gguf": write_gguf(folder / "model.gguf", tensors, metadata).read_bytes(),
        "model.safetensors": (folder / "model.safetensors").read_bytes(),
    }


def outcome(call, *arguments):
    """What a call returns, or None where it refuses in one line."""
    try:
        return call(*arguments)
    except CheckpointError as refused:
        message = str(refused)
    assert "\n" not in message
    return None


def read_all(path):
    """Every tensor that can be read, by its name and the way of reading it."""
    file = outcome(open_checkpoint, path)
    if file is None:
        return {}
    ways = {(name, way): outcome(getattr(file, way), name) for name in file.entries for way in ("codes", "values")}
    return {key: read for key, read in ways.items() if read is not None}


def read_within_bounds(path):
    tracemalloc.start()
    try:
        read = read_all(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    return read


@pytest.mark.parametrize("name", ["model.gguf", "model.safetensors"])
def test_every_file_that_is_cut_off_is_refused(valid, folder, name):
    whole = valid[name]
    (folder / name).write_bytes(whole)
    everything = read_within_bounds(folder / name)
    assert {way for _, way in everything} == {"codes", "values"}
    for size in [*range(0, len(whole), 7), len(whole) - 1]:
        (folder / name).write_bytes(whole[:size])
        assert size > len(whole) - 32 or len(read_within_bounds(folder / name)) == 0, size  # but for padding


@pytest.mark.parametrize("name", ["model.gguf", "model.safetensors"])
@settings(max_examples=300)
@given(data=st.data())
def test_flipped_bits_are_read_right_or_refused(valid, folder, name, data):
    damaged = bytearray(valid[name])
    header = min(len(damaged), 600)
    places = st.one_of(st.integers(0, header - 1), st.integers(0, len(damaged) - 1))
    for at in data.draw(st.lists(places, min_size=1, max_size=4)):
        damaged[at] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(damaged)
    read = read_within_bounds(folder / name)
    for key, way in read:
        if name == "model.gguf" and way == "codes" and (key, "values") in read:  # by the package gguf
            codes, values = read[key, "codes"].dequantised(), read[key, "values"]
            assert torch.equal(codes.view(torch.int32), values.view(torch.int32))


@pytest.mark.parametrize("name", ["model.gguf", "model.safetensors"])
@settings(max_examples=100)
@given(rest=st.binary(max_size=300))
def test_random_bytes_are_refused(folder, name, rest):
    (folder / name).write_bytes((b"GGUF\3\0\0\0" if name == "model.gguf" else b"") + rest)
    assert read_within_bounds(folder / name) == {}


HUGE = 1 << 62


def header(tensors=1, values=0, rest=b""):
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, values) + rest


def tensor(shape, kind=0, start=0, name=b"x"):
    return struct.pack(f"<Q1sI{len(shape)}QIQ", len(name), name, len(shape), *shape, kind, start)


LYING = {
    "goes on for 4611686018427387904": header(rest=struct.pack("<Q", HUGE)),  # the length of a name
    "goes on for 8 bytes at byte 24": header(tensors=HUGE),
    "goes on for 8 bytes at byte 41": header(values=HUGE, rest=struct.pack("<Q1sII", 1, b"a", 5, 7)),  # a second value
    "goes on for 18446744073709551616": header(
        values=1, rest=struct.pack("<Q1sIIQ", 1, b"a", 9, 4, 1 << 62)
    ),  # an array of numbers
    "goes on for 8 bytes at byte 49": header(values=1, rest=struct.pack("<Q1sIIQ", 1, b"a", 9, 8, HUGE)),  # of texts
    "arrays in more than 4": header(values=1, rest=struct.pack("<Q1sI", 1, b"a", 9) + 9 * struct.pack("<IQ", 9, 1)),
    "ends at byte": header(rest=tensor((HUGE, HUGE))),
    "ends at byte 4611": header(rest=tensor((4, 4), start=HUGE)),
    "has 9999 dimensions": header(rest=struct.pack("<Q1sI", 1, b"x", 9999)),
    "blocks of Q8_0 have 32": header(rest=tensor((33, 4), kind=8)),
    "is there twice": header(2, rest=tensor((1, 1)) * 2) + bytes(64),
    "version 1;": b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
    "in big-endian order": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "has to be a power of two": header(0, 1, struct.pack("<Q17sII", 17, b"general.alignment", 4, 0)),
    "is no UTF-8": header(rest=struct.pack("<Q1s", 1, b"\xff")),
}


@pytest.mark.parametrize("message", LYING)
def test_a_lying_header_of_gguf_is_refused_before_memory_is_taken(message, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(LYING[message])
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError, match=message):
            open_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def test_an_empty_tensor_is_refused_when_it_is_read(tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(header(rest=tensor((HUGE, HUGE, 0))) + bytes(64))
    for way in (open_checkpoint(path).codes, open_checkpoint(path).values):
        with pytest.raises(CheckpointError, match="'x' has shape"):
            way("x")


def test_a_file_that_shrinks_after_it_was_opened_is_refused(tmp_path):
    path = write_gguf(tmp_path / "model.gguf", {"x": (np.ones((8, 8), np.float32), None)})
    file = open_checkpoint(path)
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(CheckpointError, match="the file has become shorter"):
        file.values("x")


def stored(dtype, bits):
    text = json.dumps({"x": {"dtype": dtype, "shape": [4, 16], "data_offsets": [0, 8 * bits]}}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(8 * bits)


def test_formats_that_torch_has_no_dtype_for_are_listed_and_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(stored("F6_E2M3", 6))
    file = open_checkpoint(path)
    assert file.entries["x"].format == "F6_E2M3"
    with pytest.raises(CheckpointError, match="Dtype not understood: F6_E2M3"):
        file.values("x")
    path.write_bytes(stored("F8_E8M0", 8))
    assert open_checkpoint(path).values("x").dtype == torch.float8_e8m0fnu


@pytest.mark.parametrize("name", ["missing.gguf", "notes.txt", "empty"])
def test_what_is_no_checkpoint_is_refused_in_a_line(name, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=name):
        open_checkpoint(tmp_path / name)


def test_a_file_of_the_model_size_is_not_read_to_open_it(tmp_path):
    """A sparse file of 8 GiB: names come from its header, and one tensor from its place."""
    path = tmp_path / "model.gguf"
    large, small = tensor((1 << 20, 1 << 11)), tensor((2,), start=1 << 33, name=b"y")
    path.write_bytes(header(2, rest=large + small))
    with path.open("r+b") as file:
        file.truncate(-(-path.stat().st_size // 32) * 32 + (1 << 33))
        file.seek(0, 2)
        file.write(struct.pack("<2f", 1, 2))
    tracemalloc.start()
    try:
        assert open_checkpoint(path).values("y").tolist() == [1, 2]
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def test_safetensors_that_lie_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    whole = save({"x": torch.ones(4)})
    for data in (
        b"",
        struct.pack("<Q", HUGE) + whole[8:],
        whole.replace(b"[4]", b"[9]"),
        whole.replace(b'"F32"', b'"F9"'),
    ):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="is no safetensors file that can be read"):
            open_checkpoint(path)


def test_blocks_are_as_large_as_the_package_has_them():
    sizes = {one: gguf.GGML_QUANT_SIZES[kind] for one, kind in KINDS.items()}
    assert {layout.name: (layout.block, layout.dtype.itemsize) for layout in BLOCKS.values()} == sizes
