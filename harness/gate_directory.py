"""Where the two runs of a gate lie: a directory that holds `base` and `head`."""

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
    """A gate that came to a verdict: where its runs lie."""

    base: str
    head: str
    seen: float = 0.0
    """When the newest gate of the current folder's own was written, as of then: one that is newer was held later."""

    @property
    def place(self) -> str:
        """The gate's directory, or the two runs that were judged, as they are called from the current folder."""
        base, head = (_from_here(Path(run)) for run in (self.base, self.head))
        if base.parent == head.parent and (base.name, head.name) == SIDES:
            return f"gate: {base.parent}"
        return f"gate of: {base} {head}"


def remember(base: Path, head: Path, parent: Path = GATES) -> None:
    """Keep which gate was held last in the current folder, wherever its runs lie."""
    with suppress(OSError):  # the current folder is gone: nobody will ask from there
        seen = max(map(_written, _gates(parent)), default=0.0)
        machine_cache.store(ANY, KIND, Held(str(base.resolve()), str(head.resolve()), seen), str(Path.cwd()))


def last(parent: Path = GATES) -> Held:
    """The gate that was held last in the current folder. Raises NothingMeasuredError when there is none."""
    newest = max(_gates(parent), key=lambda gate: (_written(gate), gate.name), default=None)
    held = machine_cache.load(ANY, KIND, Held, str(Path.cwd()))
    is_there = held is not None and Path(held.base).exists() and Path(held.head).exists()
    if held and is_there and (newest is None or _written(newest) <= held.seen):
        return held
    if newest is None:
        raise NothingMeasuredError(
            f"no gate lies in {parent}: hold one by `bitbench gate --base REV`, or give --gate DIR or two runs"
        )
    return Held(str(newest / "base"), str(newest / "head"))


def _gates(parent: Path) -> list[Path]:
    return [path for path in parent.iterdir() if is_gate(path)] if parent.is_dir() else []


def _written(gate: Path) -> float:
    return (gate / "head" / FILE_NAME).stat().st_mtime


def _from_here(run: Path) -> Path:
    return run.relative_to(Path.cwd()) if run.is_relative_to(Path.cwd()) else run


def load_sides(directory: Path) -> tuple[StoredRun, StoredRun]:
    """The runs of base and head. Raises UsageError when this is no gate, StoreError for what cannot be read."""
    base, head = sides(directory)
    return load(base), load(head)
