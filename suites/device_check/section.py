"""A section of the summary: what it shows, and what in it is wrong or was not shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import StoreError
from harness.model import Record, StoredRun
from harness.show.table import Block
from harness.store import load

FAILED = ("failed", "crashed", "timed_out")
"""Outcomes of a record that are somebody's fault."""


@dataclass(frozen=True)
class Section:
    """Everything that is said is a sentence, or one line of a list."""

    title: str
    blocks: Sequence[Block] = ()
    wrong: Sequence[str] = ()
    """What was measured and should be otherwise."""
    missing: Sequence[str] = ()
    """What was to be shown and was not."""
    is_measured: bool = False
    """Whether anything was measured at all."""


def run_in(out: Path, name: str) -> StoredRun | None:
    """The run that a step has left, as far as it came; None where there is none."""
    try:
        return load(out / name)
    except StoreError:  # the step was not begun, or ended before its header was written; the table of steps says which
        return None


def told(record: Record, *params: str) -> str:
    """The reason why a case was not measured, with whose case it is and where."""
    where = " ".join(f"{name}={record.case.params[name]}" for name in params if name in record.case.params)
    return f"{record.case.implementation}, {where}: {record.reason}"
