"""A record: what came of one case in one round. Raw values, in base units."""

import sys
from typing import Annotated, Literal, TypeAlias

import msgspec

from harness.model.case import Case, Params

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


Amount: TypeAlias = Annotated[float, msgspec.Meta(ge=0, le=sys.float_info.max)]
"""What is outside these bounds, or is not a number, is refused when it is read."""


Outcome = Literal["measured", "skipped", "failed", "crashed", "timed_out"]


Role = Literal["contestant", "baseline", "sentinel"]
"""What a case is measured for: to be compared; to compare others with; to show that the machine has not changed."""
ROLE = "role"
"""The fact that says which, where it is no contestant's."""
SUMMARY = "summary"
"""The fact that says what the one value of each metric is, where the raw values are not known: `mean`, `median`."""


class Measurement(msgspec.Struct, frozen=True, gc=False):
    """Raw values of one metric, in the order taken; derived numbers are recomputed, never stored.

    `iterations` is the length of the inner loop of a timing; every value is already per call. For `latency`, values
    that were taken in one visit to the contestant stand next to each other.
    """

    metric: str
    values: tuple[float, ...]
    iterations: Annotated[int, msgspec.Meta(ge=1)] = 1
    blocks: tuple[Count, ...] = ()
    """Of a timing: the block that each value was taken in; two cases' values in one block were taken close together."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """What came of one case in one round. `reason` is empty exactly when the outcome is `measured`.

    It and its measurements hold nothing that could lead back to them, so the search for cycles passes over millions.
    """

    case: Case
    round: Count
    outcome: Outcome
    reason: str = ""
    measurements: tuple[Measurement, ...] = ()
    facts: Params = {}
    """What is known of the case beforehand: weight_bits, activation_bits, groups, operations, predicted_sqnr ...; of
    somebody else's library also `library`, `version` and `computes`; of what is no contestant its `role`."""
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
    late: bool = False
    """Whether the budget was spent before the case had its turn. It has one when the run goes on."""

    def __post_init__(self) -> None:
        if (self.outcome == "measured") == bool(self.reason):
            raise ValueError(f"outcome {self.outcome!r} with reason {self.reason!r}: only 'measured' has no reason")

    @property
    def role(self) -> Role:
        """What the case is measured for."""
        return role_of(self.facts)

    def values(self, metric: str) -> tuple[float, ...]:
        """The raw values of `metric`, empty when it was not measured."""
        return next((m.values for m in self.measurements if m.metric == metric), ())


def role_of(facts: Params) -> Role:
    """The role that the facts of a case tell. Anything else that a suite calls a role makes no baseline of it."""
    match facts.get(ROLE):
        case "baseline" | "sentinel" as role:
            return role
    return "contestant"


def late(case: Case, budget: float, facts: Params) -> Record:
    """The record of a case that never had its turn in `budget` seconds: it must be seen to be missing."""
    reason = f"the budget of {budget:g} s was spent before its turn; raise --budget, or choose fewer cases"
    return Record(case, 0, "skipped", reason, facts=facts, late=True)
