"""Parts of a model, one by one, gathered into rows: what differs by numbers in its name only is one row."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from harness.model.whole_model import OtherPart, Product, WholeModel

Row = TypeVar("Row", Product, OtherPart)

EMBEDDING = "a table that is looked up: bytes, and no work"


def pattern(name: str) -> str:
    """`model.layers.*.mlp` of `model.layers.17.mlp`."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name)


@dataclass
class Rows:
    """What was found of a model so far, in the order in which it was found."""

    products: dict[tuple[object, ...], Product] = field(default_factory=dict)
    others: dict[tuple[object, ...], OtherPart] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def add_product(
        self,
        name: str,
        kind: str,
        shape: Sequence[int],
        dtype: str,
        read: int,
        *,
        used: float = 1.0,
        tied: bool = False,
    ) -> None:
        """Matrices `(out, in)` or `(experts, out, in)` of `read` bytes; `used` is the share that multiplies a token."""
        *experts, out_features, in_features = shape
        count = experts[0] if experts else 1
        found = Product(
            name=pattern(name),
            kind=kind,
            out_features=out_features,
            in_features=in_features,
            count=count,
            used=count * used,
            dtype=dtype,
            stored_bytes=0 if tied else read,
            read_bytes=read,
        )
        key = (found.name, kind, out_features, in_features, dtype, tied)
        before = self.products.get(key)
        self.products[key] = _sum(before, found, "count", "used", "stored_bytes", "read_bytes") if before else found

    def add_other(self, name: str, kind: str, why: str, parameters: int, stored: int) -> None:
        """A tensor that belongs to no product; an empty `name` is that of many kinds of tensor."""
        found = OtherPart(name=pattern(name), kind=kind, why=why, count=1, parameters=parameters, stored_bytes=stored)
        key = (found.name, kind, why)
        before = self.others.get(key)
        self.others[key] = _sum(before, found, "count", "parameters", "stored_bytes") if before else found

    def model(self, name: str) -> WholeModel:
        """All of it."""
        products, others = tuple(self.products.values()), tuple(self.others.values())
        return WholeModel(name=name, products=products, others=others, notes=tuple(self.notes))


def _sum(one: Row, other: Row, *fields: str) -> Row:
    return msgspec.structs.replace(one, **{name: getattr(one, name) + getattr(other, name) for name in fields})
