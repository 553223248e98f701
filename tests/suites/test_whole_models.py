"""`bitbench model`: what it finds in configurations, files and code, and how it refuses what is none of them."""

import json
import struct
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import bitlinear
from harness.analysis.roofline import most_tokens
from harness.machine.ceilings import remember
from harness.machine.environment import combine, machine, usable_cores
from harness.model import Ceilings
from harness.model.messages import ReadModel
from harness.model.whole_model import WholeModel
from harness.runner.process import describe_torch
from suites.models import shipped
from suites.models.source import answer, read
from tests.harness.fakes.command_line import bitbench

PUBLISHED = {
    "bitnet-2b4t": 2.41e9,
    "llama-3-8b": 8.03e9,
    "llama-3-70b": 70.55e9,
    "qwen3-4b": 4.02e9,
    "qwen3-30b-a3b": 30.53e9,
    "gemma-3-270m": 268.1e6,
    "gemma-3-4b-text": 675e6 + 3209e6,
    "phi-4": 14.66e9,
    "minilm-l6": 22.71e6,
}
"""Parameters by their authors; of Gemma 3 4B without what sees pictures."""
GPT2 = {"model_type": "gpt2", "n_layer": 2, "n_embd": 8, "n_head": 2, "vocab_size": 50, "n_positions": 16}
ROUTED = """
from torch import nn
class Expert(nn.Module):
    def __init__(self): super().__init__(); self.up = nn.Linear(8, 32, bias=False)
class Block(nn.Module):
    def __init__(self): super().__init__(); self.experts = nn.ModuleList(Expert() for _ in range(4)); self.top_k = 2
def make():
    return nn.ModuleDict({"embed": nn.Embedding(10, 8), "blocks": nn.ModuleList(Block() for _ in range(3)),
        "attention": nn.MultiheadAttention(8, 2), "conv": nn.Conv1d(8, 8, 3), "head": nn.Linear(8, 10)})
def fails():
    raise RuntimeError("no weights here")
number = 3
"""


def listed(source: str | Path, *words: str, folder: Path | None = None) -> dict[str, Any]:
    done = bitbench("model", source, "--format", "json", *words, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def shapes(model: Mapping[str, Any]) -> dict[str, tuple[int, int, int, float]]:
    """Output and input features, count and how many a token uses, by name."""
    return {p["name"]: (p["out_features"], p["in_features"], p["count"], p["used"]) for p in model["products"]}


def safetensors(path: Path, tensors: Mapping[str, tuple[int, ...]], cut: int = 0) -> Path:
    """A file of float32 zeros, `cut` bytes short."""
    entries, place = {}, 0
    for name, shape in tensors.items():
        size = 4 * torch.Size(shape).numel()
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": (place, place + size)}
        place += size
    header = json.dumps(entries).encode()
    path.write_bytes((struct.pack("<Q", len(header)) + header + bytes(place))[: -cut or None])
    return path


def gguf(path: Path, **numbers: int) -> Path:
    writer = pytest.importorskip("gguf").GGUFWriter(path, "tiny")
    import numpy as np

    for key, number in numbers.items():
        writer.add_uint32(f"tiny.{key}", number)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b"])
    for name, shape in {"token_embd": (50, 32), "blk.0.ffn_up_exps": (4, 64, 32), "blk.0.attn_q": (32, 32)}.items():
        writer.add_tensor(f"{name}.weight", np.zeros(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("name", shipped.names())
def test_a_shipped_model_has_as_many_parameters_as_its_authors_say(name: str) -> None:
    assert shipped.model(name).parameters == pytest.approx(PUBLISHED[name], rel=2e-3)


def test_a_token_uses_some_experts_only() -> None:
    assert shipped.model("qwen3-30b-a3b").active_parameters == pytest.approx(3.35e9, rel=2e-3)


@pytest.mark.parametrize("name", shipped.names())
def test_a_shipped_model_is_what_transformers_makes_of_its_configuration(name: str) -> None:
    pytest.importorskip("transformers")
    made = read(str(shipped.configuration(name)))
    assert (made.products, made.others) == (shipped.model(name).products, shipped.model(name).others)


def test_without_transformers_a_name_works_and_a_configuration_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert answer(ReadModel("phi-4", ("w1.58a8",))).model is not None
    assert "pip install 'bitlinear-bench[models]'" in answer(ReadModel(str(shipped.configuration("phi-4")), ())).refusal


def test_a_configuration_alone_gives_turned_and_tied_products(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps(GPT2))
    model = listed(tmp_path)
    assert shapes(model)["transformer.h.*.attn.c_attn"] == (24, 8, 2, 2)
    (head,) = (product for product in model["products"] if product["name"] == "lm_head")
    assert (head["stored_bytes"], head["read_bytes"], set(head["scheme_bytes"].values())) == (0, 4 * 50 * 8, {0})
    assert {part["name"] for part in model["others"] if "looked up" in part["why"]} == {
        "transformer.wte",
        "transformer.wpe",
    }


def test_code_is_read_on_the_meta_device(tmp_path: Path) -> None:
    (tmp_path / "routed.py").write_text(ROUTED)
    model = listed("routed:make", folder=tmp_path)
    assert shapes(model) == {
        "blocks.*.experts.*.up": (32, 8, 12, 6),
        "attention.in_proj_weight": (24, 8, 1, 1),
        "attention.out_proj": (8, 8, 1, 1),
        "head": (10, 8, 1, 1),
    }
    assert {part["why"] for part in model["others"] if part["name"] == "conv.weight"} == {"a convolution"}
    assert model["parameters"] == 80 + 12 * 256 + 24 * 8 + 24 + 64 + 8 + 200 + 90


def test_bytes_by_a_scheme_are_those_of_the_converted_model() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Embedding(9, 35), nn.Linear(35, 40), nn.Linear(40, 7, bias=False))

    module = sys.modules[__name__]
    for scheme in ("w1.58a8-nonorm", "w3a8g5-nonorm", "w4a8gs5-nonorm", "w8a8-nonorm"):
        module.__dict__["made"] = make
        model = answer(ReadModel(f"{__name__}:made", (scheme,))).model
        assert model is not None
        converted = bitlinear.convert(make(), "packed", scheme)
        stored = sum(tensor.nbytes for tensor in [*converted.parameters(), *converted.buffers()])
        assert model.bytes_by(scheme) == stored


def test_a_safetensors_file_is_read_by_names_and_shapes(tmp_path: Path) -> None:
    shapes_in_file = {"wte.weight": (50, 8), "h.0.attn.c_attn.weight": (8, 24), "h.0.attn.c_attn.bias": (24,)}
    shapes_in_file |= {f"h.{i}.up.weight": (32, 8) for i in range(2)} | {"h.0.experts.down_proj": (4, 8, 16)}
    model = listed(safetensors(tmp_path / "m.safetensors", shapes_in_file))
    assert shapes(model) == {
        "h.*.attn.c_attn": (24, 8, 1, 1),
        "h.*.up": (32, 8, 2, 2),
        "h.*.experts.down_proj": (8, 16, 4, 4),
    }
    assert model["stored_bytes"] == 4 * (400 + 192 + 24 + 512 + 512)
    assert "how many experts a token uses" in model["notes"][0]
    assert "no head" in model["notes"][1]


def test_a_gguf_file_says_how_many_experts_are_used_and_ties_its_head(tmp_path: Path) -> None:
    model = listed(gguf(tmp_path / "m.gguf", expert_used_count=2))
    assert shapes(model) == {
        "blk.*.ffn_up_exps": (64, 32, 4, 2),
        "blk.*.attn_q": (32, 32, 1, 1),
        "token_embd as the head": (50, 32, 1, 1),
    }
    assert model["notes"] == []


def broken(tmp_path: Path, name: str, content: bytes) -> str:
    (tmp_path / name).write_bytes(content)
    return str(tmp_path / name)


REFUSED: dict[str, tuple[Callable[[Path], str], str]] = {
    "a name": (lambda _: "lama-3-8b", "did you mean llama-3-8b?"),
    "no file": (lambda _: "nowhere/config.json", "there is no nowhere/config.json"),
    "no model_type": (lambda t: broken(t, "config.json", b'{"hidden_size": 3}'), "has no model_type"),
    "no JSON": (lambda t: broken(t, "config.json", b"{"), "is no configuration"),
    "no kind": (lambda t: broken(t, "model.bin", b"x"), "is of no kind that is read"),
    "an empty folder": (str, "has neither config.json nor"),
    "an empty file": (lambda t: broken(t, "m.safetensors", b""), "is no safetensors file that can be read"),
    "a lying length": (
        lambda t: broken(t, "m.safetensors", struct.pack("<Q", 1 << 60)),
        "is no safetensors file that can be read",
    ),
    "a short file": (
        lambda t: str(safetensors(t / "m.safetensors", {"a.weight": (4, 4)}, cut=9)),
        "is no safetensors file that can be read",
    ),
    "lying sizes": (
        lambda t: broken(t, "m.gguf", b"GGUF" + struct.pack("<IQQQ", 3, 1 << 60, 1, 1 << 62)),
        "its header goes on for 4611686018427387904 bytes",
    ),
    "a short gguf": (lambda t: broken(t, "m.gguf", gguf(t / "whole.gguf").read_bytes()[:-9]), "ends at byte"),
    "types of gguf": (
        lambda t: broken(t, "m.gguf", gguf(t / "w.gguf").read_bytes().replace(*UNKNOWN_TYPE)),
        "types that are not known here: 99",
    ),
    "no module": (lambda _: "tests.suites.test_whole_models:GPT2", "gives a dict; give a torch.nn.Module"),
    "failing code": (lambda _: "tests.suites.test_whole_models:gguf", "cannot be called on the meta device: TypeError"),
}
UNKNOWN_TYPE = (struct.pack("<QQI", 32, 32, 0), struct.pack("<QQI", 32, 32, 99))
"""The sides and the type of the last tensor."""


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_model_is_refused_in_one_line(what: str, tmp_path: Path) -> None:
    make, sentence = REFUSED[what]
    reading = answer(ReadModel(make(tmp_path), ()))
    assert sentence in reading.refusal
    assert "\n" not in reading.refusal


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("lama-3-8b",), "did you mean llama-3-8b?"),
        (("phi-4", "--scheme", "w9"), "not a scheme: 'w9'"),
        (("minilm-l6", "--scheme", "w4a8gs100"), "the groups of a scheme do not divide the input features of encoder"),
        (("minilm-l6", "--scheme", "w4a8g5"), "the groups of a scheme do not divide the input features of encoder"),
    ],
)
def test_the_command_ends_with_the_line_and_code_2(words: tuple[str, ...], sentence: str) -> None:
    done = bitbench("model", *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert sentence in done.stderr


def test_without_a_model_the_names_are_listed() -> None:
    assert all(name in bitbench("model").stdout for name in shipped.names())


def made_up(bandwidth: float) -> Ceilings:
    return Ceilings(threads=usable_cores(), cache_bytes=1, cache_bandwidth=1e12, memory_bandwidth=bandwidth, int8=1e18)


def test_a_machine_makes_as_many_tokens_as_it_can_read_the_weights_that_one_uses() -> None:
    def with_bytes(name: str) -> WholeModel:
        model = answer(ReadModel(name, ("w8a8-nonorm",))).model
        assert model is not None
        return model

    llama, routed, tied = map(with_bytes, ("llama-3-8b", "qwen3-30b-a3b", "bitnet-2b4t"))
    by_weights = 1e11 / sum(product.weights for product in llama.products)
    assert most_tokens(llama, "w8a8-nonorm", made_up(1e11)) == pytest.approx(by_weights, rel=0.01)
    of_all = 1e11 / sum(product.weights for product in routed.products)
    assert most_tokens(routed, "w8a8-nonorm", made_up(1e11)) > 9 * of_all
    head = 2 * 128256 * 2560
    without_head = sum(product.scheme_bytes["w8a8-nonorm"] for product in tied.products)
    assert most_tokens(tied, "w8a8-nonorm", made_up(1e11)) == pytest.approx(1e11 / (without_head + head), rel=1e-6)


def test_the_ceilings_of_this_machine_are_used_where_they_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "`bitbench run quick` measures them" in bitbench("model", "phi-4").stdout
    remember(combine(machine(), describe_torch()), made_up(5e10))
    assert "products alone: 3.53 by w8a8-nonorm." in bitbench("model", "phi-4", "--scheme", "w8a8-nonorm").stdout
