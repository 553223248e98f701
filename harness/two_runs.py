"""The two runs of a live gate on the disk, begun or gone on with."""

import shlex
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from harness import store
from harness.environment import differences
from harness.errors import IncomparableError, UsageError
from harness.model import Record, Run
from harness.paired_run import SIDES, Side


class TwoRuns:
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

    def __enter__(self) -> "TwoRuns":
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
    if begun.revision.dirty or now.revision.dirty:
        raise UsageError(f"{side} of {gate} had changes that were not committed: commit them and choose another --out")
    if begun.revision != now.revision:
        then, today = begun.revision.commit[:7], now.revision.commit[:7]
        raise UsageError(f"{side} of {gate} was {then} and is {today} now: choose another --out")
    if changed := differences(begun.environment, now.environment):
        raise IncomparableError(f"{gate} was begun on another machine: {'; '.join(changed)}")
