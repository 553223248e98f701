"""Suites: axes that expand to cases, and the workload that turns one case into something callable.

A package of suites is a module with `SUITES: tuple[Suite, ...]` and `CATALOGUE: str`, and may name in `GUARDED` the
packages that no contestant is to change, in `SENTINELS` suites that are part of every gate, and in `USAGE` a function
that says how an implementation is used. Its declarations import no torch; the two references that do
("module:function") are followed in the worker only.
"""

import importlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from harness.errors import UsageError
from harness.model import Budget, Case, Params, Value
from harness.model.metrics import METRICS, Metric
from harness.model.units import choices
from harness.user_code.reference import follow

DEFAULT_MODULE = "suites"
"""The package of suites that the command line uses."""


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


Measured: TypeAlias = Mapping[str, float | tuple[float, ...]]
"""By metric: one value, or the several of a distribution."""


@dataclass(frozen=True)
class Check:
    """The judgement on one output: what was measured of it, and the sentence that says why it is wrong, if it is."""

    values: Measured
    """Of a wrong output at least one, NaN if there is no number: it tells a wrong answer from one that never came."""
    wrong: str = ""
    warning: str = ""
    """A doubt about an output that is not wrong, with its cure."""
    trace: tuple[str, ...] = ()
    """Where the contestant raised, if that is what is wrong."""


class Workload(ABC):
    """One case made real, in the worker. Created fresh for every round; the seed is the same for a whole contest."""

    @abstractmethod
    def why_not(self) -> str | None:
        """A sentence saying why this case cannot run here, or None. Never raises."""

    def context(self) -> AbstractContextManager[object]:
        """Entered around every build, call and check, outside the timed regions. Nothing by default."""
        return nullcontext()

    @abstractmethod
    def build(self) -> Callable[[], object]:
        """Make the contestant ready and return one call of it, without arguments. May be asked for several times."""

    @abstractmethod
    def check(self, call: Callable[[], object], metrics: frozenset[str]) -> Check:
        """Judge what `call()` returns. Agreement is always judged; other metrics are computed when asked for."""

    def probe(self) -> Check:
        """Judge the contestant on other shapes and inputs than this case's own, as quickly as may be."""
        return Check({})

    def rebuild(self) -> Callable[[], object]:
        """Another `build`, called once and ready to be timed in place of the one before."""
        call = self.build()
        call()
        return call

    def ring(self, call: Callable[[], object]) -> Mapping[str, float]:
        """After the first call, untimed: make `call` go through more layers than one, where the case asks for it.

        Answers `ring_bytes` then. What is built here counts as nobody's memory.
        """
        return {}

    def refresh(self, call: Callable[[], object]) -> None:
        """Before every visit, untimed: give `call` inputs that it has not seen. Nothing by default."""
        del call

    def inspect(self, call: Callable[[], object], output: object) -> str:
        """After every visit, untimed: why `output`, that of the last timed call, is wrong, or nothing.

        Also says when `call` has changed its inputs or its weights.
        """
        return ""

    def peaks(self, call: Callable[[], object]) -> Mapping[str, Callable[[], object]]:
        """What to trace for peak bytes, by metric, in this order: each part may go on where the last one ended."""
        return {"peak_forward_bytes": call}

    def notes(self, call: Callable[[], object]) -> tuple[str, ...]:
        """What the user ought to know of the contestant behind `call`: warnings with their cures, mostly none."""
        return ()

    def declared(self, call: Callable[[], object]) -> float | None:
        """The bytes that `call` keeps alive by its own account: its weights, unless there is more; None for no account.

        A contestant that keeps more than that gets a warning.
        """
        return self.stored(call).get("weight_bytes")

    @abstractmethod
    def stored(self, call: Callable[[], object]) -> Mapping[str, float]:
        """`weight_bytes` and `bits_per_weight` of the contestant behind `call`, and `code_bytes` if they are apart."""


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

    @cached_property
    def metrics(self) -> Mapping[str, Metric]:
        """All that its suites can measure, by name: the project's, the package's, and those that suites bring.

        Raises UsageError for two declarations of one name, and for a suite that names a metric that is none of them.
        """
        brought = [one for suite in self.suites.values() for one in suite.metrics if not isinstance(one, str)]
        known: dict[str, Metric] = dict(METRICS)
        for metric in (*self.declared, *brought):
            if known.setdefault(metric.name, metric) != metric:
                whose = "the project's own" if metric.name in METRICS else "declared in another way too"
                raise UsageError(f"{self.module}: the metric {metric.name} is {whose}; give yours another name")
        for suite in self.suites.values():
            for name in suite.metric_names:
                if name not in known:
                    raise UsageError(
                        f"{self.module}: suite {suite.name} measures the unknown metric {name!r}; declare it as Exact"
                        f" or Sampled, or {choices(name, known)}"
                    )
        return known

    @classmethod
    def load(cls, module: str) -> "Registry":
        """Import `module` and read what it declares. Raises UsageError when it is not a package of suites."""
        try:
            package = importlib.import_module(module)
            suites = {suite.name: suite for suite in package.SUITES}
            guarded, sentinels = (getattr(package, name, ()) for name in ("GUARDED", "SENTINELS"))
            usage = getattr(package, "USAGE", cls.usage)
            metrics = tuple(getattr(package, "METRICS", ()))
            registry = cls(module, suites, package.CATALOGUE, guarded, sentinels, usage, metrics)
        except (ImportError, AttributeError, ValueError) as error:
            raise UsageError(
                f"{module!r} is not a package of suites ({error}); it must define SUITES and CATALOGUE"
            ) from error
        _ = registry.metrics  # a wrong declaration ends here, before anything is measured
        return registry

    def suite(self, name: str) -> Suite:
        """The suite called `name`. Raises UsageError that lists the valid names."""
        if name not in self.suites:
            raise UsageError(f"unknown suite {name!r}; {choices(name, self.suites)}")
        return self.suites[name]
