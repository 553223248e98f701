"""The scheme of every layer of a model, from a plan, with the number of groups that its input features make."""

from collections.abc import Iterable

from bitlinear.models.candidates import Candidate
from bitlinear.models.plan import Plan, PlanError
from bitlinear.scheme import Scheme


def assign(plan: Plan, chosen: Iterable[Candidate]) -> dict[str, Scheme | None]:
    """By name: the scheme with a number of groups, or None for full precision.

    Raises ValueError for groups that do not divide input features, naming all such layers, and PlanError where two
    names of one layer get two schemes.
    """
    found: dict[str, Scheme | None] = {}
    first: dict[int, str] = {}
    wrong: dict[str, list[str]] = {}
    for one in chosen:
        scheme = plan.scheme_of(one.name)
        other = first.setdefault(one.identity, one.name)
        if plan.scheme_of(other) != scheme:
            raise PlanError(
                f"{other} and {one.name} are one layer, and the plan gives them {plan.scheme_of(other)} and {scheme}; "
                f"give both the same"
            )
        assert one.in_features is not None  # experts that do not say it are left
        if scheme is None or scheme.divides(one.in_features):
            found[one.name] = scheme and scheme.for_features(one.in_features)
        else:
            wrong.setdefault(scheme.grouping, []).append(f"{one.name or 'the model'} ({one.in_features})")
    if wrong:
        told = "; ".join(
            f"{groups} does not divide the input features of {', '.join(n)}" for groups, n in wrong.items()
        )
        raise ValueError(f"{told}; choose other groups or skip these layers")
    return found
