"""ik_llama.cpp's ternary formats: what is declared of them, by what the library returned, and when they cannot run."""

import os
import time
from pathlib import Path

import pytest
import torch

from bitlinear import BitLinear, Scheme
from bitlinear.peers.ggml import IK
from bitlinear.peers.interface import effective_weight
from tests.bitlinear.data.recorded import layer_of, relative_error

TERNARY = Scheme.parse("w1.58a8-nonorm")
BY_NAME = {peer.name: peer for peer in IK}

RECORDED = {
    "ik-iq2_bn_r4": [55.6139946, -19.0369301, -63.7534447, 94.6377716, -67.46138, 55.6139946],
    "ik-iq2_bn": [55.7568512, -19.0498486, -64.2933731, 95.3321915, -67.7458115, 55.7568512],
    "ik-iq1_bn": [55.7719803, -19.0550175, -64.3108215, 95.3580627, -67.7641907, 55.7719803],
}
"""What ik-llama-cpp-python 0.1.5 returns for `fixed_layer` and `fixed_input`:

    python -c "from tests.bitlinear.test_peers_ik import *
    print({peer.name: peer.build(fixed_layer())(fixed_input())[0].tolist() for peer in IK})"
"""


def fixed_layer():
    """Ternary, with a scale of 0.3, which is no float16."""
    i, j = torch.arange(6)[:, None], torch.arange(512)
    return layer_of(((7 * j + 3 * i) % 5 - 2) * 0.25, TERNARY)


def fixed_input():
    """A token with another peak for every fourth run of 4 features, and of 16; odd numbers, so no code is at a tie."""
    j = torch.arange(512)
    return ((2 * (37 * j % 101) - 101) * (1 + 2 * (j // 4 % 4)) * (1 + 2 * (j // 16 % 4)) / 64)[None]


def why_not(peer, device="cpu"):
    return peer.why_not(scheme=TERNARY, device=device, dtype=torch.float32)


def built(peer, layer):
    if reason := why_not(peer):
        pytest.skip(reason)
    return peer.build(layer)


@pytest.fixture(params=IK, ids=lambda peer: peer.name)
def peer(request):
    return request.param


def test_is_expected_to_return_what_was_recorded(peer):
    recorded = torch.tensor(RECORDED[peer.name])[None]
    assert relative_error(recorded, peer.expected(fixed_layer(), fixed_input())) < 1e-6
    for other in set(IK) - {peer}:
        assert relative_error(recorded, other.expected(fixed_layer(), fixed_input())) > 1e-5


@torch.no_grad()
def test_keeps_every_code_and_its_scale(peer):
    layer = BitLinear(200, 12, weight_bits=1.58, norm=False, bias=False)
    op = built(peer, layer)
    features = 127 * torch.eye(200)  # a token a feature, which no step of the others rounds
    kept = effective_weight(layer)
    if peer.name == "ik-iq1_bn":
        kept = kept.half().float()
    torch.testing.assert_close(op(features).T / 127, kept, rtol=1e-6, atol=1e-7)


def test_as_many_threads_work_as_torch_has(peer):
    threads, tasks = torch.get_num_threads(), Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("threads are counted in /proc, which this system does not have")
    op, x = built(peer, BitLinear(512, 64, weight_bits=1.58, norm=False)), torch.randn(4, 512)
    try:
        torch.set_num_threads(5)
        op(x)
        five = len(list(tasks.iterdir()))
        torch.set_num_threads(2)
        op(x)
        deadline = time.monotonic() + 10  # those that are too many end in their own time
        while len(list(tasks.iterdir())) != five - 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert len(list(tasks.iterdir())) == five - 3
    finally:
        torch.set_num_threads(threads)


def test_more_layers_live_at_a_time_than_the_library_has_contexts(peer):
    layers = [BitLinear(64, 8, weight_bits=1.58, norm=False) for _ in range(70)]
    ops, x = [built(peer, layer) for layer in layers], torch.randn(2, 64)
    for layer, op in zip(layers, ops, strict=True):
        tolerance = peer.tolerance(TERNARY, x.dtype, 64).relative
        assert peer.disagreement(layer, x, peer.expected(layer, x), op(x)) <= tolerance


@pytest.mark.parametrize(
    ("name", "in_features", "stored"),
    [
        ("ik-iq2_bn_r4", 64, 64),
        ("ik-iq2_bn_r4", 70, 128),
        ("ik-iq2_bn", 64, 512),
        ("ik-iq2_bn", 500, 512),
        ("ik-iq2_bn", 576, 640),
        ("ik-iq1_bn", 448, 512),
        ("ik-iq1_bn", 576, 576),
    ],
)
def test_zeros_that_the_library_needs_are_counted_and_reported(name, in_features, stored):
    peer = BY_NAME[name]
    op = built(peer, BitLinear(in_features, 8, weight_bits=1.58, norm=False, bias=False))
    (memory,) = op.buffers()
    blocks = {"ik-iq1_bn": 13}.get(name, 16) * stored // 64
    assert memory.nbytes == 8 * (blocks + (2 if name == "ik-iq1_bn" else 4))
    assert (f"{in_features} input features are stored as {stored}" in op.note) == (stored - in_features >= 64)


def test_a_missing_package_is_named_with_its_cure(peer, monkeypatch):
    monkeypatch.delenv("IK_LLAMA_CPP_LIB_PATH", raising=False)
    monkeypatch.setattr("bitlinear.peers.interface.installed", lambda package: None)
    reason = f"{peer.name} needs the package ik-llama-cpp-python: pip install ik-llama-cpp-python==0.1.5"
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "AVX2")
    assert why_not(peer) == reason
    assert why_not(peer, "cuda") == f"{peer.name} runs on cpu, not on cuda"


def test_a_cpu_for_which_the_wheel_is_not_built_is_named(peer, monkeypatch):
    monkeypatch.delenv("IK_LLAMA_CPP_LIB_PATH", raising=False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: "DEFAULT")
    assert why_not(peer).startswith(f"{peer.name} needs AVX2, which this CPU does not have")


def test_a_build_of_the_users_own_is_told_from_the_package_and_from_others(peer, tmp_path, monkeypatch):
    monkeypatch.setenv("IK_LLAMA_CPP_LIB_PATH", str(tmp_path / "libllama.so"))
    assert f"needs {tmp_path / 'libggml.so'}, beside the library" in why_not(peer)
    (tmp_path / "libggml.so").write_bytes(b"a build")
    assert why_not(peer) is None
    assert peer.facts()["version"] == "sha256 2bd9a07e"
    with pytest.raises(OSError, match=os.sep + "libggml.so"):
        peer.build(fixed_layer())
