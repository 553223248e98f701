"""From a request to contests: the cases that differ only in the implementation, and are timed against each other."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import NothingMeasuredError, UsageError
from harness.estimators.looks import LOOKS
from harness.machine.environment import usable_cores
from harness.model import ROLE, Aim, Case, Params, Request, Value, filters
from harness.model.messages import Description
from harness.model.metrics import Metric
from harness.model.suite import Registry, Suite
from harness.model.whole_model import WholeModel
from harness.user_code.folders import folders
from harness.user_code.reference import meant


@dataclass(frozen=True)
class Contest:
    """Cases of one suite that share everything but the implementation."""

    suite: Suite
    cases: tuple[Case, ...]
    facts: Params
    metrics: Mapping[str, Metric]
    """By name."""
    aim: Aim
    seed: int
    """Of the weights and inputs, the same for every contestant."""
    known: Mapping[str, Params] = field(default_factory=dict)
    """What is known of single implementations: which are baselines, and which are other people's libraries."""

    def facts_of(self, case: Case) -> Params:
        """What is known of one of its cases."""
        return {**self.facts, **self.known.get(case.implementation, {})}


def make_plan(
    request: Request, registry: Registry, description: Description, models: Sequence[WholeModel] = ()
) -> list[Contest]:
    """Every contest that the request asks for, in the order of its suites and axes; `models` are those that it means.

    Raises UsageError for an unknown name or value, and NothingMeasuredError when no case is left.
    """
    check_names(request, registry)
    keep = filters.parse(request.keyword)
    contests: list[Contest] = []
    for name in request.suites:
        about = [model for model in models if request.models or model.name == registry.suite(name).default_model]
        contests += _contests(registry, name, request, description, keep, about)
    if not contests:
        raise NothingMeasuredError(_why_none(request, registry, models))
    return contests


def metrics_of(contests: Iterable[Contest]) -> tuple[Metric, ...]:
    """Those that any of `contests` measures: what a header declares."""
    return tuple({name: metric for contest in contests for name, metric in contest.metrics.items()}.values())


def check_names(request: Request, registry: Registry) -> None:
    """Raise UsageError for a suite, axis, value or keyword that does not exist, or that would count for nothing.

    Needs no worker.
    """
    filters.parse(request.keyword)
    suites = [registry.suite(name) for name in request.suites]
    for suite in suites:
        suite.points(_chosen(suite, request), request.full)
    if request.models and not any(suite.of_model for suite in suites):
        raise UsageError(f"--model: {' and '.join(request.suites)} is about no whole model; leave it out")
    for name, value in (("device", request.device if request.device != "auto" else ""), ("threads", request.threads)):
        if value and name in request.axes:
            raise UsageError(f"--{name} {value} and --axis {name}=...: give one of them")
        if value and not any(axis.name == name for suite in suites for axis in suite.axes):
            raise UsageError(f"--{name} {value}: {' and '.join(request.suites)} knows no {name}; leave it out")


def require_devices(contests: Iterable[Contest], description: Description) -> None:
    """Raise UsageError where none of `contests` is for a device that can be used here, with the reason why."""
    devices = {str(contest.cases[0].params.get("device", "")) for contest in contests}
    reasons = [description.devices.get(device, "") for device in sorted(devices)]
    if reasons and all(reasons):
        raise UsageError("; ".join(reasons))


def _why_none(request: Request, registry: Registry, models: Sequence[WholeModel]) -> str:
    measured = dict.fromkeys(metric for name in request.suites for metric in registry.suite(name).metric_names)
    if request.metrics and not set(measured) & set(request.metrics):
        asked = ", ".join(request.metrics[:3])
        return f"none of these suites measures {asked}; choose from: {', '.join(measured)}"
    if models and all(product.is_head for model in models for product in model.products):
        names = ", ".join(model.name for model in models)
        return (
            f"{names}: no linear product to measure besides a head; `bitbench model {models[0].name}` lists the parts"
        )
    command = f"bitbench run {' '.join(request.suites)} --dry-run"
    return f"no case is left by -k {request.keyword!r}; `{command}` lists the cases and their names"


def _contests(
    registry: Registry,
    name: str,
    request: Request,
    description: Description,
    keep: filters.CaseFilter,
    models: Sequence[WholeModel],
) -> list[Contest]:
    suite = registry.suite(name)
    names = _implementations(suite, request, description)
    baselines: dict[str, Params] = {one: {ROLE: "baseline"} for one in description.baselines}
    known = {**description.peers, **baselines}
    role: Params = {ROLE: "sentinel"} if name in registry.sentinels else {}
    metrics = {
        one: metric
        for one, metric in registry.metrics.items()
        if one in suite.metric_names and (one in request.metrics or not request.metrics)
    }
    contests = []
    for point in suite.points(_chosen(suite, request), request.full, models):
        params = {**point, **_resolved(point, description)}
        members = (suite.baseline,) if suite.by_baseline(params) else names
        cases = tuple(Case.of(suite.name, name, params) for name in members)
        kept = tuple(case for case in cases if keep(case.name))
        if kept and metrics:
            aim = aim_of(suite, request) if any(one.repeats for one in metrics.values()) else Aim(rounds=1)
            seed = zlib.crc32(f"{request.seed}/{kept[0].contest}".encode())
            contests.append(Contest(suite, kept, suite.facts(params) | role, metrics, aim, seed, known))
    return contests


def models_of(request: Request, registry: Registry) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The models that its suites are about, as the user or the suites name them, and the schemes that they measure."""
    about = [suite for suite in map(registry.suite, request.suites) if suite.of_model is not None]
    names = dict.fromkeys(name for suite in about for name in request.models or (suite.default_model,))
    axes = [axis for suite in about for axis in suite.axes if axis.name == "scheme"]
    schemes = dict.fromkeys(str(one) for axis in axes for one in request.axes.get("scheme", axis.values))
    return tuple(names), tuple(schemes)


def aim_of(suite: Suite, request: Request) -> Aim:
    """What contests of `suite` are to reach, and in how many rounds at most.

    Rounds alone are kept to exactly, without a precision; a precision alone may take as many as there are planned
    looks; beside a precision, rounds are the most that it may take.
    """
    rounds = request.rounds or (LOOKS[-1] if request.precision else suite.budget.rounds)
    precision = request.precision or (0.0 if request.rounds else suite.budget.precision)
    return Aim(suite.baseline, precision, rounds)


def aims_of(request: Request, registry: Registry) -> dict[str, Aim]:
    """By suite."""
    return {name: aim_of(registry.suite(name), request) for name in request.suites}


def _chosen(suite: Suite, request: Request) -> Mapping[str, tuple[Value, ...]]:
    chosen = dict(request.axes)
    axes = {axis.name for axis in suite.axes}
    if "device" in axes and request.device != "auto":
        chosen.setdefault("device", (request.device,))
    if "threads" in axes and request.threads:
        chosen.setdefault("threads", (request.threads,))
    return chosen


def _resolved(point: Params, description: Description) -> Params:
    """The values that only this machine can tell: which device is best, how many threads are all."""
    resolved: Params = {}
    if "device" in point:
        resolved["device"] = _device(str(point["device"]), description)
    if "threads" in point:
        resolved["threads"] = point["threads"] or usable_cores()
    return resolved


def _device(name: str, description: Description) -> str:
    if name == "auto":
        return next(device for device, sentence in description.devices.items() if not sentence)
    if name not in description.devices:
        raise UsageError(f"unknown device {name!r}; choose from: auto, {', '.join(description.devices)}")
    return name


def _invited(suite: Suite, description: Description) -> tuple[str, ...]:
    """Who takes part where the user names nobody."""
    everybody = description.implementations
    unasked = {*description.peers, *suite.left_out}
    residents = suite.implementations or tuple(name for name in everybody if name not in unasked)
    return (*residents, *description.peers) if suite.peers else residents


def _implementations(suite: Suite, request: Request, description: Description) -> tuple[str, ...]:
    names = request.implementations or _invited(suite, description)
    known = dict.fromkeys([*suite.implementations, *description.implementations])
    for name in names:
        if name not in known and ":" not in name:
            raise UsageError(
                f"unknown implementation {name!r}; choose from: {', '.join(known)},"
                " or give your own as package.module:object"
                f"{meant(name, known, folders(Path.cwd()))}"
            )
    return names
