"""`triton` without a GPU: what it says, how its kernels compile for one, what they compute under the interpreter."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bitlinear import BitLinear, Scheme
from bitlinear.implementations.triton import Triton, interpreted

ROOT = Path(__file__).parents[2]
SHARED_MEMORY = 99 * 1024
"""Bytes that a program gets on the smallest GPUs made since 2020 (compute capability 8.6, 8.9 and 12.0)."""
SIZES = ("N", "KG", "J", "stride_m", "length")
ALONE = {"bias": None, "a_scale": None, "scale": None, "CODES": False, "BIAS": False} | dict.fromkeys(
    ("N", "KG", "J", "G", "splits", "stride_m", "stride_k", "stride_g", "stride_n"), 1
)
"""What Triton makes constants of for a layer of one weight, which is neither quantised by scale nor has a bias."""

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="pip install 'bitlinear-bench[triton]'"
)
compiles = pytest.mark.skipif(interpreted(), reason="TRITON_INTERPRET=1 takes the compiler away")


def why_not(scheme="w1.58a8", device="cuda", training=False):
    return Triton().why_not(scheme=Scheme.parse(scheme), device=device, dtype=torch.float32, training=training)


def test_why_not(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 0))
    assert why_not() is None
    assert why_not("w4a16") is None
    assert why_not(device="cpu") == "triton compiles its kernels for CUDA, and this runs on cpu"
    assert "activation_bits=12 is neither" in why_not("w1a12")
    assert "weight_bits=16 has none" in why_not("w16a8")
    assert "cannot be trained" in why_not(training=True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert why_not() == "triton wants compute capability 8.0 or more, and this GPU has 7.5"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert why_not() == "torch finds no CUDA device"
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert why_not(device="cpu") is None
    assert why_not(device="mps") == "triton compiles its kernels for CUDA, and this runs on mps"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert why_not() == "the library triton is not installed; pip install 'bitlinear-bench[triton]'"


@needs_triton
def test_under_the_interpreter_the_kernels_compute_the_contract():
    # A process of its own, because triton decides when it is imported whether it compiles or interprets.
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/bitlinear/triton_on_device.py", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_triton
@pytest.mark.parametrize(("bits", "most"), [(1, 1.02), (1.58, 2.02), (2, 2.02), (3, 4.1), (4, 4.1), (8, 8.1)])
def test_weights_take_the_bits_that_they_say(bits, most):
    op = Triton().build(BitLinear(2560, 2560, weight_bits=bits))
    stored = sum(tensor.numel() * tensor.element_size() for tensor in [*op.parameters(), *op.buffers()])
    assert 8 * stored / 2560**2 <= most


def compiled(kernel, pointers, constants, capability, warps=4, stages=3):
    """What the compiler makes of a kernel for a GPU that need not be there, with sizes that are multiples of 16."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    constants = {name: value for name, value in constants.items() if name in kernel.arg_names}
    kinds = {name: "constexpr" if name in constants else pointers.get(name, "i32") for name in kernel.arg_names}
    aligned = [name for name, kind in kinds.items() if kind[0] == "*" or (kind == "i32" and name in SIZES)]
    source = ASTSource(
        kernel,
        kinds,
        {(kernel.arg_names.index(name),): value for name, value in constants.items()},
        {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in aligned},
    )
    options = {"num_warps": warps, "num_stages": stages, "enable_fp_fusion": False}
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert len(made.asm["cubin"])
    return made.asm["ptx"], made.metadata.shared


def products(kind, bits, tokens, capability, constants=None):
    """The kernels that multiply so many tokens, compiled with the tile that the table gives them."""
    from bitlinear.engines.triton import kernels
    from bitlinear.engines.triton.linear import tile_for

    tile = tile_for(tokens, 8 // bits, {"i8": 1, "fp16": 2, "bf16": 2, "fp32": 4}[kind])
    sums = "*i32" if kind == "i8" else "*fp32"
    pointers = {"activations": f"*{kind}", "packed": "*u8", "a_scale": "*fp32", "w_scale": "*fp32", "bias": "*fp32"}
    codes = {"BITS": bits, "STEP": 1, "LARGEST": 1, "CODES": kind == "i8", "BIAS": True}
    shape = {"BM": tile.tokens, "BN": tile.outputs, "BJ": tile.bytes}
    if tile.tokens == 1:
        called = {kernels.vector_sums: {"partial": sums}}
    else:
        called = {kernels.matrix_sums: {"partial": sums}, kernels.matrix_product: {"y": "*fp16"}}
    for kernel, own in called.items():
        constant = codes | shape | (constants or {})
        yield compiled(kernel, pointers | own, constant, capability, tile.warps, tile.stages)


@pytest.fixture
def _nothing_compiled_before(monkeypatch, tmp_path):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))


@needs_triton
@compiles
@pytest.mark.usefixtures("_nothing_compiled_before")
@pytest.mark.parametrize(
    ("kind", "tokens", "capability", "instruction"),
    [
        ("i8", 1, 80, "ld.global.v4"),
        ("i8", 16, 80, "mma.sync.aligned.m16n8k32.row.col.satfinite.s32.s8.s8.s32"),
        ("i8", 64, 90, "wgmma.mma_async.sync.aligned.m64n64k32.s32.s8.s8"),
        ("fp16", 16, 80, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"),
        ("bf16", 128, 90, "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16"),
        ("fp32", 16, 80, "fma.rn.f32"),
    ],
)
def test_products_compile_to_the_instructions_meant_for_them(kind, tokens, capability, instruction):
    for ptx, shared in products(kind, 2, tokens, capability):
        assert instruction in ptx
        assert "tf32" not in ptx
        assert shared <= SHARED_MEMORY


@needs_triton
@compiles
@pytest.mark.usefixtures("_nothing_compiled_before")
def test_what_comes_before_and_after_the_products_compiles_with_exact_divisions():
    from bitlinear.engines.triton import kernels

    pointers = {"x": "*bf16", "activations": "*i8", "scale": "*fp32"}
    ptx, _ = compiled(kernels.prepare, pointers, {"NORM": True, "TOP": 127, "BLOCK": 4096}, 80, warps=8)
    assert "div.rn.f32" in ptx
    assert "fma.rn" not in ptx  # one rounding instead of two would change codes
    pointers = {"partial": "*i32", "a_scale": "*fp32", "w_scale": "*fp32", "bias": "*bf16", "y": "*bf16"}
    ptx, _ = compiled(kernels.finish, pointers, {"CODES": True, "BIAS": True, "BN": 256}, 80)
    assert "div.rn.f32" in ptx
    assert "div.full" not in ptx


@needs_triton
@compiles
@pytest.mark.usefixtures("_nothing_compiled_before")
def test_sizes_of_one_and_arguments_that_are_missing_compile_too():
    from bitlinear.engines.triton import kernels

    assert len([*products("fp16", 1, 1, 80, ALONE), *products("fp16", 4, 16, 80, ALONE)]) == 3
    pointers = {"x": "*fp16", "activations": "*fp16", "partial": "*fp32", "w_scale": "*fp32", "y": "*fp16"}
    compiled(kernels.prepare, pointers, ALONE | {"NORM": True, "TOP": 0, "BLOCK": 1}, 80, warps=8)
    compiled(kernels.finish, pointers, ALONE | {"BN": 256}, 80)


@pytest.mark.slow
@needs_triton
@compiles
@pytest.mark.usefixtures("_nothing_compiled_before")
@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("kind", ["i8", "fp16", "fp32"])
def test_every_tile_of_the_table_fits_into_shared_memory(kind, capability):
    for bits in (1, 2, 4, 8):
        for tokens in (1, 16, 64, 65):
            assert all(shared <= SHARED_MEMORY for _, shared in products(kind, bits, tokens, capability))
