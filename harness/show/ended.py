"""Cases that came to another end than being measured: which, why, and where in the contestant's code."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.analysis.results import Result
from harness.model import Case, Record
from harness.show.table import Block, Cell, Column, Table
from harness.user_code.raised import innermost


def ended_early(everything: Sequence[Result]) -> Table:
    """Which implementations were not measured, in how many cases, why, and where they raised, if one did."""
    reasons = Counter(
        (result.case.suite, result.case.implementation, _how(result), result.end.reason, innermost(result.end.trace))
        for result in everything
        if result.end
    )
    headings = (
        *(Column("suite"), Column("implementation"), Column("outcome")),
        *(Column("cases", "right"), Column("reason"), Column("raised in")),
    )
    rows: list[list[Cell]] = [[*key[:3], count, *key[3:]] for key, count in reasons.items()]
    if any(row[-1] for row in rows):
        return Table("not measured; `bitbench show RUN --failures` says more", headings, rows)
    return Table("not measured", headings[:-1], [row[:-1] for row in rows])


@dataclass(frozen=True)
class Failure:
    """What one implementation did wrong in the same way in several cases of a suite."""

    suite: str
    implementation: str
    outcome: str
    reason: str
    trace: tuple[str, ...]
    cases: tuple[Case, ...]
    """In the order in which they were met, each once."""

    def told(self) -> str:
        """In lines: who and why, the first case, and where it raised."""
        count = len(self.cases)
        where = f"{count} cases of {self.suite}, {self.cases[0].name} among them" if count > 1 else self.cases[0].name
        head = f"{self.implementation} {self.outcome.replace('_', ' ')}: {self.reason}"
        return "\n".join([head, f"  in {where}", *(f"  {line}" for line in self.trace)])


def failures(records: Iterable[Record]) -> list[Failure]:
    """Everything that failed, crashed or ran out of time; what was skipped said so itself."""
    found: dict[tuple[str, str, str, str, tuple[str, ...]], dict[Case, None]] = {}
    for record in records:
        if record.outcome not in ("measured", "skipped"):
            key = (record.case.suite, record.case.implementation, record.outcome, record.reason, record.trace)
            found.setdefault(key, {})[record.case] = None
    return [Failure(*key, tuple(cases)) for key, cases in found.items()]


def failures_page(found: Sequence[Failure]) -> list[Block]:
    """For people."""
    return [one.told() for one in found] or ["nothing failed"]


def failures_table(found: Sequence[Failure]) -> Table:
    """For machines: a row a case; the lines of the trace are apart by newlines."""
    headings = ("suite", "implementation", "outcome", "reason", "case", "trace")
    rows: list[tuple[Cell, ...]] = [
        (one.suite, one.implementation, one.outcome, one.reason, case.name, "\n".join(one.trace))
        for one in found
        for case in one.cases
    ]
    return Table("", tuple(map(Column, headings)), rows)


def _how(result: Result) -> str:
    """The outcome, with the round where earlier ones were measured."""
    end = result.end
    if end is None:
        return "measured"
    return f"{end.outcome.replace('_', ' ')}{f' in round {end.round + 1}' * bool(result.measured)}"
