"""Encoders: how far embeddings and their similarities are from those of full precision, and whether they still find."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suites.workloads.quality.loading import LoadedModel
from suites.workloads.quality.measures import own_ranks, rank_correlations
from suites.workloads.quality.subject import Scores, Subject

MOST_TOKENS = 256
"""Of a text; the rest of it is left out."""
BATCH = 64
"""Texts of one forward."""
ANSWERED = 8
"""Definitions of one call; hundreds of tokens tell the SQNR of layers."""


class Embedding(Subject):
    """Terms and their definitions, and the embeddings of full precision."""

    judged = "embedding_cosine"

    def __init__(self, loaded: LoadedModel, pairs: list[tuple[str, str]], device: str) -> None:
        self.model = loaded.module
        self._loaded = loaded
        self._device = device
        self._terms = [term for term, _ in pairs]
        self._definitions = [definition for _, definition in pairs]
        self._expected = self._embeddings(self.model, self._definitions)

    def answer(self, model: nn.Module) -> object:
        """The embeddings of the first definitions."""
        return self._embeddings(model, self._definitions[:ANSWERED])

    def scores(self, model: nn.Module) -> Scores:
        """By document: cosine, rank correlation of similarities; by term: whether its definition is found, and MRR."""
        terms, documents = self._embeddings(model, self._terms), self._embeddings(model, self._definitions)
        ranks = own_ranks(terms @ documents.T)
        correlations = rank_correlations(self._expected @ self._expected.T, documents @ documents.T)
        return {
            "embedding_cosine": _values((documents * self._expected).sum(-1)),
            "rank_correlation": _values(correlations),
            "recall_at_1": _values(ranks == 1),
            "mrr": _values(1 / ranks),
        }

    def judged_scores(self, model: nn.Module) -> tuple[float, ...]:
        """Cosines by document."""
        return _values((self._embeddings(model, self._definitions) * self._expected).sum(-1))

    def _embeddings(self, model: nn.Module, texts: list[str]) -> Tensor:
        """(N, features), each of norm one; texts of like length share a batch, which wastes little on padding."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        rows = [self._batch(model, [texts[n] for n in order[i : i + BATCH]]) for i in range(0, len(order), BATCH)]
        return torch.cat(rows)[torch.tensor(order).argsort()]

    def _batch(self, model: nn.Module, texts: list[str]) -> Tensor:
        tokenise = self._loaded.tokenizer
        encoded = tokenise(texts, padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt")
        encoded = {name: tensor.to(self._device) for name, tensor in encoded.items()}
        hidden: Tensor = model(**encoded).last_hidden_state
        if self._loaded.pools_first:
            return F.normalize(hidden[:, 0].float(), dim=-1)
        mask = encoded["attention_mask"].unsqueeze(-1).to(hidden)
        return F.normalize(((hidden * mask).sum(1) / mask.sum(1)).float(), dim=-1)


def _values(tensor: Tensor) -> tuple[float, ...]:
    return tuple(tensor.double().tolist())
