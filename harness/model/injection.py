"""A slowdown that is put into one side of a gate on purpose, so that the gate can be seen to find it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from harness.errors import UsageError

InjectionKind: TypeAlias = Literal["spin", "work"]
"""Spin for a share of each call's own time, or do that share of additional work."""
VARIABLE = "BITBENCH_INJECTION"
"""Names the injection for a worker, whose suites must know of it."""


@dataclass(frozen=True)
class Injection:
    """Calls of the cases that `match`, an expression as of -k, take longer by `share`: 0.05 is 5 %."""

    kind: InjectionKind
    share: float
    match: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.share!r} {self.match}".rstrip()

    @classmethod
    def parse(cls, text: str) -> "Injection | None":
        """The inverse of `str`; None of nothing. Raises UsageError for anything else."""
        if not text:
            return None
        kind, _, rest = text.partition(" ")
        share, _, match = rest.partition(" ")
        try:
            if kind not in get_args(InjectionKind):
                raise ValueError(kind)
            return cls(kind, float(share), match)  # type: ignore[arg-type]  # it is one of them
        except ValueError as error:
            raise UsageError(f"{text!r} is no injection; write KIND SHARE MATCH, as in spin 0.05 int8") from error
