"""Suites: axes that expand to cases, and a reference to the workload that turns one case into something callable.

A package of suites is a module with `SUITES: tuple[Suite, ...]`. It may name in `CATALOGUE` whose contestants are
measured, else they are the project's own; in `GUARDED` the packages that no contestant is to change, in `SENTINELS`
suites that are part of every gate, and in `USAGE` a function that says how an implementation is used. Its declarations
import no torch; the two references that do ("module:function") are followed in the worker only.
"""

import itertools
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from harness.errors import UsageError
from harness.model import Budget, Case, Params, Value
from harness.model.metrics import METRICS, Metric
from harness.model.units import choices
from harness.user_code.installed import NAME
from harness.user_code.reference import follow

DEFAULT_MODULE = "suites"
"""The project's own package of suites, which is used where no other is named."""


@dataclass(frozen=True)
class Axis:
    """One dimension of a suite. `parse` accepts any legal value and raises ValueError that names what is allowed."""

    name: str
    values: tuple[Value, ...]
    parse: Callable[[Value], Value]
    full: tuple[Value, ...] = ()
    """The values of the `--full` grid; empty means the same as `values`."""


@dataclass(frozen=True)
class Suite:
    """A declaration: what varies, what is measured, for how long, and which function builds the workload."""

    name: str
    summary: str
    axes: tuple[Axis, ...]
    metrics: tuple[str | Metric, ...]
    """Names of the project's metrics or of those of its package, and metrics that it brings itself."""
    budget: Budget
    workload: str
    """"module:function" of `(Case, seed: int) -> Workload`; imported in the worker only."""
    resolve: Callable[[Params], Params]
    """From one point of the axes to the params of a case. Raises ValueError for a point that cannot exist."""
    facts: Callable[[Params], Params]
    """From a case's params to what is known of it before it runs; never imports torch."""
    implementations: tuple[str, ...] = ()
    """Contestants by default; empty means the whole catalogue, less its peers."""
    peers: bool = False
    """Whether the catalogue's peers take part by default, beside `implementations`."""
    left_out: tuple[str, ...] = ()
    """Of the whole catalogue those that only take part when they are named."""
    baseline: str = ""
    """The contestant whose ratios decide when a contest is precise enough; the first of the contest if it is absent."""
    probed_by: tuple[str, ...] = ()
    """Params that decide whether a contestant is right on other shapes too: it is probed once for each combination of
    them. Empty means that there is nothing to probe."""

    @property
    def metric_names(self) -> tuple[str, ...]:
        """What it measures, by name."""
        return tuple(metric if isinstance(metric, str) else metric.name for metric in self.metrics)

    def points(self, chosen: Mapping[str, tuple[Value, ...]], full: bool = False) -> list[Params]:
        """Params of every contest: the product of the axes, with the axes in `chosen` replaced.

        Raises UsageError for an axis that this suite does not have or a value that the axis refuses.
        """
        names = [axis.name for axis in self.axes]
        for name in chosen:
            if name not in names:
                raise UsageError(f"suite {self.name} has no axis {name!r}; it has: {', '.join(names)}")
        columns = [self._values(axis, chosen.get(axis.name), full) for axis in self.axes]
        points = [self._resolve(dict(zip(names, point, strict=True))) for point in itertools.product(*columns)]
        return list({Case.of(self.name, "", point).contest: point for point in points}.values())

    def _values(self, axis: Axis, chosen: tuple[Value, ...] | None, full: bool) -> tuple[Value, ...]:
        try:
            return tuple(axis.parse(value) for value in chosen or (full and axis.full) or axis.values)
        except ValueError as error:
            raise UsageError(f"suite {self.name}, axis {axis.name}: {error}") from error

    def _resolve(self, point: Params) -> Params:
        try:
            return self.resolve(point)
        except ValueError as error:
            raise UsageError(f"suite {self.name}, {_words(point)}: {error}") from error


def _words(point: Params) -> str:
    return " ".join(f"{key}={value}" for key, value in point.items())


@dataclass(frozen=True)
class Catalogue:
    """Implementations by name, each with the line that `bitbench list` shows, and why it cannot run here at all."""

    summaries: Mapping[str, str]
    why_not: Callable[[str, str], str | None]
    """(name, device) -> sentence or None."""
    find: Callable[[str], object] = lambda name: follow(name)
    """The contestant of a name, or the user's own of a reference. Raises UsageError when it is none."""
    doubts: tuple[str, ...] = ()
    """What is wrong with the catalogue itself, in sentences for the user."""
    peers: Mapping[str, Params] = field(default_factory=dict)
    """Those that are other people's libraries, with what is known of them before they are built, such as `library`,
    `version` and `computes`. They take part only where a suite or a user asks for them."""
    baselines: tuple[str, ...] = ()
    """Those that the others are compared with. No change of a contestant can move them, so in a gate they show whether
    the machine has changed: nothing that a user brings is one."""


@dataclass(frozen=True)
class Registry:
    """A package of suites, as found by its module name."""

    module: str
    suites: Mapping[str, Suite]
    catalogue: str
    """"module:function" of `() -> Catalogue`; imported in the worker only."""
    guarded: tuple[str, ...] = ()
    """Packages whose functions no contestant is to replace, the contestants' own among them."""
    sentinels: tuple[str, ...] = ()
    """Suites of cases that no change of a contestant can move; they ride along in every gate."""
    usage: Callable[[str, Params], str] = lambda *_: ""
    """From an implementation and a case's params to the line of code that uses it; empty where there is none."""
    declared: tuple[Metric, ...] = ()
    """Metrics that its suites may name, beside those of the project."""
    models: str = ""
    """"module:function" that answers a `messages.ReadModel`; imported in the worker only."""
    file: str = ""
    """What was imported: two revisions are measured by one declaration, wherever each has its own."""

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """All that its suites can measure, by name: the project's, the package's, and those that suites bring.

        Raises UsageError for two declarations of one name, and for a suite that names a metric that is none of them.
        """
        brought = [one for suite in self.suites.values() for one in suite.metrics if not isinstance(one, str)]
        known: dict[str, Metric] = dict(METRICS)
        for one in (*self.declared, *brought):
            if not isinstance(one, Metric):
                raise UsageError(
                    f"{self.module}: {one!r:.80} is no metric; give harness.Exact(...), Sampled(...) or Paired(...)"
                )
        for metric in (*self.declared, *brought):
            if known.setdefault(metric.name, metric) != metric:
                whose = "the project's own" if metric.name in METRICS else "declared in another way too"
                raise UsageError(f"{self.module}: the metric {metric.name} is {whose}; give yours another name")
        for suite in self.suites.values():
            for name in suite.metric_names:
                if name not in known:
                    raise UsageError(
                        f"{self.module}: suite {suite.name} measures the unknown metric {name!r}; declare it as Exact,"
                        f" Sampled or Paired, or {choices(name, known)}"
                    )
        return known

    @classmethod
    def load(cls, module: str) -> "Registry":
        """Import `module` and read what it declares. Raises UsageError when it is not a package of suites."""
        try:
            declared = follow(f"{module}:SUITES")
        except UsageError as error:
            raise UsageError(f"{module!r} is no package of suites: {error}") from error
        package = sys.modules[module]
        suites = {suite.name: suite for suite in _sound(module, declared)}
        catalogue = getattr(package, "CATALOGUE", "")
        given = {name: getattr(package, name.upper()) for name in _MORE if hasattr(package, name.upper())}
        if not catalogue:  # its contestants are the project's own, which are guarded and watched as in its own suites
            own = cls.load(DEFAULT_MODULE)
            watched = [own.suites[name] for name in own.sentinels if name not in suites and "sentinels" not in given]
            suites |= {suite.name: suite for suite in watched}
            catalogue = own.catalogue
            given = {
                "guarded": own.guarded,
                "sentinels": tuple(one.name for one in watched),
                "usage": own.usage,
                "models": own.models,
            } | given
        declared = tuple(getattr(package, "METRICS", ()))
        registry = cls(module, suites, catalogue, **given, declared=declared, file=package.__file__ or "")
        _ = registry.metrics  # a wrong declaration ends here, before anything is measured
        return registry

    def suite(self, name: str) -> Suite:
        """The suite called `name`. Raises UsageError that lists the valid names."""
        if name not in self.suites:
            raise UsageError(f"unknown suite {name!r}; {choices(name, self.suites)}")
        return self.suites[name]


_MORE = ("guarded", "sentinels", "usage", "models")
"""What a package of suites may say besides, in capitals."""


def _sound(module: str, declared: object) -> tuple[Suite, ...]:
    """The suites that a module declares. Raises UsageError, in one line, for what would only fail later."""
    if not isinstance(declared, tuple | list) or not all(isinstance(one, Suite) for one in declared):
        raise UsageError(f"SUITES of {module} is no tuple of harness.Suite; write SUITES = (MINE,)")
    for name, times in Counter(suite.name for suite in declared).items():
        if times > 1:
            raise UsageError(f"{module} has {times} suites called {name!r}: rename all but one")
        if NAME.fullmatch(name) is None:
            raise UsageError(f"{module}: {name!r} is no name of a suite; use letters, digits, dot, dash and underscore")
    return tuple(declared)
