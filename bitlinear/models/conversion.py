"""From a model of linear layers to `BitLinear` layers, and on to an implementation that is small and fast."""

import difflib
import logging
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn

from bitlinear.engines.frozen import FrozenLinear
from bitlinear.implementations import IMPLEMENTATIONS
from bitlinear.interface import Implementation
from bitlinear.layer import BitLinear
from bitlinear.models.conv1d import as_linear
from bitlinear.models.experts import Experts, inputs_last, quantise_experts
from bitlinear.models.names import Chosen, listed
from bitlinear.models.plan import Plan, Schemes
from bitlinear.models.record import Replaced, remember, stored_bytes
from bitlinear.models.selection import Survey, survey
from bitlinear.scheme import Scheme

LOG = logging.getLogger("bitlinear")


def replace_linear(
    model: nn.Module,
    scheme: Schemes,
    skip: Chosen = (),
    *,
    only: Chosen | None = None,
    only_called: bool = True,
    tied: bool = False,
    experts: Experts = False,
) -> nn.Module:
    """Replace every linear layer in `model` by a `BitLinear` that takes over its parameters; returns the model.

    The model is changed in place; only one that is itself a linear layer comes back as another object. A layer that is
    used in several places stays shared, tied parameters stay tied, and a BitLinear stays as it is. Forward hooks are
    not carried over. A weight that is quantised already keeps its codes and scale (`BitLinear.from_linear`).

    Linear layers are `nn.Linear` and transformers' Conv1D, whose weight is transposed into a new parameter. Left as
    they are: subclasses of `nn.Linear`; layers whose weight is computed by a hook; layers whose weight the code of
    their parent reads instead of calling them (`only_called=False` converts them); layers whose weight is that of an
    embedding (`tied=True` converts them). The logger "bitlinear" warns of them, and of other modules that hold a
    weight; `survey` tells beforehand, `conversion_of(model)` afterwards.

    `scheme` is a Scheme or its text, for all layers; or a `Plan`, the path of its file, or a mapping of names and
    patterns to schemes, where None leaves a layer in full precision. A group size becomes a number of groups, layer by
    layer. A normalisation suits a model that is trained with it afterwards and ruins one that was trained without: take
    a scheme that ends in "-nonorm" there.

    `skip` leaves layers alone, `only` leaves all others alone: names, or a function of (qualified name, layer). A name
    matches a layer that has it as one or several whole parts of its qualified name: "lm_head" and "layers.0" match
    "model.layers.0.attention.query".

    `experts=True` also quantises experts in one parameter of three dimensions: their weights alone, expert by expert
    and in place. "out-in" and "in-out" say which way round they are where their module does not.

    Raises ValueError, before anything is replaced, when a name in `skip`, `only` or a plan matches no layer, and for
    layers whose input features the groups do not divide, all of which it lists.
    """
    plan = Plan.of(scheme)
    found = survey(model, skip, only=only, scheme=plan, only_called=only_called, tied=tied, experts=experts)
    before = stored_bytes(model)
    of_experts = _quantise_experts(model, found, experts)
    converted, replaced = _replace(model, found.linear, lambda m, name: _bitlinear(m, found.schemes.get(name)))
    _log(f"BitLinear {plan}", found.linear, found)
    _log_known_scales(converted, found.linear, plan)
    remember(converted, found.conversion([*replaced, *of_experts], before, stored_bytes(converted), plan.note))
    return converted


def convert(
    model: nn.Module,
    implementation: str | Implementation = "native",
    scheme: Schemes | None = None,
    skip: Chosen = (),
    *,
    only: Chosen | None = None,
    only_called: bool = True,
    tied: bool = False,
) -> nn.Module:
    """Make `model` run on an implementation, "native", "packed", "int8", "compiled" ...; returns the model.

    Every `BitLinear` is replaced, by its own scheme; with a `scheme` or a plan, every linear layer as well, as
    `replace_linear` would choose them. For inference: weights are quantised now and stored as codes. The input of a
    layer still gets its straight-through gradient, so that adapters can be trained. Float weights are let go of one
    layer after the other.

    Changed in place as by `replace_linear`, which also says what the other arguments are. A weight that is tied to
    something else, an embedding for example, stays there in floats. `conversion_of(model)` says what was done.

    Raises ValueError, before anything is replaced, for an implementation that does not exist or cannot run a layer
    here, with its reason, when there is nothing to convert, and for what `replace_linear` raises it.
    """
    chosen = _implementation(implementation)
    plan = None if scheme is None else Plan.of(scheme)
    found = survey(model, skip, only=only, scheme=plan, only_called=only_called, tied=tied)
    names = found.bitlinear + (found.linear if plan else [])
    if not names:
        cure = "" if plan else f"; give a scheme for linear layers: convert(model, {chosen.name!r}, 'w8a8-nonorm')"
        before = sum(isinstance(module, FrozenLinear) for module in model.modules())
        has = f"{found}\n{before} converted already".lstrip()
        raise ValueError(f"the model has no {'layer' if plan else 'BitLinear'} to convert{cure}. It has:\n{has}")
    _require_possible(chosen, model, names, found.schemes)
    weights = {name: id(model.get_submodule(name).weight) for name in names}
    size = stored_bytes(model)
    converted, replaced = _replace(model, names, lambda m, name: _bitlinear(m, found.schemes.get(name)), chosen.build)
    _log(chosen.name, names, found)
    remaining = {id(parameter) for parameter in converted.parameters()}
    if shared := [name for name, weight in weights.items() if weight in remaining]:
        LOG.warning(
            "%d share their weight with another module, which keeps its floats: %s", len(shared), listed(shared)
        )
    if normed := {str(one) for one in found.schemes.values() if one.norm}:
        rule = min(normed)
        LOG.warning("%s normalises the input of layers that were not trained so; %s-nonorm does not", rule, rule)
    remember(converted, found.conversion(replaced, size, stored_bytes(converted), plan.note if plan else ""))
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


def _bitlinear(module: nn.Module, scheme: Scheme | None) -> BitLinear:
    """`module` as a BitLinear, which it is already if it has no scheme to take on."""
    if isinstance(module, BitLinear):
        return module
    assert scheme is not None
    return BitLinear.around(as_linear(module), scheme)


def _require_possible(
    chosen: Implementation, model: nn.Module, names: Iterable[str], schemes: Mapping[str, Scheme]
) -> None:
    """Asks the implementation about every kind of layer: scheme, device and dtype."""
    for name in names:
        module = model.get_submodule(name)
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        own = module.scheme if isinstance(module, BitLinear) else schemes[name]
        if why := chosen.why_not(scheme=own, device=weight.device.type, dtype=weight.dtype):
            raise ValueError(f"{name or 'the model'} cannot be converted: {why}")


def _replace(
    model: nn.Module,
    names: Iterable[str],
    as_bitlinear: Callable[[nn.Module, str], BitLinear],
    finish: Callable[[BitLinear], nn.Module] = lambda layer: layer,
) -> tuple[nn.Module, list[Replaced]]:
    """Builds a layer for each of `names` and puts it in all places of the old one, which nothing here holds on to."""
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for parent in model.modules():
        for name, child in parent._modules.items():  # `named_children` would drop the second name of a shared layer
            if child is not None:
                places.setdefault(id(child), []).append((parent, name))
    done: set[int] = set()
    replaced: list[Replaced] = []
    for name in names:
        old = model.get_submodule(name)
        if id(old) in done:
            continue
        layer = as_bitlinear(old, name)
        new = finish(layer).train(old.training)
        sizes = layer.out_features, layer.in_features
        replaced.append(Replaced(name, type(old).__name__, type(new).__name__, layer.scheme, *sizes))
        for parent, own_name in places.get(id(old), []):
            setattr(parent, own_name, new)
        done.add(id(new))
        if old is model:
            return new, replaced
    _keep_batches_padded(model, done)
    return model, replaced


def _quantise_experts(model: nn.Module, found: Survey, experts: Experts) -> list[Replaced]:
    replaced: dict[int, Replaced] = {}
    for name in found.experts:
        place = name.rpartition(".")[0]
        module, parameter = model.get_submodule(place), model.get_parameter(name)
        if id(parameter) in replaced:
            continue
        is_last = bool(inputs_last(module, experts))
        quantise_experts(parameter, found.schemes[name], inputs_last=is_last)
        count, first, second = parameter.shape
        sizes = (first, second) if is_last else (second, first)
        kind = type(module).__name__
        replaced[id(parameter)] = Replaced(name, kind, "dequantised weights", found.schemes[name], *sizes, count)
    if replaced:
        LOG.warning(
            "%d parameters of experts hold dequantised weights now, and activations stay as they are: %s",
            len(replaced),
            listed(found.experts),
        )
    return list(replaced.values())


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


def _log_known_scales(converted: nn.Module, names: list[str], plan: Plan) -> None:
    known = [name for name in names if getattr(converted.get_submodule(name), "weight_scale", None) is not None]
    if known:
        LOG.warning("%d hold %s codes times a scale already; both are kept: %s", len(known), plan, listed(known))
