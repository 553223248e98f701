"""Which layers of a model can be converted, which are skipped, and why others are left as they are."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeAlias

from torch import nn

from bitlinear.engines.frozen import FrozenLinear
from bitlinear.layer import BitLinear, why_not_taken_over
from bitlinear.models.readers import read_children

Skip: TypeAlias = str | Iterable[str] | Callable[[str, nn.Module], bool]

_NO_PRODUCTS = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.modules.conv._ConvNd, FrozenLinear)
"""Modules whose weight is multiplied by nothing, or is no matter of a linear layer."""


@dataclass
class Survey:
    """Layers of a model by their qualified names, such as "layers.0.up"; as text, what becomes of them."""

    linear: list[str] = field(default_factory=list)
    """Every `nn.Linear` that can be converted."""
    bitlinear: list[str] = field(default_factory=list)
    """Every BitLinear."""
    skipped: list[str] = field(default_factory=list)
    """By the caller's wish."""
    left: dict[str, str] = field(default_factory=dict)
    """What is left as it is, and the reason."""

    def __str__(self) -> str:
        kinds = {"nn.Linear to convert": self.linear, "BitLinear": self.bitlinear, "skipped as asked": self.skipped}
        reasons: dict[str, list[str]] = {}
        for name, reason in self.left.items():
            reasons.setdefault(reason, []).append(name)
        kinds |= {f"left as they are, because {reason}": names for reason, names in reasons.items()}
        return "\n".join(f"{len(names)} {words}: {listed(names)}" for words, names in kinds.items() if names)


def survey(model: nn.Module, skip: Skip = (), *, only_called: bool = True) -> Survey:
    """What `replace_linear` and `convert` find in `model`; changes nothing.

    `skip` and `only_called` are theirs. Raises ValueError when a name in `skip` matches no linear layer, TypeError
    for a `model` that is no module and a `skip` that is neither names nor a function.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model={model!r} is a {type(model).__name__}; give a torch.nn.Module")
    named = list(model.named_modules(remove_duplicate=False))
    layers = [(name, module) for name, module in named if is_layer(module)]
    is_skipped = _predicate(skip, [name for name, _ in layers])
    skipped = {id(module) for name, module in layers if is_skipped(name, module)}
    read = _read_by_parents(named) if only_called else {}
    left = {id(module): why for name, module in layers if (why := _why_left(module, read.get(name)))}
    found = Survey()
    for name, module in named:
        if id(module) in skipped:
            found.skipped.append(name)
        elif isinstance(module, BitLinear):
            found.bitlinear.append(name)
        elif id(module) in left:
            found.left[name] = left[id(module)]
        elif is_layer(module):
            found.linear.append(name)
        elif reason := _why_no_layer(module):
            found.left[name] = reason
    return found


def is_layer(module: nn.Module) -> bool:
    """Whether it may be converted: a BitLinear, or exactly an `nn.Linear`."""
    return type(module) is nn.Linear or isinstance(module, BitLinear)


def listed(names: Iterable[str], most: int = 6) -> str:
    """The first of them, and how many more there are."""
    shown = [name or "the model itself" for name in names]
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def _predicate(skip: Skip, layers: list[str]) -> Callable[[str, nn.Module], bool]:
    if callable(skip):
        return skip
    if not isinstance(skip, Iterable):
        raise TypeError(f"skip={skip!r} is a {type(skip).__name__}; give names, or a function of (name, layer)")
    wanted = dict.fromkeys((skip,) if isinstance(skip, str) else skip)  # read once: it may be a generator
    parts = {name: wanted.keys() & _whole_parts(name) for name in layers} if wanted else {}
    for unmatched in wanted.keys() - set().union(*parts.values()):
        raise ValueError(f"skip={unmatched!r} matches no linear layer; the model has: {listed(layers, most=40)}")
    return lambda name, _: bool(parts.get(name))


def _whole_parts(name: str) -> set[str]:
    """`a.b.c` as a, b, c, a.b, b.c and a.b.c."""
    parts = name.split(".")
    return {".".join(parts[i:j]) for i in range(len(parts)) for j in range(i + 1, len(parts) + 1)}


def _read_by_parents(named: list[tuple[str, nn.Module]]) -> dict[str, str]:
    """Qualified names of layers whose weight is read by the code of a module above them, and by which method."""
    found: dict[str, str] = {}
    for above, parent in named:
        for path, method in read_children(parent).items():
            pattern = f"{above}.{path}" if above else path
            if "*" in path:
                found |= {name: method for name, _ in named if fnmatchcase(name, pattern)}
            else:
                found[pattern] = method
    return found


def _why_left(module: nn.Module, reader: str | None) -> str:
    if isinstance(module, BitLinear):
        return ""
    assert isinstance(module, nn.Linear)
    if reason := why_not_taken_over(module):
        return reason
    return f"{reader} reads their weight instead of calling them (only_called=False converts them)" if reader else ""


def _why_no_layer(module: nn.Module) -> str:
    kind = type(module).__name__
    if isinstance(module, nn.Linear):
        if hasattr(module, "parametrizations"):
            return "the weight is computed by a parametrisation: remove it first"
        if isinstance(module, nn.LazyLinear):
            return f"{kind} has no weight before its first input: call the model first"
        return f"{kind} is a subclass of nn.Linear, which its parent may use in a way of its own"
    if isinstance(module, _NO_PRODUCTS):
        return ""
    own = [name for name, p in module.named_parameters(recurse=False) if p.dim() in (2, 3) and _is_weight(name)]
    return f"{kind} is no nn.Linear and holds {' and '.join(own)} itself" if own else ""


def _is_weight(name: str) -> bool:
    return "weight" in name or "proj" in name
