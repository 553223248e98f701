"""A run: what was asked for, on which machine and revision, by which rules, and which metrics it knows."""

from typing import Literal, TypeAlias

import msgspec

from harness.model.case import Value
from harness.model.ceilings import Ceilings
from harness.model.environment import Environment
from harness.model.metrics import METRICS, Metric
from harness.model.record import Amount, Count
from harness.model.rules import RunRules
from harness.model.whole_model import WholeModel

SCHEMA_VERSION = 7
"""Version of the record file. Raised with every new or changed field: a reader refuses what it does not know."""


Side: TypeAlias = Literal["base", "head"]
"""Of a gate: the code as it was, and as it is with the change."""


class Revision(msgspec.Struct, frozen=True):
    """The version of the code that ran. `commit` is empty outside a git checkout."""

    commit: str = ""
    dirty: bool = False


class Budget(msgspec.Struct, frozen=True):
    """How long to measure. `seconds` are spent timing one contest in one round; `sample` is one timed inner loop.

    A contest has at most `rounds` rounds. With a `precision` it ends at the first planned look at which the interval of
    every contestant's log ratio to the baseline is at most that to either side; 0.02 is 2 %. A run ends after `wall`
    seconds besides those of first-use compilation, unless the user says more; 0 is for no limit.
    """

    rounds: int
    seconds: float
    sample: float = 0.005
    precision: float = 0.0
    wall: float = 0.0


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked a run for; enough to go on with it later."""

    suites: tuple[str, ...]
    implementations: tuple[str, ...] = ()
    axes: dict[str, tuple[Value, ...]] = {}
    keyword: str = ""
    device: str = "auto"
    threads: Count = 0
    """0 means every core this process may use."""
    full: bool = False
    metrics: tuple[str, ...] = ()
    """Only these metrics; empty means all that the suites measure."""
    rounds: Count = 0
    """Exactly so many, without looking in between; 0 means what each suite's budget says."""
    precision: Amount = 0.0
    """Instead of the suites' own; 0 means that."""
    budget: Amount = 0.0
    """Seconds of wall time after which no new contest is begun; 0 means no limit."""
    case_limit: Amount = 120.0
    """Seconds that one request about one case may take before its worker is killed."""
    memory_limit: Amount = 0.0
    """Bytes that a worker may take for one case beyond what it holds already; 0 means no limit."""
    seed: int = 0
    package: str = ""
    """The module that declares the suites; empty for the project's own."""
    models: tuple[str, ...] = ()
    """Of suites about whole models; empty means what each suite says."""


class Aim(msgspec.Struct, frozen=True):
    """Up to which half width of the log ratio's interval to which baseline, in how many rounds at most."""

    baseline: str = ""
    precision: Amount = 0.0
    """0 where the rounds are fixed."""
    rounds: Count = 0
    extended: bool = False
    """Whether it was chosen when results had been seen, which counts as a look at them."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """The header line of a record file."""

    schema: int = SCHEMA_VERSION
    id: str
    started: str
    """UTC, ISO 8601."""
    request: Request
    order: str
    """How contestants take turns, in words."""
    rules: RunRules = RunRules()
    """When a contest ends, which blocks are voided and what a gate tolerates, declared before anything is measured."""
    aims: dict[str, Aim] = {}
    """By suite."""
    metrics: tuple[Metric, ...] = ()
    """Those that it measures, as they were declared: a reader needs no code for them."""
    ceilings: tuple[Ceilings, ...] = ()
    models: tuple[WholeModel, ...] = ()
    """Those that its suites are about, as they were read: a file may change."""
    environment: Environment
    revision: Revision
    argv: tuple[str, ...] = ()
    pair: str = ""
    """The gate that it is a side of; both sides of one took turns in the same rounds. Empty for a run by itself."""
    side: Side | Literal[""] = ""
    """Which side of it."""


def known_metrics(*runs: Run) -> dict[str, Metric]:
    """Every metric that `runs` know, by name: as a run declares it, else the project's own; of two runs the later wins.

    The project's come first, in their order.
    """
    return {**METRICS, **{metric.name: metric for run in runs for metric in run.metrics}}
