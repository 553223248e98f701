"""Where the two runs of a gate lie: a directory that holds `base` and `head`."""

from pathlib import Path

from harness.errors import NothingMeasuredError, UsageError
from harness.gate_session import GATES
from harness.paired_run import SIDES
from harness.store import FILE_NAME, StoredRun, load


def is_gate(path: Path) -> bool:
    """Whether `path` is the directory of a gate, and not that of a run."""
    return not (path / FILE_NAME).exists() and all((path / side / FILE_NAME).exists() for side in SIDES)


def sides(directory: Path) -> tuple[Path, Path]:
    """The directories of base and head. Raises UsageError when this is no directory of a gate."""
    if not is_gate(directory):
        raise UsageError(f"{directory} is no gate: give the directory that `bitbench gate --base REV` printed")
    return directory / "base", directory / "head"


def newest(parent: Path = GATES) -> Path:
    """The directory of the gate that was held last. Raises NothingMeasuredError when there is none."""
    gates = [path for path in parent.iterdir() if is_gate(path)] if parent.is_dir() else []
    if not gates:
        raise NothingMeasuredError(
            f"no gate lies in {parent}: hold one by `bitbench gate --base REV`, or give --gate DIR or two runs"
        )
    return max(gates, key=lambda path: ((path / "head" / FILE_NAME).stat().st_mtime_ns, path.name))


def load_sides(directory: Path) -> tuple[StoredRun, StoredRun]:
    """The runs of base and head. Raises UsageError when this is no gate, StoreError for what cannot be read."""
    base, head = sides(directory)
    return load(base), load(head)
