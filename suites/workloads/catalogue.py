"""The contestants by name, for the harness."""

import torch

from bitlinear.implementation import Implementation, from_factory
from bitlinear.implementations import IMPLEMENTATIONS
from bitlinear.scheme import Scheme
from harness.suite import Catalogue, follow

_BY_NAME = {implementation.name: implementation for implementation in IMPLEMENTATIONS}
_USUAL = Scheme.parse("w1.58a8")


def catalogue() -> Catalogue:
    """Every contestant of the project."""
    return Catalogue({name: one.summary for name, one in _BY_NAME.items()}, _why_not)


def find(name: str) -> Implementation:
    """The contestant called `name`, or the user's own when it is given as package.module:object.

    Raises UsageError when the user's cannot be imported.
    """
    return _BY_NAME[name] if name in _BY_NAME else from_factory(follow(name), name)


def _why_not(name: str, device: str) -> str | None:
    return _BY_NAME[name].why_not(scheme=_USUAL, device=device, dtype=torch.float32)
