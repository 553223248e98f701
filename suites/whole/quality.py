"""quality: how much worse a whole model answers with a scheme, document by document, than in full precision."""

import hashlib
import json
import platform
from collections.abc import Callable
from pathlib import Path

from bitlinear.scheme import Scheme
from harness.model import Budget, Params, Value
from harness.model.metrics import Exact, Paired
from harness.model.suite import Axis, Suite
from suites import axes

MODELS = ("minilm", "smollm2")
"""Models that come in packages of PyPI: a sentence encoder and a causal language model."""
PLACES = {
    "handbook": Path("/usr/share/doc/debian-handbook/html/en-US"),
    "foldoc": Path("/usr/share/dictd/foldoc.dict.dz"),
    "wordnet": Path("/usr/share/wordnet/data.noun"),
}
"""Where packages of Debian put texts."""
TEXTS = ("python", *PLACES)
"""`python` is always there."""
CONTRACT = "contract"
"""The suite's own contestant: what the contract says, computed as fast as it goes with float32 weights."""
ALL = "all"
"""Every linear layer but the output head."""
SUITS_THE_MODEL = 0
"""Stands for the number of documents that suits the kind of the model."""

BITS_PER_BYTE = Paired(
    name="bits_per_byte",
    title="bits that the model takes to predict a byte of text, mean over documents",
    heading="bits/byte",
    unit="bit",
    better="lower",
    relative_tolerance=0.01,
)
KL_DIVERGENCE = Paired(
    name="kl_divergence",
    title="divergence of the predictions from full precision's, mean over tokens",
    heading="KL",
    unit="nat",
    better="lower",
    tolerance=1e-4,
    relative_tolerance=0.05,
)
TOP1_AGREEMENT = Paired(
    name="top1_agreement",
    title="share of tokens whose likeliest successor is full precision's",
    heading="top-1 agrees",
    better="higher",
    tolerance=0.01,
)
PERPLEXITY = Exact(
    name="perplexity",
    title="perplexity per token, of the whole text",
    better="lower",
    informative=True,  # bits per byte says the same of any tokeniser, and document by document
    machine_dependent=True,
)
EMBEDDING_COSINE = Paired(
    name="embedding_cosine",
    title="cosine of an embedding with full precision's, mean over documents",
    heading="cosine",
    better="higher",
    tolerance=1e-3,
)
RANK_CORRELATION = Paired(
    name="rank_correlation",
    title="Spearman correlation of a document's similarities to all others with full precision's",
    heading="rank corr.",
    better="higher",
    tolerance=1e-3,
)
RECALL = Paired(
    name="recall_at_1",
    title="share of terms whose own definition is the most similar one",
    heading="recall@1",
    better="higher",
    tolerance=0.01,
)
MRR = Paired(
    name="mrr",
    title="mean of one over the rank of a term's own definition",
    heading="MRR",
    better="higher",
    tolerance=0.01,
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
QUANTISED_BYTES = Exact(
    name="quantised_bytes",
    title="bytes of the layers that are quantised, packed by their schemes",
    heading="of these",
    unit="B",
    better="lower",
    informative=True,  # a part of packed_bytes, which is judged
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
    QUANTISED_BYTES,
)

SCHEMES = tuple(
    f"{scheme}-nonorm"
    for scheme in ("w16a16", "w8a8", "w6a8", "w4a8", "w4a8gs64", "w4a8gs32", "w3a8gs32", "w2a8", "w1.58a8", "w1a8")
)
"""Without the contract's normalisation, which ruins a model that was trained without it."""


def _named_or_there(names: tuple[str, ...], what: str) -> Callable[[Value], Value]:
    def parse(value: Value) -> Value:
        text = str(value)
        if text not in names and not Path(text).exists():
            raise ValueError(f"{text!r} is neither known nor a path that exists; give {', '.join(names)} or {what}")
        return text

    return parse


def _scheme_or_plan(value: Value) -> Value:
    from bitlinear import Plan  # here, so that a gate may measure a base that has no plans

    text = str(value)
    if text.endswith(".json"):
        Plan.load(text)
        return text
    return str(Scheme.parse(text))


def _layers(value: Value) -> Value:
    text = str(value)
    if not all(text.split("+")):
        raise ValueError(f"{text!r} is no choice of layers; give all, or patterns of names as in *.q_proj+*.k_proj")
    return text


def facts(params: Params) -> Params:
    """The parts of the scheme, or the rules of a plan, as its file may change; and of which texts the documents are."""
    text = str(params["scheme"])
    known: Params = {"units": f"{params['text']} {_version(str(params['text']))}"}
    if text.endswith(".json"):
        return {**known, "plan": _rules(text)}
    scheme = Scheme.parse(text)
    return {**known, "weight_bits": scheme.weight_bits, "activation_bits": scheme.activation_bits}


def _rules(path: str) -> str:
    """A plan as JSON: schemes by patterns of names, the empty one for all other layers."""
    from bitlinear import Plan  # here, so that a gate may measure a base that has no plans

    found = Plan.load(path)
    rules = {"": found.default, **found.layers} if found.default else found.layers
    return json.dumps({name: str(scheme) if scheme else "full precision" for name, scheme in rules.items()})


def _version(text: str) -> str:
    """That of Python for its own documentation, the size of a package's file, else a digest of the user's file."""
    if text == "python":
        return platform.python_version()
    place = PLACES.get(text, Path(text))
    if text in PLACES:
        return str(place.stat().st_size) if place.exists() else ""
    return hashlib.sha256(place.read_bytes()).hexdigest()[:12] if place.is_file() else ""


def suite_axes(models: tuple[str, ...], schemes: tuple[str, ...], layers: tuple[str, ...]) -> tuple[Axis, ...]:
    """The axes of suites about whole models."""
    return (
        Axis("model", models, _named_or_there(MODELS, "a folder of Hugging Face's or a .gguf file")),
        Axis("scheme", schemes, _scheme_or_plan),
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
    budget=Budget(rounds=1, seconds=0.0, wall=240.0),
    workload="suites.workloads.quality.quality:Quality",
    resolve=dict,
    facts=facts,
    implementations=(CONTRACT,),
)

SENSITIVITY = Suite(
    name="sensitivity",
    summary="what each kind of layer of a model costs alone, beside its SQNR",
    axes=suite_axes(
        ("smollm2",),
        ("w3a8gs32-nonorm",),
        tuple(f"*.{kind}_proj" for kind in ("q", "k", "v", "o", "gate", "up", "down")),
    ),
    metrics=METRICS,
    budget=Budget(rounds=1, seconds=0.0),
    workload="suites.workloads.quality.quality:Quality",
    resolve=dict,
    facts=facts,
    implementations=(CONTRACT,),
)
