"""What a reader makes of a file: benchmarks with the raw values of each process, before they become records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.model import Case, Environment, Metric, Outcome, Params, Revision, Value

OWN_METRIC = "/metric="
"""In a name that `bitbench export` wrote for a format without metrics: what follows is the metric's name."""


@dataclass(frozen=True)
class Round:
    """What one process gave, in base units and per call. One that did not come to its end has a `reason`."""

    values: Mapping[Metric, Sequence[float]] = field(default_factory=dict)
    iterations: float = 1
    """Of the inner loop that a latency was timed with, as the file tells it."""
    outcome: Outcome = "measured"
    reason: str = ""

    @property
    def calls(self) -> int:
        """The iterations as a count: 1 where the file has no such number."""
        return int(self.iterations) if 1 <= self.iterations < _MOST_CALLS else 1


_MOST_CALLS = 2.0**53
"""Above, not every number with a point is a count."""


@dataclass(frozen=True)
class Benchmark:
    """One case of a file."""

    case: Case
    rounds: Sequence[Round]
    """A process each where the format tells them apart, else one."""
    facts: Params = field(default_factory=dict)
    summary: str = ""
    """What its one value is, where the format has no raw values: `mean`, `median`."""


@dataclass(frozen=True)
class ForeignFile:
    """One file, or one folder, of another tool."""

    tool: str
    benchmarks: Sequence[Benchmark]
    version: str = ""
    started: str = ""
    """UTC, ISO 8601; empty where the file does not tell."""
    environment: Environment = field(default_factory=Environment)
    revision: Revision = field(default_factory=Revision)


def named(text: str, tool: str) -> tuple[Case, str]:
    """The case that a bare name means, and the metric, if `bitbench export` wrote one into it.

    A name of ours is read back exactly. Any other is an implementation of the suite that bears the tool's name.
    """
    name, _, metric = text.rpartition(OWN_METRIC) if OWN_METRIC in text else (text, "", "")
    own = own_case(name)
    return (own, metric) if own else (case_of(tool, text, {}, tool), "")


def own_case(name: str) -> Case | None:
    """The case that a name of ours means; None for any other name."""
    try:
        return Case.parse(name)
    except ValueError:
        return None


def case_of(suite: str, implementation: str, params: Mapping[str, Value], tool: str) -> Case:
    """A case of which neither part is empty, as none may be. A param called like a column of frames is `NAME_param`."""
    renamed = {f"{name}_param" if name in _COLUMNS else name: value for name, value in params.items()}
    return Case.of(suite.strip() or tool, implementation.strip() or "unnamed", renamed)


_COLUMNS = {
    *("run", "suite", "case", "implementation", "role", "metric", "unit", "value", "round", "outcome", "reason"),
    *("machine", "summary"),
}
