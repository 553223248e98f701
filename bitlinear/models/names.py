"""Layers by their names: which of them a caller means, and lists of them in messages."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from torch import nn

Chosen: TypeAlias = str | Iterable[str] | Callable[[str, nn.Module], bool]
"""Names, or a function of (qualified name, layer)."""


def predicate(argument: str, given: Chosen, layers: list[str]) -> Callable[[str, nn.Module], bool]:
    """Whether a layer is meant by what was `given` for an argument; `layers` are all their names.

    A name means layers that have it as one or several whole parts of their qualified names. Raises ValueError for a
    name that means none, TypeError for what is neither names nor a function.
    """
    if callable(given):
        return given
    if not isinstance(given, Iterable):
        raise TypeError(f"{argument}={given!r} is a {type(given).__name__}; give names, or a function of (name, layer)")
    wanted = dict.fromkeys((given,) if isinstance(given, str) else given)  # read once: it may be a generator
    parts = {name: wanted.keys() & _whole_parts(name) for name in layers} if wanted else {}
    for unmatched in wanted.keys() - set().union(*parts.values()):
        raise ValueError(f"{argument}={unmatched!r} matches no linear layer; the model has: {listed(layers, most=40)}")
    return lambda name, _: bool(parts.get(name))


def listed(names: Iterable[str], most: int = 6) -> str:
    """The first of them, and how many more there are."""
    shown = [name or "the model itself" for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def _whole_parts(name: str) -> set[str]:
    """`a.b.c` as a, b, c, a.b, b.c and a.b.c."""
    parts = name.split(".")
    return {".".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)}
