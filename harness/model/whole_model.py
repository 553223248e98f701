"""A whole model as a list of linear products, and all else that it stores."""

import re

import msgspec

from harness.model.record import Amount, Count

_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|output)$|as the head$")


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """Matrices of one name and one shape, each of which multiplies activations: `y = x W^T` with W `(out, in)`."""

    name: str
    """Qualified, with `*` for the numbers in which they differ: `model.layers.*.mlp.up_proj`."""
    kind: str
    """The class that holds them, or the type of the tensor in a file."""
    out_features: Count
    in_features: Count
    count: Count
    used: Amount
    """How many of them multiply one token: of experts those that are chosen for it."""
    dtype: str
    """In which the model has them: `bfloat16`, `Q4_1`."""
    stored_bytes: Count
    """Of all, in that dtype; 0 where they are tied to an embedding, which has the bytes."""
    read_bytes: Count
    """Of all, as they are read when they are multiplied: also where they are tied."""
    scheme_bytes: dict[str, Count] = {}
    """By scheme: of all, scales included. What is tied stays as it is."""

    @property
    def weights(self) -> int:
        """How many numbers the matrices hold."""
        return self.count * self.out_features * self.in_features

    @property
    def operations(self) -> float:
        """For one token; a multiply and an add count as two."""
        return 2 * self.used * self.out_features * self.in_features

    @property
    def is_head(self) -> bool:
        """Whether it makes logits, by its name in the libraries of the field. Of many blocks, one is none."""
        return self.count == 1 and _HEAD.search(self.name) is not None

    @property
    def is_tied(self) -> bool:
        """Whether the weight is that of an embedding."""
        return self.read_bytes > self.stored_bytes


class OtherPart(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters that belong to no linear product."""

    name: str
    kind: str
    why: str
    """Why they are none."""
    count: Count
    """Tensors."""
    parameters: Count
    stored_bytes: Count


class WholeModel(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is made of, as far as its weights say."""

    name: str
    products: tuple[Product, ...]
    others: tuple[OtherPart, ...]
    notes: tuple[str, ...] = ()
    """What could not be known, in sentences."""

    @property
    def parameters(self) -> int:
        """All numbers that it stores; tied ones once."""
        own = sum(product.weights for product in self.products if not product.is_tied)
        return own + sum(part.parameters for part in self.others)

    @property
    def active_parameters(self) -> float:
        """Without the experts that a token does not use."""
        idle = sum(p.weights * (1 - p.used / p.count) for p in self.products if not p.is_tied)
        return self.parameters - idle

    @property
    def operations(self) -> float:
        """Of all products, for one token."""
        return sum(product.operations for product in self.products)

    @property
    def stored_bytes(self) -> int:
        """All that it stores, in its own dtypes."""
        return sum(product.stored_bytes for product in self.products) + self.other_bytes

    @property
    def other_bytes(self) -> int:
        """Of what is no product."""
        return sum(part.stored_bytes for part in self.others)

    def bytes_by(self, scheme: str) -> int:
        """All that it stores when its products, but tied ones, are of that scheme."""
        return sum(product.scheme_bytes[scheme] for product in self.products) + self.other_bytes

    def bytes_read(self, scheme: str) -> tuple[float, float]:
        """Of weights that products read by that scheme: for one token, and all that tokens read in turn."""
        sizes = [(p.read_bytes if p.is_tied else p.scheme_bytes[scheme], p.used / p.count) for p in self.products]
        return sum(size * share for size, share in sizes), float(sum(size for size, _ in sizes))
