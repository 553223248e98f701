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
        """The warnings, each with the file that it is about if that is known."""
        return tuple(f"{self.file}: {text}" if self.file else text for text in self.warnings)
