"""The nouns of the harness: frozen records, in base units (second, byte, 1).

Everything that is written to disk or sent between processes is one of these. Nothing here imports more than the
standard library and msgspec, so that stored runs can be read on a machine without torch.
"""

import math
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal, TypeAlias
from urllib.parse import quote, unquote

import msgspec

SCHEMA_VERSION = 4
"""Version of the record file. Raised with every new or changed field: a reader refuses what it does not know."""

Value: TypeAlias = int | float | str
Params: TypeAlias = dict[str, Value]

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Amount: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]
"""What is outside these bounds, or is not a number, is refused when it is read."""

Outcome = Literal["measured", "skipped", "failed", "crashed", "timed_out"]


def normalise_value(value: object) -> Value:
    """The one spelling of an axis value: numbers as numbers, so that `"1"` and `1` name the same case.

    Python reads the digits of every script, and `1_0` as 10; here they are words, and no axis of numbers takes them.
    """
    text = str(value).strip()
    for number in (int, float) if text.isascii() and "_" not in text else ():
        try:
            parsed = number(text)
        except ValueError:
            continue
        if math.isfinite(parsed):
            return parsed
    return text


@lru_cache(maxsize=4096)
def _escape(text: str) -> str:
    """Kept, because the names of thousands of cases are made of the same few words."""
    return quote(text, ".:+,@ ")


class Case(msgspec.Struct, frozen=True, eq=False):
    """One implementation at one point of a suite's axes. `params` never holds the implementation itself."""

    suite: str
    implementation: str
    params: Params

    @classmethod
    def of(cls, suite: str, implementation: str, params: Mapping[str, object]) -> "Case":
        """A case whose params are in sorted order and in their one spelling."""
        return cls(suite, implementation, {key: normalise_value(params[key]) for key in sorted(params)})

    @classmethod
    def parse(cls, name: str) -> "Case":
        """The case that `name` names. Raises ValueError when `name` is not of the form that `Case.name` writes."""
        suite, *parts = name.split("/")
        pairs = dict(part.split("=", 1) for part in parts if "=" in part)
        if not suite or len(pairs) != len(parts) or "implementation" not in pairs:
            raise ValueError(f"not a case name: {name!r}; expected suite/implementation=NAME/key=value/...")
        params = {unquote(key): unquote(value) for key, value in pairs.items()}
        return cls.of(unquote(suite), params.pop("implementation"), params)

    @property
    def name(self) -> str:
        """Round-trips through `parse`: `latency/implementation=eager/k=2560/m=1/n=6912/scheme=w1.58a8`."""
        return self._name({**self.params, "implementation": self.implementation})

    @property
    def contest(self) -> str:
        """The name without the implementation: cases that share it are timed against each other."""
        return self._name(self.params)

    def _name(self, params: Mapping[str, Value]) -> str:
        pairs = [f"{_escape(key)}={_escape(str(params[key]))}" for key in sorted(params)]
        return "/".join([_escape(self.suite), *pairs])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Case) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


class Measurement(msgspec.Struct, frozen=True):
    """Raw values of one metric, in the order taken; derived numbers are recomputed, never stored.

    `iterations` is the length of the inner loop of a timing; every value is already per call. For `latency`, values
    that were taken in one visit to the contestant stand next to each other.
    """

    metric: str
    values: tuple[float, ...]
    iterations: Annotated[int, msgspec.Meta(ge=1)] = 1
    blocks: tuple[Count, ...] = ()
    """Of a timing: the block that each value was taken in; two cases' values in one block were taken close together."""


class Record(msgspec.Struct, frozen=True):
    """What came of one case in one round. `reason` is empty exactly when the outcome is `measured`."""

    case: Case
    round: Count
    outcome: Outcome
    reason: str = ""
    measurements: tuple[Measurement, ...] = ()
    facts: Params = {}
    """What is known of the case beforehand: weight_bits, activation_bits, groups, operations, predicted_sqnr ...; of
    somebody else's library also `library`, `version` and `computes`."""
    noise: dict[str, tuple[float, ...]] = {}
    """What the machine did: one value a block; of `canary`, one before the first block and one after each."""
    voided: tuple[Count, ...] = ()
    """Blocks that count for no contestant, because the canary beside them was disturbed."""
    duration: Amount = 0.0
    """Seconds from the first request for this case to its last answer."""
    timed: Amount = 0.0
    """Seconds of `duration` spent inside timed regions."""
    warnings: tuple[str, ...] = ()
    """Doubts about this record, each with its cure."""
    trace: tuple[str, ...] = ()
    """Where the contestant raised: the last frames of its own code, the innermost last, as in
    `mine.py:12 in forward: return table[key]`."""

    def __post_init__(self) -> None:
        if (self.outcome == "measured") == bool(self.reason):
            raise ValueError(f"outcome {self.outcome!r} with reason {self.reason!r}: only 'measured' has no reason")

    def values(self, metric: str) -> tuple[float, ...]:
        """The raw values of `metric`, empty when it was not measured."""
        return next((m.values for m in self.measurements if m.metric == metric), ())


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What machine this is. Holds no host name, user name or path."""

    cpu_model: str = "unknown"
    instruction_sets: tuple[str, ...] = ()
    cores_physical: Count = 0
    cores_logical: Count = 0
    affinity: Count = 0
    """How many logical cores this process may run on."""
    governor: str = "unknown"
    memory_bytes: Count = 0
    operating_system: str = "unknown"
    python: str = "unknown"
    torch: str = "unknown"
    blas: str = "unknown"
    torch_threads: Count = 0
    gpu: str = "none"
    driver: str = "none"
    load_average: Amount = 0.0
    """One-minute load average when the run started."""


class Ceilings(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine can do at most, as measured on it; 0 where it was not measured.

    Bandwidths are bytes read a second: from what fits into the caches of single cores (`core_cache_bytes` of all
    threads together), into the last-level cache of `cache_bytes`, and into neither. By dtype: operations a second of
    a large matrix product; a multiply and an add count as two.
    """

    device: str = "cpu"
    threads: Count = 0
    core_cache_bytes: Count = 0
    core_cache_bandwidth: Amount = 0.0
    cache_bytes: Count = 0
    cache_bandwidth: Amount = 0.0
    memory_bandwidth: Amount = 0.0
    float32: Amount = 0.0
    bfloat16: Amount = 0.0
    float16: Amount = 0.0
    int8: Amount = 0.0


class Revision(msgspec.Struct, frozen=True):
    """The version of the code that ran. `commit` is empty outside a git checkout."""

    commit: str = ""
    dirty: bool = False


class Budget(msgspec.Struct, frozen=True):
    """How long to measure. `seconds` are spent timing one contest in one round; `sample` is one timed inner loop.

    A contest has at most `rounds` rounds. With a `precision` it ends at the first planned look at which the interval of
    every contestant's log ratio to the baseline is at most that to either side; 0.02 is 2 %.
    """

    rounds: int
    seconds: float
    sample: float = 0.005
    precision: float = 0.0


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
    rules: tuple[str, ...] = ()
    """When a contest ends and which blocks are voided, in words, declared before anything is measured."""
    aims: dict[str, Aim] = {}
    """By suite."""
    ceilings: tuple[Ceilings, ...] = ()
    environment: Environment
    revision: Revision
    argv: tuple[str, ...] = ()
    pair: str = ""
    """The gate that it is a side of; both sides of one took turns in the same rounds. Empty for a run by itself."""


class Summary(msgspec.Struct, frozen=True):
    """One metric of one case over its rounds: centre and a confidence interval."""

    metric: str
    centre: float
    lo: float
    hi: float
    confidence: float
    n: int
    """Independent values behind the interval: rounds."""
    warnings: tuple[str, ...] = ()


class Comparison(msgspec.Struct, frozen=True):
    """Candidate over baseline for one metric. A `ratio` of 1.1 means the candidate's value is 10 % larger."""

    metric: str
    baseline: Summary
    candidate: Summary
    ratio: float
    lo: float
    hi: float
    paired: bool
    """Whether both sides were measured in the same rounds, and the rounds' differences were tested."""
    warnings: tuple[str, ...] = ()
