"""The C kernels: every path against plain C bit for bit, the contract, and the edges of every buffer."""

import copy
import itertools
import platform
import shutil
import subprocess
import threading
import zlib
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bitlinear import BitLinear, Scheme
from bitlinear.contract import accumulators, contract_forward
from bitlinear.engines.native import BuildError, NativeLinear, available_paths, build
from bitlinear.engines.native.library import TYPES, Library, layer_of, library
from bitlinear.implementations.native import Native
from bitlinear.layouts.tiles import from_tiles, tiles_shape, to_tiles
from bitlinear.quantize import weight_codes

try:
    FILE = build.library_file()
except BuildError as error:
    pytest.skip(f"no compiler: {error}", allow_module_level=True)

HERE = Path(__file__).parent
EMULATED_AMX = ("-include", str(HERE / "emulated_amx.h"))
EMULATED = ("amx.c",)
"""The sources that use what it emulates."""


def with_emulated_amx():
    """The library whose AMX instructions are those of `emulated_amx.h`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BITLINEAR_NATIVE_CFLAGS", " ".join(EMULATED_AMX))
        build.library_file.cache_clear()
        file = build.library_file()
    build.library_file.cache_clear()
    return file


FILES = dict.fromkeys(available_paths(), FILE)
if "avx512" in FILES and "amx" not in FILES:
    FILES["amx"] = with_emulated_amx()
PATHS = list(FILES)
FAST = [path for path in PATHS if path != "plain"]
BITS = [1, 1.58, 2, 3, 4, 8]
DTYPES = list(TYPES)
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g", "-O1")
NEEDS_AVX512 = pytest.mark.skipif("avx512" not in FAST, reason="AMX takes over from AVX-512, which is not here")
WORKSPACE = 1 << 22
"""Bytes that a forward may take besides its output, whatever the number of tokens."""

sizes = st.one_of(st.integers(1, 70), st.sampled_from([127, 128, 129, 255, 257, 640]))
problems = st.fixed_dictionaries(
    {
        "m": st.one_of(st.integers(0, 30), st.sampled_from([1, 2, 3, 4, 12, 13, 97])),
        "n": sizes,
        "size": sizes,
        "groups": st.sampled_from([1, 1, 2, 5]),
        "weight_bits": st.sampled_from(BITS),
        "activation_bits": st.sampled_from([2, 4, 8, 16]),
        "norm": st.booleans(),
        "bias": st.booleans(),
        "dtype": st.sampled_from(DTYPES),
        "spread": st.sampled_from([0.0, 1e-6, 1.0, 1e4]),
        "seed": st.integers(0, 1 << 20),
    }
)


def layer_for(problem):
    torch.manual_seed(problem["seed"])
    return BitLinear(
        problem["size"] * problem["groups"],
        problem["n"],
        problem["groups"],
        weight_bits=problem["weight_bits"],
        activation_bits=problem["activation_bits"],
        norm=problem["norm"],
        bias=problem["bias"],
    )


def input_for(problem):
    torch.manual_seed(problem["seed"] + 1)
    x = torch.randn(problem["m"], problem["size"] * problem["groups"], dtype=torch.float64)
    return (x * problem["spread"]).to(problem["dtype"])


def forward(path, op, x):
    y = torch.full((len(x), op.out_features), 7, dtype=x.dtype)
    described = layer_of(op.scheme, op.in_features, op.out_features)
    Library(FILES[path], path).forward(described, x, op.codes, op.scale, op.bias, y, len(x))
    return y


def same_bits(a, b):
    return torch.equal(a.view(torch.uint8), b.view(torch.uint8))


@given(st.integers(1, 40), st.integers(1, 3), st.integers(1, 70), st.sampled_from([1, 2, 4, 8]), st.integers(0, 99))
def test_tiles_are_a_bijection(n, groups, size, bits, seed):
    stored = torch.randint(
        0, 2**bits, (n, groups, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )
    tiles = to_tiles(stored, bits)
    assert tiles.shape == tiles_shape(n, groups, size, bits)
    assert torch.equal(from_tiles(tiles, bits, n, size), stored)


@pytest.mark.parametrize("weight_bits", BITS)
def test_codes_are_those_of_the_contract(weight_bits):
    layer = BitLinear(75, 33, 5, weight_bits=weight_bits)
    codes, _ = weight_codes(layer.weight.detach(), layer.scheme)
    assert torch.equal(NativeLinear.from_layer(layer).weight_codes(), codes.to(torch.int16))


@pytest.mark.parametrize("path", FAST)
@settings(max_examples=150, deadline=None)
@given(problem=problems)
def test_every_path_returns_the_bits_of_plain_c(path, problem):
    op, x = NativeLinear.from_layer(layer_for(problem)), input_for(problem)
    assert same_bits(forward(path, op, x), forward("plain", op, x))


@pytest.mark.parametrize("path", FAST)
@pytest.mark.parametrize("weight_bits", [1, 2, 4, 8])
@pytest.mark.parametrize("activation_bits", [8, 16])
@pytest.mark.parametrize("n", [16, 48])
def test_every_number_of_tokens_returns_the_bits_of_plain_c(path, weight_bits, activation_bits, n):
    """Each has a kernel of its own, with one tile and with two, in groups, and a last chunk that is padded."""
    layer = BitLinear(2 * 77, n, 2, weight_bits=weight_bits, activation_bits=activation_bits)
    op = NativeLinear.from_layer(layer)
    x = torch.randn(20, op.in_features)
    for m in range(1, len(x) + 1):
        assert same_bits(forward(path, op, x[:m]), forward("plain", op, x[:m])), m


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("weight_bits", BITS)
@pytest.mark.parametrize("tokens", [1, 3, 8, 33])
def test_inner_sums_are_exact(path, weight_bits, tokens):
    """Scales that are powers of two leave the sums as they are, the largest ones included."""
    layer = BitLinear(2053, 35, weight_bits=weight_bits, norm=False)
    op = NativeLinear.from_layer(layer)
    x = torch.randint(-127, 128, (tokens, 2053)).float()
    x[:, 0] = 127  # the scale of the activations is 1
    x[0] = 127 * torch.where(op.weight_codes()[0, 0] < 0, -1, 1)
    op.scale.fill_(1)
    assert torch.equal(forward(path, op, x), accumulators(layer, x)[:, 0].float())


@pytest.mark.parametrize("path", FAST)
@pytest.mark.parametrize("weight_bits", BITS)
@pytest.mark.parametrize("tokens", [1, 4, 33])
def test_floats_are_summed_in_short_strands(path, weight_bits, tokens):
    """In one sum from end to end roundings would add up to ten times the error that the contract allows."""
    layer = BitLinear(1 << 16, 35, weight_bits=weight_bits, activation_bits=16, norm=False)
    x = torch.randn(tokens, 1 << 16) + 1
    exact = contract_forward(layer, x)
    assert (forward(path, NativeLinear.from_layer(layer), x) - exact).norm() <= 1e-6 * exact.norm()


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("weight", ["smallest", "largest"])
def test_the_widest_group_does_not_overflow(path, weight):
    layer = BitLinear(1 << 16, 3, weight_bits=8, norm=False)
    with torch.no_grad():
        layer.weight.fill_(-1 if weight == "smallest" else 1)
    x = torch.ones(1, 1 << 16)
    exact = contract_forward(layer, x)
    assert ((forward(path, NativeLinear.from_layer(layer), x) - exact).abs() <= 1e-6 * exact.abs()).all()


def test_a_group_that_is_too_wide_is_refused():
    with pytest.raises(ValueError, match="at most 65536"):
        NativeLinear(65537, 1, Scheme())


@pytest.mark.parametrize("activation_bits", [8, 16])
def test_a_token_with_nan_or_infinity_is_lost_alone(activation_bits):
    op = NativeLinear.from_layer(BitLinear(100, 20, activation_bits=activation_bits, norm=False))
    x = torch.randn(20, 100)
    clean = op(x)
    x[3, 5], x[17, 99] = float("nan"), float("-inf")
    y = op(x)
    assert y[3].isnan().all()
    assert not y[17].isfinite().any()
    kept = [i for i in range(20) if i not in (3, 17)]
    assert torch.equal(y[kept], clean[kept])


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_threads_change_nothing(threads):
    op, x = NativeLinear.from_layer(BitLinear(640, 331, 2, weight_bits=1.58, bias=True)), torch.randn(40, 640)
    few = NativeLinear.from_layer(BitLinear(640, 5, 2, weight_bits=4))
    floats = NativeLinear.from_layer(BitLinear(640, 331, 2, weight_bits=4, activation_bits=16))
    before, ys = torch.get_num_threads(), []
    try:
        for count in (1, threads):
            torch.set_num_threads(count)
            ys.append((op(x), op(x[0]), few(x.repeat(50, 1)), floats(x), floats(x[0])))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*ys, strict=True))


@pytest.mark.parametrize("activation_bits", [8, 16])
def test_several_threads_may_call_at_once(activation_bits):
    op = NativeLinear.from_layer(BitLinear(640, 331, weight_bits=1.58, activation_bits=activation_bits))
    inputs = [torch.randn(m, 640) for m in (1, 2, 5, 40) for _ in range(2)]
    expected, wrong = [op(x) for x in inputs], []

    def call_often(i):
        wrong.extend(i for _ in range(50) if not torch.equal(op(inputs[i]), expected[i]))

    callers = [threading.Thread(target=call_often, args=(i,)) for i in range(len(inputs))]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("m", [1, 128, 300])
@pytest.mark.parametrize("activation_bits", [8, 16])
def test_the_workspace_is_small(path, m, activation_bits):
    op = NativeLinear(14336, 64, Scheme(1.58, activation_bits), bias=False)
    y = torch.empty(m, 64)
    described = layer_of(op.scheme, 14336, 64)
    wanted = Library(FILES[path], path).forward(described, torch.zeros(m, 14336), op.codes, op.scale, None, y, m)
    assert wanted <= WORKSPACE


def test_packed_weights_load_without_the_float_ones(tmp_path):
    layer = BitLinear(100, 33, 2, weight_bits=1.58, bias=True)
    op, x = NativeLinear.from_layer(layer), torch.randn(4, 100)
    torch.save(op.state_dict(), tmp_path / "op.pt")
    empty = NativeLinear(100, 33, layer.scheme, bias=True, device="meta")
    empty.load_state_dict(torch.load(tmp_path / "op.pt"), assign=True)
    assert torch.equal(empty(x), op(x))
    assert torch.equal(copy.deepcopy(op)(x), op(x))


def test_half_precision_leaves_the_op_as_it_is():
    op, x = NativeLinear.from_layer(BitLinear(100, 33, bias=True)), torch.randn(4, 100)
    before = op(x)
    assert torch.equal(op.half()(x), before)
    assert torch.equal(op.bfloat16()(x), before)


def test_wrong_input_is_refused():
    op = NativeLinear.from_layer(BitLinear(100, 33))
    with pytest.raises(ValueError, match="in_features=100"):
        op(torch.randn(4, 99))
    with pytest.raises(TypeError, match="floating-point"):
        op(torch.ones(4, 100, dtype=torch.int64))


def test_compile_and_export_keep_the_operator():
    op, x = NativeLinear.from_layer(BitLinear(100, 33, weight_bits=1.58, bias=True)), torch.randn(4, 100)
    torch.library.opcheck(torch.ops.bitlinear.native_linear, (x, op.codes, op.scale, op.bias, "w1.58a8", 33))
    with torch.no_grad():
        expected = op(x)
        assert torch.equal(torch.compile(op, fullgraph=True)(x), expected)
        program = torch.export.export(op, (x,), dynamic_shapes=({0: torch.export.Dim("tokens")},))
    assert torch.ops.bitlinear.native_linear.default in {node.target for node in program.graph.nodes}
    assert torch.equal(program.module()(torch.cat([x, x])), torch.cat([expected, expected]))


@pytest.fixture
def _asked_anew():
    """As in a process that has not asked yet."""
    for asked in (build.library_file, library):
        asked.cache_clear()
    yield
    for asked in (build.library_file, library):
        asked.cache_clear()


@pytest.mark.usefixtures("_asked_anew")
@pytest.mark.parametrize(("variable", "words"), [("CC", "no C compiler 'nowhere'"), ("BITLINEAR_NATIVE_PATH", "plain")])
def test_what_is_missing_is_said(variable, words, monkeypatch):
    monkeypatch.setenv(variable, "nowhere")
    assert words in Native().why_not(scheme=Scheme(), device="cpu", dtype=torch.float32)


def test_what_cannot_be_loaded_is_said(tmp_path):
    (tmp_path / "native.so").write_bytes(b"not a library")
    with pytest.raises(BuildError, match="cannot be loaded"):
        Library(tmp_path / "native.so", "plain")


@cache
def compiled(folder, compiler, name, *flags):
    """The object file of one source, made once for all programs that are linked with it."""
    target = folder / f"{Path(name).name}-{zlib.crc32(repr((compiler, flags)).encode())}.o"
    subprocess.run([compiler, *flags, "-c", name, "-o", str(target)], check=True)
    return str(target)


def driver(folder, compiler, *flags, emulation=()):
    """The test program, linked with the sources of all paths of the compiler's machine."""
    machine = subprocess.run([compiler, "-dumpmachine"], capture_output=True, text=True, check=True).stdout
    sources = build.sources_for("aarch64" if machine.startswith("aarch64") else platform.machine())
    objects = []
    for name, own in {
        **{str(build.SOURCES / name): own for name, own in sources.items()},
        str(HERE / "native_driver.c"): (),
    }.items():
        emulated = emulation if Path(name).name in EMULATED else ()
        objects.append(compiled(folder.parent, compiler, name, *build.FLAGS, *flags, *own, *emulated))
    subprocess.run([compiler, *flags, *objects, "-lm", "-o", str(folder / "driver")], check=True)
    return str(folder / "driver")


def assert_driver_agrees(command, path, where):
    """Awkward problems in one go, against what plain C computes here."""
    written, expected = awkward()
    done = subprocess.run([*command, path, where], input=written, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert done.stdout == expected


@cache
def awkward():
    """The problems as the driver reads them, and the bytes of their outputs."""
    written, expected = [], []
    for seed, (activation_bits, bits) in enumerate(itertools.product((8, 16), BITS * 2)):
        for m, n, size, groups in (
            (1, 1, 1, 1),
            (1, 17, 33, 1),
            (3, 33, 100, 2),
            (4, 16, 64, 1),
            (13, 35, 131, 2),
            (29, 3, 257, 1),
            (49, 33, 300, 2),
        ):
            problem = {"m": m, "n": n, "size": size, "groups": groups, "weight_bits": bits}
            problem |= {
                "activation_bits": activation_bits,
                "norm": seed % 2 == 0,
                "bias": seed % 3 == 0,
                "dtype": DTYPES[seed % 4],
                "spread": 1.0,
                "seed": seed,
            }
            op, x = NativeLinear.from_layer(layer_for(problem)), input_for(problem)
            written.append(as_bytes(op, x))
            expected.append(forward("plain", op, x))
    return b"".join(written), b"".join(y.view(torch.uint8).numpy().tobytes() for y in expected)


def as_bytes(op, x):
    parts = [
        t.reshape(-1).view(torch.uint8).numpy().tobytes() if t is not None else b""
        for t in (op.codes, op.scale, op.bias, x)
    ]
    described = bytes(layer_of(op.scheme, op.in_features, op.out_features))
    lengths = [*(len(part) for part in parts), len(x) * op.out_features * x.element_size()]
    head = b"".join(i.to_bytes(size, "little") for i, size in ((len(x), 8), (TYPES[x.dtype], 4), (2, 4)))
    return described + head + b"".join(length.to_bytes(8, "little") for length in lengths) + b"".join(parts)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    return driver(tmp_path_factory.mktemp("guarded"), build.compiler_command()[0])


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    return driver(tmp_path_factory.mktemp("sanitized"), build.compiler_command()[0], *SANITIZERS)


@pytest.fixture(scope="module")
def guarded_amx(tmp_path_factory):
    return driver(tmp_path_factory.mktemp("amx"), build.compiler_command()[0], emulation=EMULATED_AMX)


@pytest.fixture(scope="module")
def sanitized_amx(tmp_path_factory):
    return driver(tmp_path_factory.mktemp("amx"), build.compiler_command()[0], *SANITIZERS, emulation=EMULATED_AMX)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    compiler, emulator = "aarch64-linux-gnu-gcc", shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if not shutil.which(compiler) or not emulator:
        pytest.skip("needs gcc-aarch64-linux-gnu and qemu-user-static; `make emulator` installs both")
    return [emulator, driver(tmp_path_factory.mktemp("arm"), compiler, "-static")]


@pytest.mark.parametrize("path", available_paths())
@pytest.mark.parametrize("where", ["start", "end"])
def test_nothing_beyond_a_buffer_is_touched(guarded, path, where):
    assert_driver_agrees([guarded], path, where)


@pytest.mark.parametrize("path", available_paths())
def test_sanitizers_find_nothing(sanitized, path):
    assert_driver_agrees([sanitized], path, "heap")


@pytest.mark.parametrize("path", ["neon", "plain"])
@pytest.mark.parametrize("where", ["start", "end"])
def test_arm_returns_the_same_bits_under_emulation(emulated, path, where):
    assert_driver_agrees(emulated, path, where)


@NEEDS_AVX512
@pytest.mark.parametrize("where", ["start", "end"])
def test_amx_returns_the_same_bits_with_its_instructions_emulated(guarded_amx, where):
    assert_driver_agrees([guarded_amx], "amx", where)


@NEEDS_AVX512
def test_sanitizers_find_nothing_in_amx(sanitized_amx):
    assert_driver_agrees([sanitized_amx], "amx", "heap")


@NEEDS_AVX512
def test_amx_that_computes_something_else_is_not_taken(tmp_path_factory):
    compiler, wrong = build.compiler_command()[0], (*EMULATED_AMX, "-DEMULATED_SIGN=(uint8_t)")
    wrong = driver(tmp_path_factory.mktemp("wrong"), compiler, emulation=wrong)
    done = subprocess.run([wrong, "amx", "heap"], input=b"", capture_output=True)
    assert b"no such path" in done.stderr
