"""Which layers of a model can be converted, which are skipped, and why others are left as they are."""

from dataclasses import dataclass, field

from torch import nn

from bitlinear.layer import BitLinear
from bitlinear.models.assignment import assign
from bitlinear.models.candidates import Candidate, candidates
from bitlinear.models.experts import Experts, require_known
from bitlinear.models.names import Chosen, listed, predicate
from bitlinear.models.plan import Plan, Schemes
from bitlinear.models.reasons import Reasons, why_no_layer
from bitlinear.models.record import Conversion, Replaced
from bitlinear.scheme import Scheme


@dataclass
class Survey:
    """Layers of a model by their qualified names, such as "layers.0.up"; as text, what becomes of them."""

    linear: list[str] = field(default_factory=list)
    """Every `nn.Linear`, and Conv1D of transformers, that is to be converted."""
    bitlinear: list[str] = field(default_factory=list)
    """Every BitLinear."""
    experts: list[str] = field(default_factory=list)
    """Parameters of three dimensions whose weights are to be quantised in place."""
    skipped: list[str] = field(default_factory=list)
    """By the caller's wish."""
    left: dict[str, str] = field(default_factory=dict)
    """What is left as it is, and the reason."""
    schemes: dict[str, Scheme] = field(default_factory=dict)
    """Of everything in `linear` and `experts`, with a number of groups; empty if no scheme was given."""

    def __str__(self) -> str:
        kinds = {
            "linear layers to convert": self.linear,
            "parameters of experts to quantise": self.experts,
            "BitLinear": self.bitlinear,
            "skipped as asked": self.skipped,
        }
        reasons: dict[str, list[str]] = {}
        for name, reason in self.left.items():
            reasons.setdefault(reason, []).append(name)
        kinds |= {f"left as they are, because {reason}": names for reason, names in reasons.items()}
        return "\n".join(f"{len(names)} {words}: {listed(names)}" for words, names in kinds.items() if names)

    def conversion(self, replaced: list[Replaced], bytes_before: int, bytes_after: int, note: str) -> Conversion:
        """What became of the model."""
        return Conversion(replaced, self.skipped, self.left, bytes_before, bytes_after, note)


def survey(
    model: nn.Module,
    skip: Chosen = (),
    *,
    only: Chosen | None = None,
    scheme: Schemes | None = None,
    only_called: bool = True,
    tied: bool = False,
    experts: Experts = False,
) -> Survey:
    """What `replace_linear` and `convert` find in `model`; changes nothing.

    The arguments are those of `replace_linear`. With a `scheme`, it also says which one each layer will get.

    Raises ValueError when a name in `skip` or `only` matches no linear layer, and for what does not fit a `scheme`;
    TypeError for a `model` that is no module, and a `skip` or `only` that is neither names nor a function.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model={model!r} is a {type(model).__name__}; give a torch.nn.Module")
    require_known(experts)
    plan = None if scheme is None else Plan.of(scheme)
    named = list(model.named_modules(remove_duplicate=False))
    all_of_them = candidates(named, experts)
    unwanted = _unwanted(all_of_them, skip, only)
    reasons = Reasons.of(named, only_called=only_called, tied=tied, experts=experts)
    # A layer with two names is left if there is a reason under one of them.
    left = {one.identity: why for one in all_of_them if (why := reasons.why_left(one))}
    found = Survey()
    if plan is not None:
        plan.require_matches(one.name for one in all_of_them)
        chosen = [one for one in all_of_them if one.identity not in unwanted | left.keys()]
        schemes = assign(plan, (one for one in chosen if not isinstance(one.module, BitLinear)))
        in_floats = {name for name, scheme_of_it in schemes.items() if scheme_of_it is None}
        unwanted |= {one.identity for one in chosen if one.name in in_floats}
        found.schemes = {name: chosen_one for name, chosen_one in schemes.items() if chosen_one is not None}
    for one in all_of_them:
        if one.identity in unwanted:
            found.skipped.append(one.name)
        elif one.identity in left:
            found.left[one.name] = left[one.identity]
        elif isinstance(one.module, BitLinear):
            found.bitlinear.append(one.name)
        else:
            (found.experts if one.is_expert else found.linear).append(one.name)
    layers = {id(one.module) for one in all_of_them}
    found.left |= {name: why for name, m in named if id(m) not in layers and (why := why_no_layer(m))}
    return found


def _unwanted(all_of_them: list[Candidate], skip: Chosen, only: Chosen | None) -> set[int]:
    """Identities of what the caller skips, or does not name among the only ones."""
    names = [one.name for one in all_of_them]
    is_skipped = predicate("skip", skip, names)
    unwanted = {one.identity for one in all_of_them if is_skipped(one.name, one.module)}
    if only is None:
        return unwanted
    is_asked = predicate("only", only, names)
    asked = {one.identity for one in all_of_them if is_asked(one.name, one.module)}
    return unwanted | ({one.identity for one in all_of_them} - asked)
