"""One live gate from beginning to end: two staffs of workers, two runs on the disk, one judgement."""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from harness import resolution, store
from harness.checkout import Checkout, Checkouts, locks_among
from harness.environment import combine, machine
from harness.errors import InvalidEnvironmentError, UsageError
from harness.gate import Judgement
from harness.live_gate import LiveGate, Watcher, broken, plan_duels
from harness.measure import ORDER
from harness.model import Aim, Budget, Request, Revision, Run
from harness.paired_run import SIDES, Leave, Paired, PairedController, Side
from harness.process import WorkerLostError, WorkerProcess
from harness.protocol import Loaded
from harness.rules import Rules
from harness.staff import Staff
from harness.start import Sources
from harness.store import StoredRun
from harness.suite import Registry
from harness.two_runs import TwoRuns
from harness.voiding import RULE

GATES = Path("results", "gates")
"""Where gates lie that are given no directory."""
BUDGET = Budget(rounds=0, seconds=1.0)
"""Seconds that both sides of a case are timed in one round, and the length of a sample."""


@dataclass(frozen=True)
class Outcome:
    """What a gate has found, and where it lies."""

    directory: Path | None
    """None for runs that lie elsewhere."""
    base: StoredRun
    head: StoredRun
    judgement: Judgement
    notes: tuple[str, ...]
    """What is the same on both sides, and what differs besides the code."""
    rounds: int = 0
    seconds: float = 0.0
    """Wall time of the measurement. Neither is known of runs that were measured earlier."""


@dataclass
class Session:
    """A gate that is to be held."""

    registry: Registry
    request: Request
    rules: Rules
    metrics: Collection[str]
    argv: Sequence[str] = ()
    resume: bool = False
    """Go on with what is in the directory."""
    budget: Budget = BUDGET
    loaded: dict[Side, Loaded] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    """When the request's budget began to run: what workers take to start counts."""

    def of_checkouts(self, checkouts: Checkouts, directory: Path | None, watcher: Watcher) -> Outcome:
        """Gate two checkouts of a repository.

        Raises UsageError when base cannot be measured at all, BrokenHeadError when head cannot, NothingMeasuredError
        when no case is left, StoreError when the runs cannot be written.
        """
        sides: dict[Side, Checkout] = {"base": checkouts.base, "head": checkouts.head}
        staffs: dict[Side, Staff] = {}
        try:
            for side, checkout in sides.items():
                sources = Sources(checkout.folders(checkouts.below), str(checkouts.repository))
                staffs[side] = self._hire(side, sources)

            def ask(_: int, side: Side, worker: Paired) -> None:
                if side not in self.loaded and isinstance(worker, WorkerProcess):
                    with suppress(WorkerLostError):  # its records are made: that it died since then costs a note
                        self._take_in(side, worker.loaded(str(sides[side].root), str(checkouts.repository)))

            revisions = {side: checkout.revision for side, checkout in sides.items()}
            outcome = self.of_staffs(staffs, revisions, directory, watcher, ask)
        finally:
            for staff in staffs.values():
                staff.close()
        return replace(outcome, notes=(*_notes(self.loaded, checkouts.changed), *outcome.notes))

    def _hire(self, side: Side, sources: Sources) -> Staff:
        try:
            return Staff(self.registry, self.request.memory_limit, sources, shuffle=True)
        except InvalidEnvironmentError as error:
            raise broken(side, str(error)) from error

    def _take_in(self, side: Side, loaded: Loaded) -> None:
        if loaded.strays:
            raise UsageError(
                f"{side} imported {loaded.strays[0]}, which is not in its own checkout, so both sides would be measured"
                " alike: uninstall that copy, or give the folder of the package as the current one"
            )
        self.loaded[side] = loaded

    def of_staffs(
        self,
        staffs: Mapping[Side, Staff],
        revisions: Mapping[Side, Revision],
        directory: Path | None,
        watcher: Watcher,
        before_leaving: Leave | None = None,
    ) -> Outcome:
        """Gate the cases of two staffs; their runs are written to `base` and `head` in the directory."""
        duels = plan_duels(self.registry, self.request, {side: staffs[side].description for side in SIDES})
        controller = PairedController(
            lambda side: staffs[side].hire(),
            self.budget,
            self.request.case_limit,
            self.request.seed,
            before_leaving=before_leaving,
        )
        runs = self._headers(staffs, revisions)
        place = _place(directory, runs["head"].pair)
        with TwoRuns(place, runs, self.resume) as both:
            budget = self.request.budget
            deadline = self.began + budget if budget else math.inf
            gate = LiveGate(duels, controller, self.rules, self.metrics, deadline, earlier=both.earlier)
            try:
                judgement = gate.run(watcher, both.keep)
            except KeyboardInterrupt as stop:
                go_on = "judge it by `bitbench gate {0}/base {0}/head`"
                if not runs["head"].revision.dirty:
                    go_on = "go on by the same command with --resume --out {0}"
                stop.add_note(f"interrupted: what was measured is in {place}; {go_on.format(place)}")
                raise
        base_run, head_run = store.load(place / "base"), store.load(place / "head")
        names = [duel.case.name for duel in duels]
        doubt = resolution.doubt(resolution.load(runs["head"].environment), names, self.rules)
        notes = (doubt,) if doubt else ()
        return Outcome(place, base_run, head_run, judgement, notes, gate.reached, time.monotonic() - self.began)

    def _headers(self, staffs: Mapping[Side, Staff], revisions: Mapping[Side, Revision]) -> dict[Side, Run]:
        started = datetime.now(UTC)
        commit = revisions["head"].commit[:7]
        name = f"{started:%Y%m%dT%H%M%SZ}-gate{f'-{commit}' if commit else ''}"
        name += "-dirty" if revisions["head"].dirty else ""
        here = combine(machine(), staffs["base"].description.environment)
        rounds = self.rules.looks[-1]
        return {
            side: Run(
                id=f"{name}-{side}",
                started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
                request=self.request,
                order=ORDER,
                rules=(*self.rules.in_words(), RULE),
                aims={suite: Aim(rounds=rounds) for suite in (*self.request.suites, *self.registry.sentinels)},
                environment=here,
                revision=revisions[side],
                argv=tuple(self.argv),
                pair=name,
            )
            for side in SIDES
        }


def _place(directory: Path | None, name: str) -> Path:
    """The directory of a gate: the given one, or one that bears its name, with a number where that is taken."""
    if directory is not None:
        return directory
    store.make_unseen(GATES)
    number = 1
    while (GATES / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return GATES / (name if number == 1 else f"{name}-{number}")


def _notes(loaded: Mapping[Side, Loaded], changed: Sequence[str]) -> tuple[str, ...]:
    """What is the same on both sides, and what differs besides the code."""
    notes = []
    if set(loaded) == set(SIDES):
        base, head = loaded["base"].files, loaded["head"].files
        if base == head:
            notes.append(f"both sides loaded the same {len(base)} files, binaries included: nothing that ran differs")
        else:
            differing = sorted(name for name in {**base, **head} if base.get(name) != head.get(name))
            shown = ", ".join(differing[:4]) + (f" and {len(differing) - 4} more" if len(differing) > 4 else "")
            notes.append(f"of what ran {len(differing)} files differ: {shown}")
    if not changed:
        notes.append("both revisions have the same files")
    if locks := locks_among(changed):
        notes.append(f"{', '.join(locks)} differs: both sides were measured with what is installed here")
    return tuple(notes)
