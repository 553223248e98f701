"""The networks that are trained. A scheme takes the place of each `nn.Linear` that is no `FloatLinear`."""

import torch.nn.functional as F
from torch import Tensor, nn


class FloatLinear(nn.Linear):
    """A linear layer that stays in full precision whatever the scheme."""


class Classifier(nn.Sequential):
    """`(B, inputs)` to logits `(B, classes)`, over one hidden layer. Both linear layers are quantised."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, classes))


class NextByte(nn.Module):
    """Byte numbers `(B, context)` to logits `(B, symbols)` of the byte that follows (Bengio et al. 2003, JMLR 3:1137).

    The embeddings of the context side by side go through one layer and a residual one. As in BitNet (arXiv 2310.11453)
    the embedding and the head stay in full precision, and the layers between are quantised.
    """

    def __init__(self, symbols: int, context: int, width: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.first = nn.Linear(context * width, hidden, bias=False)
        self.second = nn.Linear(hidden, hidden, bias=False)
        self.norm = nn.LayerNorm(hidden)
        self.head = FloatLinear(hidden, symbols)

    def forward(self, context: Tensor) -> Tensor:
        """Logits of the next byte."""
        h = F.relu(self.first(self.embedding(context).flatten(1)))
        h = h + F.relu(self.second(h))
        logits: Tensor = self.head(self.norm(h))
        return logits
