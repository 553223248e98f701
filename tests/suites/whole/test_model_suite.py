"""The suite about whole models: the cases of a model, a decoder that attends as it should, a run by real commands."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn

from harness.model import Case
from harness.model.whole_model import Product, WholeModel
from suites.models import shipped
from suites.whole import model as suite
from suites.whole.decoder import Decoder, NoDecoderError
from suites.workloads.decoding.blocks import Block, angles
from suites.workloads.decoding.step import Step

ROOT = Path(__file__).parents[3]
POINT = {"m": 1, "scheme": "w1.58a8-nonorm", "context": 256, "dtype": "float32", "device": "cpu", "threads": 2}
TINY = """
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(64, n, bias=False) for n in (64, 32, 32))
        self.o_proj, self.up_proj, self.down_proj = nn.Linear(64, 64), nn.Linear(64, 96), nn.Linear(96, 64)

def make():
    whole = nn.Module()
    whole.layers = nn.ModuleList([Block(), Block()])
    whole.embed, whole.lm_head = nn.Embedding(50, 64), nn.Linear(64, 50)
    return whole
"""
WRONG = """
def zeros(layer):
    n = layer.out_features
    return lambda x: x.new_zeros(*x.shape[:-1], n)
"""


def test_every_shipped_decoder_is_found_and_others_say_why_they_are_none() -> None:
    found, refused = {}, {}
    for model in shipped.models():
        try:
            found[model.name] = Decoder.of(model)
        except NoDecoderError as error:
            refused[model.name] = str(error)
    assert found["bitnet-2b4t"] == Decoder(30, 2560, (2560, 640, 640), 2560, (6912, 6912), 6912, 128256)
    assert found["phi-4"] == Decoder(40, 5120, (7680,), 5120, (35840,), 17920, 100352), "fused products"
    assert (found["phi-4"].key_features, found["phi-4"].head_features) == (1280, 128)
    assert refused.keys() == {"qwen3-30b-a3b"}
    assert "experts" in refused["qwen3-30b-a3b"]
    assert all(Decoder.from_params(one.params()) == one for one in found.values())


def test_each_shape_is_one_case_and_blocks_are_as_many_as_memory_takes() -> None:
    cases = list(suite.cases(shipped.model("llama-3-8b"), POINT))
    shapes = [(case["n"], case["k"]) for case in cases if "part" not in case]
    assert sorted(shapes) == [(1024, 4096), (4096, 4096), (4096, 14336), (14336, 4096)], "the head is all else's"
    assert {case["cache"] for case in cases if "part" not in case} == {"stream"}
    parts = [(case["part"], case["blocks"]) for case in cases if "part" in case]
    held = suite.blocks_held(Decoder.of(shipped.model("llama-3-8b")))
    assert held >= 1
    assert parts == list(dict.fromkeys([("rest", 32), ("rest", held), ("decoder", held)]))
    assert all(suite.SUITE.by_baseline(case) == (case.get("part") == "rest") for case in cases)
    assert not [case for case in suite.cases(shipped.model("qwen3-30b-a3b"), POINT) if "part" in case]


def test_groups_of_a_size_are_one_scheme_for_all_cases_of_a_step_and_each_layer_has_its_own_number() -> None:
    sized = product("layers.*.q_proj", 256), product("layers.*.up_proj", 640)
    point = {**POINT, "scheme": "w4a8gs64-nonorm"}
    cases = list(suite.cases(WholeModel(name="toy", products=sized, others=()), point))
    assert {case["scheme"] for case in cases} == {"w4a8gs64-nonorm"}, "else no step would have all its layers"
    assert [suite.facts(case)["groups"] for case in cases] == [4, 10]
    decoder = Decoder(1, 64, (64, 64, 64), 64, (128,), 128)
    params = {**point, "part": "decoder", "model": "toy", **decoder.params()}
    assert suite.facts(params) == {"weight_bits": 4, "activation_bits": 8}
    layers = Step(Case.of("model", "native", params), 0).layers()
    assert [layer.scheme.groups for layer in layers] == [1, 1, 1, 1, 1, 2]


def test_heads_that_cannot_be_turned_or_shared_are_no_decoder() -> None:
    for attention, keys in ((33, 33), (192, 128)):
        sizes = {"q_proj": (attention, 64), "k_proj": (keys, 64), "v_proj": (keys, 64), "o_proj": (64, attention)}
        sizes |= {"up_proj": (128, 64), "down_proj": (64, 128)}
        products = tuple(product(f"layers.*.{name}", k, n) for name, (n, k) in sizes.items())
        with pytest.raises(NoDecoderError, match="heads"):
            Decoder.of(WholeModel(name="odd", products=products, others=()))


def test_a_product_of_every_block_is_no_head_whatever_its_name() -> None:
    assert not product("blocks.*.attention.output", 64).is_head
    assert msgspec.structs.replace(product("output", 64), count=1).is_head


def product(name: str, k: int, n: int = 64) -> Product:
    """Two of them."""
    size = 4 * n * k
    return Product(
        name=name,
        kind="Linear",
        out_features=n,
        in_features=k,
        count=2,
        used=2,
        dtype="float32",
        stored_bytes=size,
        read_bytes=size,
    )


@pytest.mark.parametrize("fused", [False, True])
def test_a_token_after_a_context_is_the_last_token_of_the_prompt(fused: bool) -> None:
    torch.manual_seed(0)
    sizes = (128 + 2 * 64,) if fused else (128, 64, 64)
    decoder = Decoder(1, 32, sizes, 128, (48,) if fused else (24, 24), 24)
    products = [nn.Linear(k, n, bias=False) for n, k in decoder.products]
    x = torch.randn(1, 5, 32)
    turns = angles(torch.arange(5), decoder.head_features)
    prompt = Block(decoder, products, 0, x)
    alone = Block(decoder, products, 4, x)
    with torch.inference_mode():
        expected = prompt(x, turns)[:, -1:]
        keys, values = keys_and_values(prompt, x, turns)
        alone._keys_and_values = (torch.zeros_like(keys), torch.zeros_like(values))
        alone._keys_and_values[0][:, :, :4], alone._keys_and_values[1][:, :, :4] = keys[:, :, :4], values[:, :, :4]
        found = alone(x[:, -1:], (turns[0][-1:], turns[1][-1:]))
    torch.testing.assert_close(found, expected)


def keys_and_values(
    block: Block, x: torch.Tensor, turns: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """By hand: normed, projected, cut into heads of 64, keys turned as complex numbers."""
    normed = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)
    made = torch.cat([product(normed) for product in block.inputs], dim=-1)[..., 128:].view(1, 5, 2, 64)
    keys = torch.complex(made[:, :, 0, :32], made[:, :, 0, 32:])
    angle = torch.complex(turns[0][:, :32], turns[1][:, :32])
    turned = torch.view_as_real(keys * angle)
    return torch.cat((turned[..., 0], turned[..., 1]), dim=-1)[:, None], made[:, :, 1][:, None]


def bitbench(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-m", "harness.cli", *words)
    environment = {"PYTHONPATH": f"{ROOT}", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)


def test_a_run_of_a_users_model_tells_tokens_a_second_and_a_wrong_contestant_none(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(TINY)
    (tmp_path / "wrong.py").write_text(WRONG)
    words = ("--model", "mine:make", "--impl", "linear-bf16,int8,wrong:zeros", "--rounds", "2", "--threads", "1")
    done = bitbench(tmp_path, "run", "model", *words, "--axis", "m=2", "--axis", "context=3", "--out", "run")
    assert done.returncode == 1, done.stderr
    assert "For mine:make, m=2 on this machine: int8, " in done.stdout
    shown = json.loads(bitbench(tmp_path, "show", "run", "--format", "json").stdout)
    steps = {step["implementation"]: step for step in shown["steps"]}
    assert steps.keys() == {"linear-bf16", "int8"}
    assert {(step["blocks_run"], step["blocks"]) for step in steps.values()} == {(2, 2)}
    assert all(step["decoder_over_estimate"] > 0 for step in steps.values())
    ended = {(row["implementation"], row["part"] or "layer"): row["outcome"] for row in shown["rows"]}
    assert ended["wrong:zeros", "layer"] == ended["wrong:zeros", "decoder"] == "failed"
    assert ended["int8", "decoder"] == ended["linear-bf16", "rest"] == "measured"
    assert ("int8", "rest") not in ended, "all else is the same for all"
    (tmp_path / "mine.py").unlink()  # a run carries what it needs to know of its model
    assert "nothing is left" in bitbench(tmp_path, "run", "--resume", "--out", "run", "--dry-run").stdout


def test_what_is_no_model_is_refused_in_one_line(tmp_path: Path) -> None:
    for words, told in (
        (("run", "model", "--model", "no-such"), "no model 'no-such' comes with bitbench"),
        (("run", "latency", "--model", "bitnet-2b4t"), "--model: latency is about no whole model; leave it out"),
        (("run", "model", "--axis", "scheme=w1.58a8g7"), "the groups of a scheme do not divide"),
        (("run", "model", "--axis", "m=0"), "a step of a model has one token or more"),
    ):
        done = bitbench(tmp_path, *words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert told in done.stderr


def test_a_model_without_products_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("from torch import nn\ndef make(): return nn.Conv2d(3, 4, 3)\n")
    done = bitbench(tmp_path, "run", "model", "--model", "plain:make")
    assert "plain:make: no linear product to measure besides a head" in done.stderr
    assert list(suite.cases(WholeModel(name="empty", products=(), others=()), POINT)) == []
