"""Other people's libraries: what every adapter keeps to, by a made-up library, and each real one that is installed."""

import shutil
import sys
from importlib import metadata

import pytest
import torch

from bitlinear import IMPLEMENTATIONS, BitLinear, Scheme
from bitlinear.contract import contract_forward, twin_forward
from bitlinear.peers import PEERS
from bitlinear.peers.interface import Peer, PeerOp, WeightOnlyPeer, effective_linear, effective_weight, plain_tensors
from bitlinear.peers.programs import offer_own_programs
from suites.workloads.layer.rotation import hidden_bytes, weights

WITHOUT_NORM = Scheme.parse("w1.58a8-nonorm")
BY_NAME = {peer.name: peer for peer in PEERS}
SHAPES = [(1, 256, 64), (5, 512, 96)]
"""M, K, N that every library takes."""


class Halved(WeightOnlyPeer):
    """A library whose one operation halves the weight."""

    name, summary, package, contract = "halved", "a made-up library", "made-up", "half of every weight"

    def build(self, layer):
        import made_up

        linear = effective_linear(layer)
        made_up.halve(linear)
        return PeerOp(linear, plain_tensors(linear))

    def declared_weight(self, layer):
        return effective_weight(layer).double() / 2


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """Installs the made-up library; without a module of its name its install is broken."""
    about = tmp_path / "made_up-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1.2\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "made_up.py"
    sys.modules.pop("made_up", None)


def layer_of(k=256, n=64, scheme=WITHOUT_NORM, bias=True):
    return BitLinear(
        k, n, scheme.groups, weight_bits=scheme.weight_bits, activation_bits=scheme.activation_bits,
        norm=scheme.norm, bias=bias,
    )  # fmt: skip


def why_not(peer, scheme=WITHOUT_NORM, device="cpu", dtype=torch.float32):
    return peer.why_not(scheme=scheme, device=device, dtype=dtype)


def test_a_missing_package_is_named_with_its_cure():
    assert why_not(Halved()) == "halved needs the package made-up: pip install 'bitlinear-bench[peers]'"
    assert Halved().facts()["version"] == "not installed"


def test_a_broken_install_says_so_when_it_is_built_and_not_before(made_up):
    assert why_not(Halved()) is None
    with pytest.raises(ModuleNotFoundError, match="made_up"):
        Halved().build(layer_of())


def test_a_peer_is_judged_by_its_own_function_and_says_what_it_is(made_up):
    made_up.write_text("def halve(linear):\n    linear.weight.data.mul_(0.5)\n")
    peer, layer, x = Halved(), layer_of(bias=False), torch.randn(3, 256)
    y = peer.build(layer)(x)
    assert "made_up" in sys.modules
    assert peer.disagreement(layer, x, peer.expected(layer, x), y) < 1e-6
    assert peer.disagreement(layer, x, contract_forward(layer, x), y) > 0.2
    assert peer.facts() == {
        "library": "made-up",
        "version": "1.2",
        "computes": "its own function: half of every weight",
    }
    assert peer.promise() != Halved().promise()


def test_why_not_knows_device_dtype_and_normalisation(made_up):
    assert why_not(Halved(), device="cuda") == "halved runs on cpu, not on cuda"
    assert why_not(Halved(), dtype=torch.float16) == "halved takes float32 and bfloat16 here"
    assert "as in w1.58a8-nonorm" in why_not(Halved(), scheme=Scheme.parse("w1.58a8"))


def test_one_who_follows_the_contract_shares_its_promise(made_up):
    class Follower(Peer):
        name, summary, package, contract = "follower", "another", "made-up", "the contract"

        def build(self, layer):
            return IMPLEMENTATIONS[0].build(layer)

    assert Follower().promise() == IMPLEMENTATIONS[3].promise()
    assert Follower().facts()["computes"] == "the contract"


def test_an_op_hands_its_library_two_dimensions_and_the_dtype_that_it_works_in():
    seen = []

    def call(x):
        seen.append((x.shape, x.dtype))
        return x[:, :2]

    op = PeerOp(call, [torch.zeros(3), torch.ones(2)], works_in=torch.bfloat16)
    for shape in ((4,), (3, 4), (2, 3, 4), (0, 4)):
        y = op(torch.ones(shape))
        assert (y.shape, y.dtype) == ((*shape[:-1], 2), torch.float32)
    assert seen == [(torch.Size([m, 4]), torch.bfloat16) for m in (1, 3, 6, 1)], "a token of zeros stands for none"
    assert [buffer.numel() for buffer in op.buffers()] == [3, 2]
    assert not list(op.parameters())


def test_the_effective_weight_is_that_of_the_contract():
    layer, x = layer_of(bias=True), torch.randn(3, 256)
    exact = layer_of(scheme=Scheme(16, 16, norm=False))
    exact.weight, exact.bias = effective_linear(layer).weight, layer.bias
    layer.scheme = Scheme(1.58, 16, norm=False)
    torch.testing.assert_close(twin_forward(exact, x), contract_forward(layer, x))
    assert effective_weight(layer).unique().numel() == 3


def test_names_are_unique_and_facts_are_lines():
    everybody = [*IMPLEMENTATIONS, *PEERS]
    assert len({one.name for one in everybody}) == len(everybody)
    assert all(text and "\n" not in text for peer in PEERS for text in (peer.summary, *peer.facts().values()))


def test_records_have_the_version_that_is_installed(monkeypatch):
    monkeypatch.delenv("IK_LLAMA_CPP_LIB_PATH", raising=False)  # a build of the user's own has no version
    there = [peer for peer in PEERS if peer.version()]
    assert BY_NAME["torch-int8"] in there
    assert [peer.facts()["version"] for peer in there] == [metadata.version(peer.package) for peer in there]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_every_library_computes_what_is_declared_of_it(peer, m, k, n):
    if reason := why_not(peer):
        pytest.skip(reason)
    torch.manual_seed(m)
    layer, x = layer_of(k, n, bias=m > 1), torch.randn(m, k)
    before = x.clone()
    with torch.inference_mode():
        op = peer.build(layer)
        y, again = op(x), op(x)
        expected = peer.expected(layer, x)
    tolerance = peer.tolerance(layer.scheme, x.dtype, k)
    assert peer.disagreement(layer, x, expected, y) <= tolerance.relative, tolerance.reason
    assert y.dtype == x.dtype
    assert torch.equal(x, before)
    assert y.untyped_storage().data_ptr() != again.untyped_storage().data_ptr()
    assert all(type(tensor) in (torch.Tensor, torch.nn.Parameter) for tensor in weights(op))
    stored = sum(tensor.nbytes for tensor in weights(op)) + hidden_bytes(op)
    assert stored >= k * n / 8, "less than a bit a weight: something is not counted"
    assert peer.disagreement(layer, x, expected, 1.05 * y) > tolerance.relative, "the tolerance accepts anything"


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_library_computes_it_of_unusual_input_and_weights_too(peer):
    if reason := why_not(peer):
        pytest.skip(reason)
    torch.manual_seed(0)
    layer, x = layer_of(256, 64), torch.randn(5, 256)
    with torch.no_grad():
        layer.weight[0], layer.weight[1:, 128:] = 0, 0
    inputs = {
        "a mean": x + 30,
        "quiet": 1e-4 * x,
        "tokens of unlike size": x * 10.0 ** torch.arange(-4, 1)[:, None],
        "whole numbers": (3 * x).round(),
        "an outlier": torch.cat([50 * x[:, :1], x[:, 1:]], 1),
        "zeros": 0 * x,
        "one dimension": x[0],
        "no tokens": x[:0],
    }
    with torch.inference_mode():
        op = peer.build(layer)
        for words, given in inputs.items():
            expected = peer.expected(layer, given)
            error = peer.disagreement(layer, given, expected, op(given))
            assert error <= peer.tolerance(layer.scheme, given.dtype, 256).relative, words


def dynamic(weight):
    layer = layer_of(weight.shape[1], weight.shape[0], bias=False)
    layer.scheme = Scheme(16, 16, norm=False)
    layer.weight = torch.nn.Parameter(weight)
    return layer


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([63.5, -63.5, 1, 0], [64, -64, 1, 0]),  # 129 codes: both ends of the range lie on a tie
        ([127, 0, 2.4, 2.6], [127, 0, 2, 3]),
        ([-127, 0, -2.4, -2.6], [-127, 0, -2, -3]),
        ([6.1e-4, 6.1e-5, 2e-5, 0], [6.1e-4, 6.1e-5, 0, 0]),  # no step below 6.1e-5
        ([6.1e-4, -6.1e-5, 4e-5, 0], [6.1e-4, -6.1e-5, 6.1e-5, 0]),
        ([0, 0, 0, 0], [0, 0, 0, 0]),
        ([127, 0, torch.nan, 2], [127, 0, 255, 2]),  # the highest code of all
    ],
)
def test_torch_dynamic_has_the_steps_that_torch_has(values, expected):
    peer, layer = BY_NAME["torch-dynamic"], dynamic(127.5 * torch.eye(4))  # 127 steps of 1
    if reason := why_not(peer):
        pytest.skip(reason)
    x = torch.tensor([values], dtype=torch.float32)
    with torch.no_grad():
        y = peer.build(layer)(x)
    torch.testing.assert_close(peer.expected(layer, x).float(), 127.0 * torch.tensor([expected]))
    torch.testing.assert_close(y, 127.0 * torch.tensor([expected]))


@pytest.mark.parametrize("place", [0, 5, 31, 60])
def test_torch_dynamic_forgets_what_stood_before_a_nan(place):
    peer, layer = BY_NAME["torch-dynamic"], layer_of(61, 8)
    if reason := why_not(peer):
        pytest.skip(reason)
    x = torch.randn(1, 61)
    x[0, (place - 8) % 61] = 10  # the largest value, in the same of eight lanes
    x[0, place] = torch.nan
    op, expected = peer.build(layer), peer.expected(layer, x)
    if place == 0:
        assert expected.isnan().all()
        with pytest.raises(RuntimeError, match="min should be less than or equal to max"):
            op(x)
    else:
        assert peer.disagreement(layer, x, expected, op(x)) < 1e-6


def test_torch_dynamic_of_weights_that_are_zero():
    peer, layer, x = BY_NAME["torch-dynamic"], layer_of(8, 4), torch.randn(3, 8)
    if reason := why_not(peer):
        pytest.skip(reason)
    torch.nn.init.zeros_(layer.weight)
    assert peer.disagreement(layer, x, peer.expected(layer, x), peer.build(layer)(x)) < 1e-6


def test_torchao_bitnet_shrinks_quiet_tokens():
    layer, x = layer_of(scheme=WITHOUT_NORM, bias=False), torch.randn(4, 256)
    peer = BY_NAME["torchao-bitnet"]
    for loud, ratio in ((1.0, 1.0), (1.27e-4, 0.1)):
        given = x / x.abs().amax(-1, keepdim=True) * loud
        shrunk = peer.expected(layer, given).norm() / contract_forward(layer, given).norm()
        assert abs(shrunk / ratio - 1) < 0.1


@pytest.mark.parametrize("name", ["torch-int4", "torchao-int4wo", "quanto-qint4"])
def test_a_number_of_outputs_that_the_int4_kernel_does_not_take_is_refused_in_words(name):
    if reason := why_not(BY_NAME[name]):
        pytest.skip(reason)
    with pytest.raises(ValueError, match="multiples of 16, not 33"):
        BY_NAME[name].build(layer_of(256, 33))


@pytest.fixture
def no_programs(tmp_path, monkeypatch):
    """Every package is there, and no program; returns the folder of those that pip installs."""
    monkeypatch.setattr("bitlinear.peers.interface.installed", lambda package: "1.0")
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("sysconfig.get_path", lambda kind: str(tmp_path))
    return tmp_path


COMPILING = [
    "transformers-bitlinear",
    "transformers-autobitlinear",
    "transformers-autobitlinear-online",
    "quanto-qint2",
]


def program(folder, name):
    (folder / name).write_text("#!/bin/sh\n")
    (folder / name).chmod(0o755)
    return str(folder / name)


@pytest.mark.parametrize("name", [*COMPILING, "quanto-qint4"])
def test_a_compiler_that_is_missing_is_named_with_its_cure(name, no_programs, monkeypatch):
    reason = why_not(BY_NAME[name])
    assert reason.startswith(f"{name} compiles in its first call and finds no C++ compiler ")
    assert reason.endswith("; install it, or set CXX to another")
    program(no_programs, "ninja")
    monkeypatch.setenv("CXX", program(no_programs, "my-compiler"))
    assert why_not(BY_NAME[name]) is None
    monkeypatch.setenv("CXX", "another")
    assert "'another'" in why_not(BY_NAME[name])
    assert why_not(BY_NAME["quanto-qint8"]) is None


def test_ninja_is_found_in_the_environment_that_it_was_installed_in(no_programs, monkeypatch):
    monkeypatch.setenv("CXX", program(no_programs, "my-compiler"))
    peer = BY_NAME["quanto-qint2"]
    assert why_not(peer) == "quanto-qint2 compiles in its first call and finds no ninja: pip install ninja"
    ninja = program(no_programs, "ninja")
    assert why_not(peer) is None
    assert shutil.which("ninja") is None
    offer_own_programs()
    assert shutil.which("ninja") == ninja
