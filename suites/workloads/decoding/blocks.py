"""A decoder of random weights and real sizes: attention, norms and a perceptron in torch, around anybody's products."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from suites.whole.decoder import Decoder

EPS = 1e-5
ROTATION_BASE = 10_000.0
"""Of the angles of rotary positions (RoFormer, arXiv 2104.09864)."""


class Nothing(nn.Module):
    """In the place of a product: an output of its shape that is there already, so that only the rest takes time."""

    def __init__(self, out_features: int) -> None:
        super().__init__()
        self.out_features = out_features
        self._outputs: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Small values `(..., out_features)`, the same ones for every input of one shape."""
        shape = x.shape[:-1]
        if shape not in self._outputs:
            self._outputs[shape] = torch.full((*shape, self.out_features), 0.01, dtype=x.dtype, device=x.device)
        return self._outputs[shape]


class Block(nn.Module):
    """Attention with grouped keys, then a perceptron, each behind a norm and beside a residual path."""

    def __init__(self, decoder: Decoder, products: Sequence[nn.Module], context: int, like: Tensor) -> None:
        """`products` are in the order of `decoder.products`; `like` has the dtype and the device of activations."""
        super().__init__()
        self.decoder, self.context = decoder, context
        into = len(decoder.inputs)
        self.products = nn.ModuleList(products)
        self.inputs, self.perceptron = tuple(products[:into]), tuple(products[into:-2])
        self.output, self.down = products[-2:]
        ones = torch.ones(decoder.width, dtype=like.dtype, device=like.device)
        self.first_norm, self.second_norm = nn.Parameter(ones), nn.Parameter(ones.clone())
        self._keys_and_values: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        """From `(sequences, tokens, width)` to the same; `turns` are cosines and sines `(tokens, head_features)`."""
        normed = F.rms_norm(x, x.shape[-1:], self.first_norm, EPS)
        x = x + self.output(self._attend(normed, turns))
        normed = F.rms_norm(x, x.shape[-1:], self.second_norm, EPS)
        down: Tensor = self.down(self._activate([product(normed) for product in self.perceptron]))
        return x + down

    def _attend(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        sizes = self.decoder
        made = [product(x) for product in self.inputs]
        features = (sizes.attention, sizes.key_features, sizes.key_features)
        query, key, value = made if len(made) == 3 else made[0].split(features, dim=-1)
        query, key, value = (
            one.unflatten(-1, (-1, sizes.head_features)).transpose(1, 2) for one in (query, key, value)
        )
        query, key = _turned(query, turns), _turned(key, turns)
        tokens = x.shape[1]
        if tokens == 1:
            key, value = self._with_context(key, value)
        grouped = query.shape[1] != key.shape[1]
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=tokens > 1, enable_gqa=grouped)
        return mixed.transpose(1, 2).flatten(-2)

    def _with_context(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """With those of the tokens before, behind which the new ones are written."""
        if self._keys_and_values is None:
            shape = (key.shape[0], key.shape[1], self.context + 1, key.shape[3])
            self._keys_and_values = (key.new_full(shape, 0.01), key.new_full(shape, 0.01))
        keys, values = self._keys_and_values
        keys[:, :, -1:], values[:, :, -1:] = key, value
        return keys, values

    def _activate(self, made: Sequence[Tensor]) -> Tensor:
        """SwiGLU where there is a gate, else SiLU."""
        if len(made) == 1 and made[0].shape[-1] == 2 * self.decoder.hidden:
            made = made[0].chunk(2, dim=-1)
        return F.silu(made[0]) * made[1] if len(made) == 2 else F.silu(made[0])


class Decoding(nn.Module):
    """Blocks, a last norm and a head in bfloat16, which only the last token of a prompt goes through."""

    def __init__(self, decoder: Decoder, blocks: Sequence[Block], like: Tensor) -> None:
        super().__init__()
        self.decoder = decoder
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.Parameter(torch.ones(decoder.width, dtype=like.dtype, device=like.device))
        head = torch.full((decoder.vocabulary, decoder.width), 0.01, dtype=torch.bfloat16, device=like.device)
        self.head = nn.Parameter(head, requires_grad=False)

    def forward(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
        """Logits `(sequences, vocabulary)` of `(sequences, tokens, width)`; without a vocabulary what the last block
        gives.
        """
        for block in self.blocks:
            x = block(x, turns)
        x = F.rms_norm(x[:, -1], x.shape[-1:], self.norm, EPS)
        return F.linear(x.to(self.head.dtype), self.head) if self.decoder.vocabulary else x


def angles(positions: Tensor, features: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines `(tokens, features)` by which queries and keys at `positions` `(tokens,)` are turned."""
    speeds = ROTATION_BASE ** (-torch.arange(0, features, 2, device=positions.device) / features)
    turns = torch.outer(positions.float(), speeds).repeat(1, 2)
    return turns.cos(), turns.sin()


def _turned(x: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """`x` `(..., tokens, head_features)` with its halves as real and imaginary parts, turned."""
    cosine, sine = turns
    real, imaginary = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-imaginary, real), dim=-1) * sine
