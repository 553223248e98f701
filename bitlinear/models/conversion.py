"""From a model of `nn.Linear` layers to `BitLinear` layers, and on to an implementation that is small and fast."""

import difflib
import logging
from collections.abc import Callable, Iterable

import torch
from torch import nn

from bitlinear.engines.frozen import FrozenLinear
from bitlinear.implementations import IMPLEMENTATIONS
from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from bitlinear.models.selection import Skip, Survey, listed, survey
from bitlinear.scheme import Scheme

LOG = logging.getLogger("bitlinear")


def replace_linear(model: nn.Module, scheme: Scheme | str, skip: Skip = (), *, only_called: bool = True) -> nn.Module:
    """Replace every `nn.Linear` in `model` by a `BitLinear` that takes over its parameters; returns the model.

    The model is changed in place; only a model that is itself an `nn.Linear` comes back as another object. A layer that
    is used in several places stays shared, tied parameters stay tied, and a BitLinear stays as it is. Forward hooks are
    not carried over. A weight that is quantised already keeps its codes and scale (`BitLinear.from_linear`).

    Left as they are: subclasses of `nn.Linear`, which may be used in ways of their own; layers whose weight is computed
    by a hook; and, unless `only_called` is False, layers whose weight the code of their parent reads instead of calling
    them, because the parent would go on computing with the float weight. The logger "bitlinear" says which, and of
    modules such as transformers' Conv1D, which hold a weight and are no `nn.Linear`, as a warning; `survey` tells
    beforehand.

    `skip` leaves layers alone: names, or a function of (qualified name, layer). A name matches a layer that has it as
    one or several whole parts of its qualified name: "lm_head" and "layers.0" match "model.layers.0.attention.query".

    `scheme` is a Scheme or its text. One with a normalisation suits a model that is trained with it afterwards: put
    into a trained model, the normalisation ruins it, so take a scheme that ends in "-nonorm" there.

    Raises ValueError, before anything is replaced, when a name in `skip` matches no layer, and for layers whose input
    features the groups do not divide, all of which it lists.
    """
    scheme = Scheme.of(scheme)
    found = survey(model, skip, only_called=only_called)
    _require_divisible(model, found.linear, scheme)
    converted = _replace(model, found.linear, lambda linear: BitLinear.around(_linear(linear), scheme))
    _log(f"BitLinear {scheme}", found.linear, found)
    known = [n for n in found.linear if getattr(converted.get_submodule(n), "weight_scale", None) is not None]
    if known:
        LOG.warning("%d hold %s codes times a scale already; both are kept: %s", len(known), scheme, listed(known))
    return converted


def convert(
    model: nn.Module,
    implementation: str | Implementation = "native",
    scheme: Scheme | str | None = None,
    skip: Skip = (),
    *,
    only_called: bool = True,
) -> nn.Module:
    """Make `model` run on an implementation, "native", "packed", "int8", "compiled" ...; returns the model.

    Every `BitLinear` is replaced, by its own scheme; with a `scheme`, every `nn.Linear` as well, as `replace_linear`
    would choose them. For inference: weights are quantised now and stored as codes. The input of a layer still gets its
    straight-through gradient, so that adapters can be trained. Float weights are let go of one layer after the other.

    Changed in place as by `replace_linear`, which also says what `skip` and `only_called` are. A weight that is tied to
    something else, an embedding for example, stays there in floats.

    Raises ValueError, before anything is replaced, for an implementation that does not exist or cannot run a layer
    here, with its reason, when there is nothing to convert, and for what `replace_linear` raises it.
    """
    chosen = _implementation(implementation)
    scheme = None if scheme is None else Scheme.of(scheme)
    found = survey(model, skip, only_called=only_called)
    names = found.bitlinear + (found.linear if scheme else [])
    if not names:
        cure = "" if scheme else f"; give a scheme for nn.Linear: convert(model, {chosen.name!r}, 'w8a8-nonorm')"
        before = sum(isinstance(module, FrozenLinear) for module in model.modules())
        has = f"{found}\n{before} converted already".lstrip()
        raise ValueError(f"the model has no {'layer' if scheme else 'BitLinear'} to convert{cure}. It has:\n{has}")
    if scheme:
        _require_divisible(model, found.linear, scheme)
    _require_possible(chosen, model, names, scheme)

    def build(module: nn.Module) -> nn.Module:
        layer = module if isinstance(module, BitLinear) else BitLinear.around(_linear(module), scheme or Scheme())
        return chosen.build(layer).train(module.training)

    weights = {name: id(model.get_submodule(name).weight) for name in names}
    converted = _replace(model, names, build)
    _log(chosen.name, names, found)
    remaining = {id(parameter) for parameter in converted.parameters()}
    if tied := [name for name, weight in weights.items() if weight in remaining]:
        LOG.warning("%d share their weight with another module, which keeps its floats: %s", len(tied), listed(tied))
    if scheme and scheme.norm and found.linear:
        LOG.warning("%s normalises the input of layers that were not trained so; %s-nonorm does not", scheme, scheme)
    return converted


def _implementation(given: str | Implementation) -> Implementation:
    if isinstance(given, Implementation):
        return given
    known = {one.name: one for one in IMPLEMENTATIONS if not one.baseline}
    if given not in known:
        near = difflib.get_close_matches(str(given), known, 1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"no implementation {given!r}; {hint}choose from: {', '.join(known)}")
    return known[given]


def _require_divisible(model: nn.Module, names: Iterable[str], scheme: Scheme) -> None:
    sizes = {name: _linear(model.get_submodule(name)).in_features for name in names}
    wrong = [f"{name or 'the model'} ({size})" for name, size in sizes.items() if size % scheme.groups]
    if wrong:
        raise ValueError(
            f"groups={scheme.groups} does not divide the input features of {', '.join(wrong)}; "
            f"choose other groups or skip these layers"
        )


def _require_possible(chosen: Implementation, model: nn.Module, names: Iterable[str], scheme: Scheme | None) -> None:
    """Asks the implementation about every kind of layer: scheme, device and dtype."""
    for name in names:
        module = model.get_submodule(name)
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        own = module.scheme if isinstance(module, BitLinear) else scheme or Scheme()
        if why := chosen.why_not(scheme=own, device=weight.device.type, dtype=weight.dtype):
            raise ValueError(f"{name or 'the model'} cannot be converted: {why}")


def _replace(model: nn.Module, names: Iterable[str], build: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Builds a layer for each of `names` and puts it in all places of the old one, which nothing here holds on to."""
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for parent in model.modules():
        for name, child in parent._modules.items():  # `named_children` would drop the second name of a shared layer
            if child is not None:
                places.setdefault(id(child), []).append((parent, name))
    done: set[int] = set()
    for name in names:
        old = model.get_submodule(name)
        if id(old) in done:
            continue
        new = build(old)
        for parent, own_name in places.get(id(old), []):
            setattr(parent, own_name, new)
        done.add(id(new))
        if old is model:
            return new
    _keep_batches_padded(model, done)
    return model


def _keep_batches_padded(model: nn.Module, converted: set[int]) -> None:
    """In eval mode `nn.TransformerEncoder` makes nested tensors of a padded batch, for fused layers: not for these."""
    for encoder in model.modules():
        if isinstance(encoder, nn.TransformerEncoder) and any(id(m) in converted for m in encoder.modules()):
            encoder.use_nested_tensor = False


def _log(what: str, names: list[str], found: Survey) -> None:
    LOG.info("%d layers are %s now: %s", len(names), what, listed(names))
    if found.skipped:
        LOG.info("%d skipped as asked: %s", len(found.skipped), listed(found.skipped))
    if found.left or not names:
        LOG.warning("%d layers are %s now; the model has:\n%s", len(names), what, found)


def _linear(module: nn.Module) -> nn.Linear:
    assert isinstance(module, nn.Linear)
    return module
