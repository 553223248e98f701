"""The decoder that a model is: sizes of its blocks, found by names and shapes of its products. Imports no torch."""

import re
from dataclasses import dataclass

from harness.model import Params
from harness.model.whole_model import Product, WholeModel

ROLES = {
    "query": re.compile(r"\b(?:q_proj|query|attn_q|wq)$"),
    "key": re.compile(r"\b(?:k_proj|key|attn_k|wk)$"),
    "value": re.compile(r"\b(?:v_proj|value|attn_v|wv)$"),
    "fused": re.compile(r"\b(?:qkv_proj|c_attn|attn_qkv|query_key_value|in_proj_weight|Wqkv)$"),
    "output": re.compile(r"\b(?:o_proj|attn_output|wo|attn\.c_proj|attention\.(?:output\.)?dense|out_proj)$"),
    "gate": re.compile(r"\b(?:gate_proj|ffn_gate|w1)$"),
    "up": re.compile(r"\b(?:up_proj|ffn_up|w3|fc1|c_fc|intermediate\.dense|dense_h_to_4h)$"),
    "gate_up": re.compile(r"\b(?:gate_up_proj)$"),
    "down": re.compile(r"\b(?:down_proj|ffn_down|w2|fc2|mlp\.c_proj|dense_4h_to_h)$|(?<!attention)\.output\.dense$"),
}
"""By what a product does in a block, the ends of the names that it has in the libraries of the field."""


class NoDecoderError(ValueError):
    """Why a model is no decoder of equal blocks."""


@dataclass(frozen=True)
class Decoder:
    """`blocks` equal blocks of attention and a perceptron, and a head. Sizes are numbers of features."""

    blocks: int
    width: int
    """Of what goes from block to block."""
    inputs: tuple[int, ...]
    """Output features of the products that make queries, keys and values; one where they are fused."""
    attention: int
    """Of all queries of a token, and so of what attention gives to its output product."""
    perceptron: tuple[int, ...]
    """Output features of the products before the activation: gate and up, one of both, or one alone."""
    hidden: int
    """Of what the activation gives to the last product."""
    vocabulary: int = 0
    """Output features of the head; 0 where there is none."""

    @classmethod
    def of(cls, model: WholeModel) -> "Decoder":
        """That of a model with equal blocks. Raises NoDecoderError for any other, with the reason."""
        roles: dict[str, Product] = {}
        for product in model.products:
            for role, name in ROLES.items():
                if name.search(product.name) and product.count > 1 and not product.is_head:
                    if role in roles:
                        raise NoDecoderError(f"its blocks differ: {roles[role].name} has two shapes or two names")
                    roles[role] = product
        output, down = (_of(roles, role) for role in ("output", "down"))
        inputs = [roles["fused"]] if "fused" in roles else [_of(roles, role) for role in ("query", "key", "value")]
        perceptron = [roles[role] for role in ("gate_up", "gate", "up") if role in roles]
        blocks = output.count
        if uneven := [one.name for one in (*inputs, *perceptron, down) if (one.count, one.used) != (blocks, blocks)]:
            raise NoDecoderError(f"not every block has one {uneven[0]} that every token goes through")
        found = cls(
            blocks,
            output.out_features,
            tuple(one.out_features for one in inputs),
            output.in_features,
            tuple(one.out_features for one in perceptron),
            down.in_features,
            next((one.out_features for one in model.products if one.is_head), 0),
        )
        attention = found.attention + 2 * found.key_features
        if sum(found.perceptron) not in (found.hidden, 2 * found.hidden) or attention != sum(found.inputs):
            raise NoDecoderError("the sizes of its products do not fit together as attention and a perceptron")
        if not found.key_features or found.attention % found.key_features or found.head_features % 2:
            raise NoDecoderError("its queries and keys are not of heads that can be turned and share keys evenly")
        return found

    @property
    def key_features(self) -> int:
        """Of all keys of a token, and as many of all values."""
        return self.inputs[1] if len(self.inputs) == 3 else (self.inputs[0] - self.attention) // 2

    @property
    def head_features(self) -> int:
        """Of one head of attention: 128, as most have, or 64, or all of them."""
        return next((n for n in (128, 64) if not (self.attention % n or self.key_features % n)), self.key_features)

    @property
    def products(self) -> tuple[tuple[int, int], ...]:
        """Output and input features of every product of a block."""
        into = [(n, self.width) for n in (*self.inputs, *self.perceptron)]
        return (*into, (self.width, self.attention), (self.width, self.hidden))

    def params(self) -> Params:
        """As params of a case: `blocks`, and all other fields in their order as `sizes`."""
        one = [(size,) for size in (self.width, self.attention, self.hidden, self.vocabulary)]
        sizes = (one[0], self.inputs, one[1], self.perceptron, *one[2:])
        return {"blocks": self.blocks, "sizes": ",".join(map(_joined, sizes))}

    @classmethod
    def from_params(cls, params: Params) -> "Decoder":
        """The decoder whose `params` these are."""
        width, inputs, attention, perceptron, hidden, vocabulary = map(_parted, str(params["sizes"]).split(","))
        return cls(int(params["blocks"]), width[0], inputs, attention[0], perceptron, hidden[0], vocabulary[0])


def _of(roles: dict[str, Product], role: str) -> Product:
    if role not in roles:
        raise NoDecoderError(f"no {role} product is known among the names of its products")
    return roles[role]


def _joined(sizes: tuple[int, ...]) -> str:
    return "+".join(map(str, sizes))


def _parted(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("+")))
