"""What is measured of outputs, on tensors alone: each function gives one value a token, a document or a query."""

import torch
from torch import Tensor


def token_bits(log_probs: Tensor, targets: Tensor) -> Tensor:
    """Bits that predicting each of `targets` (T,) takes, by natural log-probabilities (T, vocabulary); (T,)."""
    return -log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1) / torch.log(torch.tensor(2.0))


def divergence(expected: Tensor, log_probs: Tensor) -> Tensor:
    """Kullback-Leibler divergence KL(expected || other) in nats, of log-probabilities (T, vocabulary); (T,).

    Kullback and Leibler, On Information and Sufficiency, 1951. Never negative but by rounding.
    """
    return (expected.exp() * (expected - log_probs)).sum(-1)


def rank_correlations(expected: Tensor, other: Tensor) -> Tensor:
    """Spearman's rank correlation of each row of two (N, N) matrices of similarities, the diagonal left out; (N,).

    Equal similarities are ranked in the order of their columns. NaN where a row has fewer than two others.
    """
    ranks = [
        _off_diagonal(matrix).argsort(dim=-1, stable=True).argsort(dim=-1).double() for matrix in (expected, other)
    ]
    a, b = (rank - rank.mean(-1, keepdim=True) for rank in ranks)
    return (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum(-1)).sqrt()


def own_ranks(similarities: Tensor) -> Tensor:
    """The rank of entry (i, i) in row i of (N, N) similarities, from 1; what is equal or NaN counts as before it."""
    own = similarities.diagonal().unsqueeze(-1)
    others = ~torch.eye(len(similarities), dtype=torch.bool, device=similarities.device)
    return 1 + (~(similarities < own) & others).sum(-1)


def sqnr(expected: Tensor, output: Tensor) -> float:
    """Signal to quantisation noise in dB, of the outputs of one layer; infinite where they are equal."""
    noise = float((expected - output).double().square().sum())
    power = float(expected.double().square().sum())
    return 10 * float(torch.tensor(power / noise).log10()) if noise else float("inf")


def _off_diagonal(matrix: Tensor) -> Tensor:
    """(N, N) without its diagonal, (N, N - 1)."""
    n = len(matrix)
    return matrix.flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1)
