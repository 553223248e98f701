"""Where the two runs of a gate lie: a directory that holds `base` and `head`."""

import time
from contextlib import suppress
from pathlib import Path

import msgspec

from harness import machine_cache
from harness.errors import NothingMeasuredError, UsageError
from harness.gate_session import GATES
from harness.model import Environment
from harness.paired_run import SIDES
from harness.store import FILE_NAME, StoredRun, load

ANY, KIND = Environment(), "last-gate"
"""Which gate was the last is no fact about any kind of machine."""


def is_gate(path: Path) -> bool:
    """Whether `path` is the directory of a gate, and not that of a run."""
    return not (path / FILE_NAME).exists() and all((path / side / FILE_NAME).exists() for side in SIDES)


def sides(directory: Path) -> tuple[Path, Path]:
    """The directories of base and head. Raises UsageError when this is no directory of a gate."""
    if not is_gate(directory):
        raise UsageError(f"{directory} is no gate: give the directory that `bitbench gate --base REV` printed")
    return directory / "base", directory / "head"


class Held(msgspec.Struct, frozen=True):
    """A gate that came to a verdict: where its runs lie, and when it was held (seconds since 1970)."""

    base: str
    head: str
    at: float

    @property
    def place(self) -> str:
        """The gate's directory, or the two runs that were judged, as they are called from the current folder."""
        base, head = (_from_here(Path(run)) for run in (self.base, self.head))
        if base.parent == head.parent and (base.name, head.name) == SIDES:
            return f"gate: {base.parent}"
        return f"gate of: {base} {head}"


def remember(base: Path, head: Path) -> None:
    """Keep which gate was held last in the current folder, wherever its runs lie."""
    with suppress(OSError):  # the current folder is gone: nobody will ask from there
        held = Held(str(base.resolve()), str(head.resolve()), time.time())
        machine_cache.store(ANY, KIND, held, str(Path.cwd()))


def last(parent: Path = GATES) -> Held:
    """The gate that was held last in the current folder. Raises NothingMeasuredError when there is none."""
    gates = [path for path in parent.iterdir() if is_gate(path)] if parent.is_dir() else []
    found = [Held(str(path / "base"), str(path / "head"), _changed(path / "head")) for path in gates]
    held = machine_cache.load(ANY, KIND, Held, str(Path.cwd()))
    if held and all(Path(run).exists() for run in (held.base, held.head)):
        found.append(held)
    if not found:
        raise NothingMeasuredError(
            f"no gate lies in {parent}: hold one by `bitbench gate --base REV`, or give --gate DIR or two runs"
        )
    return max(found, key=lambda one: (one.at, one.head))


def _changed(run: Path) -> float:
    return (run / FILE_NAME).stat().st_mtime


def _from_here(run: Path) -> Path:
    return run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run


def load_sides(directory: Path) -> tuple[StoredRun, StoredRun]:
    """The runs of base and head. Raises UsageError when this is no gate, StoreError for what cannot be read."""
    base, head = sides(directory)
    return load(base), load(head)
