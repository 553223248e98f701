"""Where the two runs of a gate lie: a directory that holds `base` and `head`."""

import shlex
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

import msgspec

from harness import store
from harness.errors import IncomparableError, NothingMeasuredError, UsageError
from harness.gate.pair_controller import SIDES
from harness.machine import facts
from harness.model import Environment, Record, Run, Side, StoredRun, differences
from harness.model.environment import is_elsewhere
from harness.store import FILE_NAME, load
from harness.store.places import GATES

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
        facts.store(ANY, KIND, Held(str(base.resolve()), str(head.resolve()), seen), str(Path.cwd()))


def last(parent: Path = GATES) -> Held:
    """The gate that was held last in the current folder. Raises NothingMeasuredError when there is none."""
    newest = max(_gates(parent), key=lambda gate: (_written(gate), gate.name), default=None)
    held = facts.load(ANY, KIND, Held, str(Path.cwd()))
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


def place_of(directory: Path | None, name: str) -> Path:
    """The directory of a gate: the given one, or one that bears its name, with a number where that is taken."""
    if directory is not None:
        return directory
    store.make_unseen(GATES)
    number = 1
    while (GATES / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return GATES / (name if number == 1 else f"{name}-{number}")


class GateRuns:
    """Both, in `base` and `head` of a directory, open to be written. A context manager, which closes them."""

    def __init__(self, place: Path, runs: Mapping[Side, Run], resume: bool = False) -> None:
        """Begin `runs`, or go on with those that are there if they are of the same gate.

        Raises StoreError when the disk refuses it or there is no gate, UsageError for one of another command, other
        rules or other code, IncomparableError for one of another machine.
        """
        self.earlier: dict[Side, list[Record]] = {side: [] for side in SIDES}
        """What was there already."""
        self._writers: dict[Side, store.Writer] = {}
        with ExitStack() as opened:
            for side in SIDES:
                self._writers[side] = (
                    self._resumed(place, side, runs[side]) if resume else store.create(place / side, runs[side])
                )
                opened.push(self._writers[side])
            self._opened = opened.pop_all()

    def _resumed(self, place: Path, side: Side, run: Run) -> store.Writer:
        begun, self.earlier[side], writer = store.resume(place / side)
        with ExitStack() as on_failure:
            on_failure.push(writer)
            _require_same(f"the gate in {place}", side, begun, run)
            on_failure.pop_all()
        return writer

    def keep(self, records: Mapping[Side, Record]) -> None:
        """Write what is known of one case in one round."""
        for side, record in records.items():
            self._writers[side].append(record)

    def __enter__(self) -> "GateRuns":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()


def _require_same(gate: str, side: Side, begun: Run, now: Run) -> None:
    if begun.argv != now.argv:
        raise UsageError(f"{gate} was begun by `{shlex.join(begun.argv)}`: repeat that with --resume")
    if begun.rules != now.rules:
        raise UsageError(f"{gate} was begun by other rules: restore them, or choose another --out")
    if begun.metrics != now.metrics:
        raise UsageError(f"{gate} was begun with metrics that were declared otherwise: choose another --out")
    if begun.revision.dirty or now.revision.dirty:
        raise UsageError(f"{side} of {gate} had changes that were not committed: commit them and choose another --out")
    if begun.revision != now.revision:
        then, today = begun.revision.commit[:7], now.revision.commit[:7]
        raise UsageError(f"{side} of {gate} was {then} and is {today} now: choose another --out")
    if changed := differences(begun.environment, now.environment):
        raise IncomparableError(f"{gate} was begun on another machine: {'; '.join(changed)}")
    if is_elsewhere(begun.environment, now.environment):
        raise IncomparableError(
            f"{gate} was begun on another machine of this kind: go on there, or choose another --out"
        )
