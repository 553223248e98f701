"""The quality of a model with quantised layers, against the same model in full precision."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import lru_cache

import torch

from bitlinear import Plan
from bitlinear.interface import Implementation
from harness.model import Case
from harness.model.workload import Check, Measured, Prepared, Workload
from suites.whole.quality import CONTRACT, SUITS_THE_MODEL
from suites.workloads.quality import loading, texts
from suites.workloads.quality.causal import Causal, cut
from suites.workloads.quality.converted import (
    converted,
    implementation_of,
    measuring_sqnr,
    nudged,
    packed_bytes,
    replaced_bytes,
    schemes_of,
)
from suites.workloads.quality.embedding import Embedding
from suites.workloads.quality.spread import NUDGE, NUDGES, outside
from suites.workloads.quality.subject import Scores, Subject

DOCUMENTS, PAIRS = 8, 256
"""Documents for a causal model and for an encoder, where the case leaves that open."""


class Quality(Workload):
    """A model of a name or a path, its chosen layers by a scheme and an implementation."""

    def __init__(self, case: Case, seed: int) -> None:
        super().__init__(case, seed)
        self.plan = Plan.of(str(case.params["scheme"]))
        self.implementation: Implementation = implementation_of(case.implementation)

    def context(self) -> AbstractContextManager[object]:
        """Inference mode."""
        return torch.inference_mode()

    def why_not(self) -> str | None:
        """What is not installed here, or what the contestant says of the scheme."""
        params = self.case.params
        source = str(params["model"])
        if reason := loading.why_not(source):
            return reason
        try:
            is_causal = loading.is_causal(source)
        except loading.ModelError as error:
            return str(error)
        if reason := texts.why_not(str(params["text"]), paired=not is_causal):
            return reason
        reasons = (
            self.implementation.why_not(scheme=scheme, device=str(params["device"]), dtype=torch.float32)
            for scheme in schemes_of(self.plan)
        )
        return next(filter(None, reasons), None)

    def build(self) -> "PreparedModel":
        """The model, converted."""
        return PreparedModel(self)


class PreparedModel(Prepared):
    """A converted model, and what it is asked."""

    def __init__(self, quality: Quality) -> None:
        params = quality.case.params
        self.implementation, self.plan = quality.implementation, quality.plan
        self.is_contract = quality.case.implementation == CONTRACT
        self.layers, self.scheme = str(params["layers"]), str(params["scheme"])
        self.subject = subject_of(
            *(str(params[name]) for name in ("model", "text", "device")),
            *(int(params[name]) for name in ("documents", "tokens")),
        )
        self.model = converted(self.subject.model, self.implementation, self.plan, self.layers)

    def __call__(self) -> object:
        """The answer to the first document."""
        return self.subject.answer(self.model)

    def check(self, metrics: frozenset[str]) -> Check:
        """All scores; of an implementation that claims to follow the contract, whether it does."""
        scores = self.subject.scores(self.model)
        return Check({**scores, **self._of_layers(metrics)}, self._why_wrong(scores))

    def notes(self) -> tuple[str, ...]:
        """A normalisation that the model was not trained with ruins it."""
        if self.implementation.baseline or not (normed := [one for one in schemes_of(self.plan) if one.norm]):
            return ()
        return (
            f"{normed[0]} normalises the input of layers that were not trained so, which ruins a model;"
            f" take {normed[0]}-nonorm",
        )

    def stored(self) -> Mapping[str, float]:
        """Of the schemes, whatever the implementation stores."""
        replaced = {} if self.implementation.baseline else replaced_bytes(self.model)
        return {
            "packed_bytes": packed_bytes(self.subject.model, replaced),
            "quantised_bytes": sum(replaced.values()),
        }

    def _of_layers(self, metrics: frozenset[str]) -> Measured:
        if "output_sqnr" not in metrics or self.implementation.baseline:
            return {}
        with measuring_sqnr(self.subject.model, self.model, replaced_bytes(self.model)) as found:
            self()
        return {"output_sqnr": _mean(tuple(found.values()))} if found else {}

    def _why_wrong(self, scores: Scores) -> str:
        if self.is_contract or self.implementation.promise() is not Implementation.expected:
            return ""
        subject = self.subject
        contract, nudges = of_the_contract(subject, self.scheme, self.layers)
        own = scores[subject.judged]
        assert isinstance(own, tuple)
        return outside(own, contract, nudges, subject.judged)


@lru_cache(maxsize=1)
def subject_of(model: str, text: str, device: str, documents: int, tokens: int) -> Subject:
    """Shared by all schemes of a model, which is loaded once a process. Raises ModelError and TextError."""
    loaded = loading.load(model, device)
    if loading.is_causal(model):
        cutting = cut(texts.running(text), loaded.tokenizer, documents or DOCUMENTS, tokens)
        return Causal(loaded, cutting, device)
    count = PAIRS if documents == SUITS_THE_MODEL else documents
    return Embedding(loaded, texts.pairs(text, count), device)


@lru_cache(maxsize=1)
def of_the_contract(
    subject: Subject, scheme: str, layers: str
) -> tuple[tuple[float, ...], tuple[tuple[float, ...], ...]]:
    """The judged scores of the contract's own layers, and those with nudged inputs."""
    plan = Plan.of(scheme)
    model = converted(subject.model, implementation_of(CONTRACT), plan, layers)
    plain = subject.judged_scores(model)
    shaken = []
    for seed in range(NUDGES):
        with nudged(model, NUDGE, seed):
            shaken.append(subject.judged_scores(model))
    return plain, tuple(shaken)


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)
