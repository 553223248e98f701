"""quality: how much worse a whole model answers with a scheme, document by document, than in full precision."""

from collections.abc import Callable
from pathlib import Path

from bitlinear.scheme import Scheme
from harness.model import Budget, Params, Value
from harness.model.metrics import Exact
from harness.model.suite import Axis, Suite
from suites import axes

MODELS = ("smollm2", "minilm")
"""Models that come in packages of PyPI: a causal language model and a sentence encoder."""
TEXTS = ("python", "handbook", "foldoc", "wordnet")
"""`python` is always there; the others are packages of Debian."""
ALL = "all"
"""Every linear layer but the output head."""
SUITS_THE_MODEL = 0
"""Stands for the number of documents that suits the kind of the model."""

BITS_PER_BYTE = Exact(
    name="bits_per_byte",
    title="bits that the model takes to predict a byte of text, mean over documents",
    heading="bits/byte",
    unit="bit",
    better="lower",
    relative_tolerance=0.01,
    machine_dependent=True,
)
KL_DIVERGENCE = Exact(
    name="kl_divergence",
    title="divergence of the predictions from full precision's, mean over tokens",
    heading="KL",
    unit="nat",
    better="lower",
    tolerance=1e-4,
    relative_tolerance=0.05,
    machine_dependent=True,
)
TOP1_AGREEMENT = Exact(
    name="top1_agreement",
    title="share of tokens whose likeliest successor is full precision's",
    heading="top-1 agrees",
    better="higher",
    tolerance=0.01,
    machine_dependent=True,
)
PERPLEXITY = Exact(
    name="perplexity",
    title="perplexity per token, of the whole text",
    better="lower",
    informative=True,  # bits per byte says the same of any tokeniser, and document by document
    machine_dependent=True,
)
EMBEDDING_COSINE = Exact(
    name="embedding_cosine",
    title="cosine of an embedding with full precision's, mean over documents",
    heading="cosine",
    better="higher",
    tolerance=1e-3,
    machine_dependent=True,
)
RANK_CORRELATION = Exact(
    name="rank_correlation",
    title="Spearman correlation of a document's similarities to all others with full precision's",
    heading="rank corr.",
    better="higher",
    tolerance=1e-3,
    machine_dependent=True,
)
RECALL = Exact(
    name="recall_at_1",
    title="share of terms whose own definition is the most similar one",
    heading="recall@1",
    better="higher",
    tolerance=0.01,
    machine_dependent=True,
)
MRR = Exact(
    name="mrr",
    title="mean of one over the rank of a term's own definition",
    heading="MRR",
    better="higher",
    tolerance=0.01,
    machine_dependent=True,
)
OUTPUT_SQNR = Exact(
    name="output_sqnr",
    title="SQNR of the quantised layers' outputs on the inputs that they get, mean over layers",
    heading="layer SQNR",
    unit="dB",
    better="higher",
    informative=True,
    machine_dependent=True,
)
PACKED_BYTES = Exact(
    name="packed_bytes",
    title="bytes of all linear layers but the head, packed by their schemes; unquantised weights take 16 bits",
    heading="packed",
    unit="B",
    better="lower",
)
METRICS = (
    BITS_PER_BYTE,
    PERPLEXITY,
    KL_DIVERGENCE,
    TOP1_AGREEMENT,
    EMBEDDING_COSINE,
    RANK_CORRELATION,
    RECALL,
    MRR,
    OUTPUT_SQNR,
    PACKED_BYTES,
)

SCHEMES = (
    "w16a16-nonorm",
    "w8a8-nonorm",
    "w6a8-nonorm",
    "w4a8-nonorm",
    "w3a8-nonorm",
    "w2a8-nonorm",
    "w1.58a8-nonorm",
    "w1a8-nonorm",
)


def _named_or_there(names: tuple[str, ...], what: str) -> Callable[[Value], Value]:
    def parse(value: Value) -> Value:
        text = str(value)
        if text not in names and not Path(text).exists():
            raise ValueError(f"{text!r} is neither known nor a path that exists; give {', '.join(names)} or {what}")
        return text

    return parse


def _layers(value: Value) -> Value:
    text = str(value)
    if not all(text.split("+")):
        raise ValueError(f"{text!r} is no choice of layers; give all, or patterns of names as in *.q_proj+*.k_proj")
    return text


def facts(params: Params) -> Params:
    """The parts of the scheme."""
    scheme = Scheme.parse(str(params["scheme"]))
    return {
        "weight_bits": scheme.weight_bits,
        "activation_bits": scheme.activation_bits,
        "groups": scheme.groups,
    }


def suite_axes(models: tuple[str, ...], schemes: tuple[str, ...], layers: tuple[str, ...]) -> tuple[Axis, ...]:
    """The axes of suites about whole models."""
    return (
        Axis("model", models, _named_or_there(MODELS, "a folder of Hugging Face's or a .gguf file")),
        axes.schemes(*schemes),
        Axis("layers", layers, _layers),
        Axis("text", ("python",), _named_or_there(TEXTS, "a file of text, or of terms, tabs and definitions")),
        Axis("documents", (SUITS_THE_MODEL,), axes.whole(0, "a number of documents")),
        Axis("tokens", (256,), axes.whole(2, "the tokens of a document")),
        axes.DEVICE,
        axes.threads(),
    )


SUITE = Suite(
    name="quality",
    summary="whole models after conversion: likelihood, divergence, embeddings, retrieval; by document",
    axes=suite_axes(MODELS, SCHEMES, (ALL,)),
    metrics=METRICS,
    budget=Budget(rounds=1, seconds=0.0),
    workload="suites.workloads.model.quality:Quality",
    resolve=dict,
    facts=facts,
    implementations=("reference",),
)
