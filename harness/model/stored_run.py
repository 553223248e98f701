"""A run as it is read back."""

from dataclasses import dataclass, field
from pathlib import Path

from harness.model.extension import Extension
from harness.model.record import Record
from harness.model.run import Run


@dataclass(frozen=True, repr=False)
class StoredRun:
    """A run as read back. `records` holds at most one record for a case and round, in the order written."""

    run: Run
    records: tuple[Record, ...]
    warnings: tuple[str, ...] = ()
    extensions: tuple[Extension, ...] = ()
    """What the run went by later; `run` reads as after the last of them."""
    directory: Path | None = field(default=None, compare=False)
    """Where it was read from."""

    def __repr__(self) -> str:
        return f"<StoredRun {self.run.id}: {len(self.records)} records>"
