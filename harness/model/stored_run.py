"""A run as it is read back, and the lines in it that say by what plan it went on: what may change, and what did."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UsageError
from harness.model.environment import variables_doubt
from harness.model.record import Count, Record
from harness.model.run import Aim, Request, Revision, Run
from harness.model.units import amount

MAY_CHANGE = ("rounds", "precision", "budget")
"""Fields of a request that decide how long is measured, and not what."""
MARK = b'{"extended":'
"""What the line begins with; no record does."""


class Extension(msgspec.Struct, frozen=True, kw_only=True):
    """From here on the run goes by this. What stands before it in the file was measured by what was declared before."""

    extended: str
    """When: UTC, ISO 8601."""
    request: Request
    aims: dict[str, Aim]
    """By suite; those of before where only the code or the budget is another."""
    rounds: dict[str, Count]
    """By contest: how many it had had. It goes on after them, so that nobody is timed in a round without rivals."""
    revision: Revision
    argv: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    """What its aims say, in sentences, as extensions had them before schema 5."""


def applied(run: Run, extensions: tuple[Extension, ...]) -> Run:
    """The header as it reads after `extensions`."""
    if not extensions:
        return run
    last = extensions[-1]
    return msgspec.structs.replace(run, request=last.request, aims=last.aims)


def request_to_go_on_by(run: Run, asked: Request, options: Mapping[str, str]) -> Request:
    """The request of `run` with what `asked` changes. `options` are those that were given, by name of the request.

    A number of rounds and a precision mean together what they mean in a new run, so that either replaces both.
    Raises UsageError that names the option for what cannot change any more, and says what the run has.
    """
    for name, option in options.items():
        if name not in MAY_CHANGE and getattr(asked, name) != getattr(run.request, name):
            raise UsageError(
                f"{option} cannot change what was begun: the run has {_said(name, run.request)}; leave {option} out,"
                " or begin a new run"
            )
    changes: dict[str, Any] = {}
    if "rounds" in options or "precision" in options:
        changes = {"rounds": asked.rounds, "precision": asked.precision}
    if "budget" in options:
        changes["budget"] = asked.budget
    return msgspec.structs.replace(run.request, **changes)


def extended_aims(before: Mapping[str, Aim], after: Mapping[str, Aim], made: Mapping[str, int]) -> dict[str, Aim]:
    """The aims `after`, by suite, marked as chosen when results had been seen; `made` are the rounds that are there.

    Raises UsageError for what is less than there is, or than was declared: it would only rename what was measured.
    """
    for suite, aim in after.items():
        declared = before.get(suite, aim).precision
        if 0 < declared < aim.precision:
            asked, was = (f"{100 * precision:g}%" for precision in (aim.precision, declared))
            raise UsageError(f"--precision {asked}: {suite} is measured to {was} already; give that or less")
        if aim.rounds < made.get(suite, 0):
            raise UsageError(f"--rounds {aim.rounds}: {suite} has {made[suite]} already; give that or more")
    marked = {suite: msgspec.structs.replace(aim, extended=True) for suite, aim in after.items()}
    as_before = {suite: msgspec.structs.replace(aim, extended=True) for suite, aim in before.items()}
    return dict(before) if marked == as_before else marked


def rounds_made(records: Iterable[Record], *, by_suite: bool = False) -> dict[str, int]:
    """In how many rounds anything was measured, by contest or by suite."""
    made: dict[str, int] = {}
    for record in records:
        if record.outcome == "measured":
            name = record.case.suite if by_suite else record.case.contest
            made[name] = max(made.get(name, 0), record.round + 1)
    return made


def _said(field: str, request: Request) -> str:
    """What a run has of a field, in words."""
    value = getattr(request, field)
    match field:
        case "implementations" | "metrics":
            return ",".join(value) or f"all {field} of its suites"
        case "axes":
            return " ".join(f"{name}={','.join(map(str, values))}" for name, values in value.items()) or "its own axes"
        case "keyword":
            return repr(value) if value else "no -k"
        case "threads":
            return f"threads {value}" if value else "all cores"
        case "package":
            return f"suites of {value}" if value else "bitbench's own suites"
        case "full":
            return "the large grid" if value else "the small grid"
        case "case_limit":
            return f"a limit of {value:g} s"
        case "memory_limit":
            return f"a limit of {amount(value, 'B')}" if value else "no limit"
    return f"{field} {value}"


@dataclass(frozen=True, repr=False)
class StoredRun:
    """A run as read back. `records` holds at most one record for a case and round, in the order written."""

    run: Run
    records: tuple[Record, ...]
    warnings: tuple[str, ...] = ()
    """Doubts about the file."""
    extensions: tuple[Extension, ...] = ()
    """What the run went by later; `run` reads as after the last of them."""
    begun: Run | None = None
    """The run as it was begun, where there are extensions."""
    file: str = ""
    """Where it was read."""
    is_cut_off: bool = False
    """Whether its last line is unfinished, and left out."""
    directory: Path | None = field(default=None, compare=False)
    """Where it was read from."""

    def __repr__(self) -> str:
        return f"<StoredRun {self.run.id}: {len(self.records)} records>"

    @property
    def doubts(self) -> tuple[str, ...]:
        """The warnings and what its environment had set, each with the file that it is about if that is known."""
        told = variables_doubt(self.run.environment)
        return tuple(f"{self.file}: {text}" if self.file else text for text in (*self.warnings, *[told] * bool(told)))
