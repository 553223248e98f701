"""Causal language models: the likelihood of documents, and how far predictions are from those of full precision."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from suites.workloads.quality.loading import LoadedModel
from suites.workloads.quality.measures import divergence, token_bits
from suites.workloads.quality.subject import Scores, Subject
from suites.workloads.quality.texts import TextError, windows

CHARACTERS = 12
"""Of text for each token that is wanted, of which no usual tokeniser makes fewer."""
BATCH = 1024
"""Tokens of one forward at most: their logits over 50,000 words take 200 MB."""


class Documents(NamedTuple):
    """Texts cut to one number of tokens."""

    tokens: Tensor
    """(D, T) int64."""
    sizes: tuple[int, ...]
    """Bytes in UTF-8 that each one's tokens but the first stand for: those that are predicted."""


def cut(text: str, tokenizer: Any, count: int, tokens: int) -> Documents:
    """`count` documents of `tokens` tokens each, evenly spread over `text`. Raises TextError where it is too short."""
    rows, sizes = [], []
    for number, piece in enumerate(windows(text, count, CHARACTERS * tokens)):
        encoded = tokenizer(piece, add_special_tokens=False, return_offsets_mapping=True)
        ids, places = encoded["input_ids"][:tokens], encoded["offset_mapping"][:tokens]
        if len(ids) < tokens:
            raise TextError(f"document {number + 1} of {count} has {len(ids)} tokens, and {tokens} are asked for")
        rows.append(ids)
        sizes.append(len(piece[places[0][1] : places[-1][1]].encode()))
    return Documents(torch.tensor(rows), tuple(sizes))


class Causal(Subject):
    """Documents, and the log-probabilities of full precision, which are kept in half precision."""

    judged = "bits_per_byte"

    def __init__(self, loaded: LoadedModel, documents: Documents, device: str) -> None:
        self.model = loaded.module
        self.documents = documents
        self._tokens = documents.tokens.to(device)
        self._expected: list[Tensor] = []
        self._likeliest: list[Tensor] = []
        for log_probs in self._predictions(self.model):
            self._expected.append(log_probs.half())
            self._likeliest.append(log_probs.argmax(-1))

    def answer(self, model: nn.Module) -> object:
        """The logits of the first document."""
        return model(input_ids=self._tokens[:1], use_cache=False).logits

    def scores(self, model: nn.Module) -> Scores:
        """By document: bits per byte, KL divergence in nats and top-1 agreement; the perplexity of all."""
        bits, nats, agree = [], [], []
        for number, log_probs in enumerate(self._predictions(model)):
            expected = self._expected[number].float().log_softmax(-1)  # rounding has cost it its sum of one
            bits.append(float(token_bits(log_probs, self._tokens[number, 1:]).double().sum()))
            nats.append(float(divergence(expected, log_probs).double().mean()))
            agree.append(float((log_probs.argmax(-1) == self._likeliest[number]).double().mean()))
        predicted = self._tokens[:, 1:].numel()
        return {
            "bits_per_byte": tuple(one / size for one, size in zip(bits, self.documents.sizes, strict=True)),
            "perplexity": _power_of_two(sum(bits) / predicted),
            "kl_divergence": tuple(nats),
            "top1_agreement": tuple(agree),
        }

    def judged_scores(self, model: nn.Module) -> tuple[float, ...]:
        """Bits per byte by document."""
        targets = self._tokens[:, 1:]
        sums = (float(token_bits(p, targets[n]).double().sum()) for n, p in enumerate(self._predictions(model)))
        return tuple(one / size for one, size in zip(sums, self.documents.sizes, strict=True))

    def _predictions(self, model: nn.Module) -> Iterator[Tensor]:
        """Log-probabilities (T - 1, vocabulary) of each document in turn, of all its tokens but the first."""
        for batch in torch.split(self._tokens, max(1, BATCH // self._tokens.shape[1])):
            for logits in model(input_ids=batch, use_cache=False).logits:
                yield logits[:-1].float().log_softmax(-1)


def _power_of_two(exponent: float) -> float:
    return 2.0**exponent if exponent < 1024 else math.inf
