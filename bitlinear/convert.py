"""From a model of `nn.Linear` layers to one of `BitLinear` layers."""

from collections.abc import Callable, Iterable
from typing import TypeAlias

from torch import nn

from bitlinear.layer import BitLinear
from bitlinear.scheme import Scheme

Skip: TypeAlias = str | Iterable[str] | Callable[[str, nn.Linear], bool]


def replace_linear(model: nn.Module, scheme: Scheme, skip: Skip = ()) -> nn.Module:
    """Replace every `nn.Linear` in `model` by a `BitLinear` that takes over its parameters; returns the model.

    The model is changed in place; only a model that is itself an `nn.Linear` comes back as another object. Exactly the
    class `nn.Linear` is replaced: a subclass may be used in ways of its own (`nn.MultiheadAttention` reads the weight
    of its output projection), and a BitLinear stays as it is. A layer that is used in several places stays shared,
    and tied parameters stay tied. Forward hooks are not carried over.

    `skip` leaves layers alone: names, or a function of (qualified name, layer). A name matches a layer that has it as
    one or several whole parts of its qualified name: "lm_head" and "layers.0" match "model.layers.0.attention.query".

    Raises ValueError, before anything is replaced, when a name in `skip` matches no layer, and for layers whose input
    features the groups do not divide, all of which it lists.
    """
    linears = [
        (name, module) for name, module in model.named_modules(remove_duplicate=False) if type(module) is nn.Linear
    ]
    skipped = {id(module) for name, module in linears if _predicate(skip, linears)(name, module)}
    chosen = [(name, module) for name, module in linears if id(module) not in skipped]
    _require_divisible(chosen, scheme)
    replacements = {id(module): BitLinear.from_linear(module, scheme) for module in dict.fromkeys(m for _, m in chosen)}
    for parent in list(model.modules()):
        for name, child in parent._modules.items():  # `named_children` would drop the second name of a shared layer
            if id(child) in replacements:
                setattr(parent, name, replacements[id(child)])
    return replacements.get(id(model), model)


def _predicate(skip: Skip, linears: list[tuple[str, nn.Linear]]) -> Callable[[str, nn.Linear], bool]:
    if callable(skip):
        return skip
    wanted = (skip,) if isinstance(skip, str) else tuple(skip)
    for part in wanted:
        if not any(_is_part(part, name) for name, _ in linears):
            raise ValueError(
                f"skip={part!r} matches no linear layer; the model has: {', '.join(name for name, _ in linears)}"
            )
    return lambda name, _: any(_is_part(part, name) for part in wanted)


def _is_part(part: str, name: str) -> bool:
    return f".{part}." in f".{name}."


def _require_divisible(linears: list[tuple[str, nn.Linear]], scheme: Scheme) -> None:
    wrong = [f"{name or 'the model'} ({m.in_features})" for name, m in linears if m.in_features % scheme.groups]
    if wrong:
        raise ValueError(
            f"groups={scheme.groups} does not divide the input features of {', '.join(wrong)}; "
            f"choose other groups or skip these layers"
        )
