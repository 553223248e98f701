"""One live gate from beginning to end: two pools of workers, two runs on the disk, one judgement."""

import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from harness import store
from harness.analysis.convergence import declared
from harness.errors import InvalidEnvironmentError
from harness.gate import resolution
from harness.gate.checkouts import Checkout, Checkouts
from harness.gate.live import GateWatcher, LiveGate, broken, plan_case_pairs
from harness.gate.pair_controller import SIDES, CasePair, PairedController
from harness.gate.provenance import Provenance
from harness.gate.runs import GateRuns, place_of
from harness.judge.judge import Judgement
from harness.machine.environment import combine, machine
from harness.model import Aim, Budget, Record, Request, Revision, Run, Side, StoredRun
from harness.model.messages import Sources
from harness.model.rules import Rules
from harness.model.suite import Registry
from harness.model.whole_model import WholeModel
from harness.runner.nursery import Nursery
from harness.runner.packages import package_of
from harness.runner.plan import metrics_of, models_of
from harness.runner.pool import WorkerPool
from harness.runner.schedule import ORDER
from harness.store.places import new_name

BUDGET = Budget(rounds=0, seconds=1.0)
"""Seconds that both sides of a case are timed in one round, and the length of a sample."""


@dataclass(frozen=True)
class GateResult:
    """What a gate has found, and where it lies."""

    directory: Path | None
    """None for runs that lie elsewhere."""
    runs: tuple[Path, Path]
    """Where base and head lie."""
    base: StoredRun
    head: StoredRun
    judgement: Judgement
    notes: tuple[str, ...]
    """What is the same on both sides, and what differs besides the code."""
    rounds: int = 0
    seconds: float = 0.0
    """Wall time of the measurement. Neither is known of runs that were measured earlier."""


def hold(
    gate_with: Callable[[Mapping[Side, Sequence[Record]]], LiveGate],
    runs: Mapping[Side, Run],
    directory: Path | None,
    watcher: GateWatcher,
    *,
    resume: bool,
    began: float,
    conclude: Callable[[Judgement], None] = lambda _: None,
) -> GateResult:
    """Hold a gate whose runs are written to `base` and `head` in the directory; `began` is on the monotonic clock.

    `gate_with` makes it, given the records that were there already. `conclude` sees the judgement, and raises where it
    says nothing. Raises as `LiveGate.run` and `GateRuns`.
    """
    place = place_of(directory, runs["head"].pair)
    with GateRuns(place, runs, resume) as both:
        gate = gate_with(both.earlier)
        try:
            judgement = gate.run(watcher, both.keep)
        except KeyboardInterrupt as stop:
            go_on = "judge it by `bitbench gate {0}/base {0}/head`"
            if not runs["head"].revision.dirty:
                go_on = "go on by the same command with --resume --out {0}"
            stop.add_note(f"interrupted: what was measured is in {place}; {go_on.format(place)}")
            raise
        conclude(judgement)
    names = [case_pair.case.name for case_pair in gate.case_pairs]
    doubt = resolution.doubt(resolution.load(runs["head"].environment), names, gate.rules)
    where, seconds = (place / "base", place / "head"), time.monotonic() - began
    base, head = map(store.load, where)
    return GateResult(place, where, base, head, judgement, (doubt,) if doubt else (), gate.reached, seconds)


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
    began: float = field(default_factory=time.monotonic)
    """When the request's budget began to run: what workers take to start counts."""

    def of_checkouts(self, checkouts: Checkouts, directory: Path | None, watcher: GateWatcher) -> GateResult:
        """Gate two checkouts of a repository.

        Raises UsageError when base cannot be measured at all or a side is not its own code, BrokenHeadError when head
        cannot be measured, NothingMeasuredError when no case is left or none is of the checkouts, StoreError when the
        runs cannot be written.
        """
        sides: dict[Side, Checkout] = {"base": checkouts.base, "head": checkouts.head}
        pools: dict[Side, WorkerPool] = {}
        nursery = Nursery()
        try:
            for side, checkout in sides.items():
                folders, current = checkout.folders(checkouts.below), checkout.current(checkouts.below)
                repository = str(checkouts.repository)
                pools[side] = self._start(side, Sources(folders, repository, current, self._declaration), nursery)
            revisions = {side: checkout.revision for side, checkout in sides.items()}
            provenance = Provenance(checkouts)
            outcome = self.of_staffs(pools, revisions, directory, watcher, provenance)
        finally:
            for pool in pools.values():
                pool.close()
            nursery.close()
        return replace(outcome, notes=(*provenance.notes(), *outcome.notes))

    @property
    def _declaration(self) -> str:
        """The file of suites that are not the project's own: one for both sides, that of the working tree mostly."""
        return self.registry.file if package_of(self.registry) else ""

    def _start(self, side: Side, sources: Sources, nursery: Nursery) -> WorkerPool:
        try:
            return WorkerPool(self.registry, self.request.memory_limit, sources, shuffle=True, nursery=nursery)
        except InvalidEnvironmentError as error:
            raise broken(side, str(error)) from error

    def of_staffs(
        self,
        pools: Mapping[Side, WorkerPool],
        revisions: Mapping[Side, Revision],
        directory: Path | None,
        watcher: GateWatcher,
        provenance: Provenance | None = None,
    ) -> GateResult:
        """Gate the cases of two pools; their runs are written to `base` and `head` in the directory.

        `provenance` watches over where their code comes from.
        """
        models = pools["head"].models(*models_of(self.request, self.registry))
        descriptions = {side: pools[side].description for side in SIDES}
        case_pairs = plan_case_pairs(self.registry, self.request, descriptions, models)
        controller = PairedController(
            lambda side: pools[side].start(),
            self.budget,
            self.request.case_limit,
            self.request.seed,
            after_duel=provenance.after_duel if provenance else None,
        )
        if provenance:
            provenance.expect(case_pairs)
        budget = self.request.budget
        deadline = self.began + budget if budget else math.inf
        return hold(
            lambda earlier: LiveGate(case_pairs, controller, self.rules, self.metrics, deadline, earlier=earlier),
            self._headers(pools, revisions, case_pairs, models),
            directory,
            watcher,
            resume=self.resume,
            began=self.began,
            conclude=lambda judgement: (
                provenance.conclude(case_pairs, judgement, pools, self.request.case_limit) if provenance else None
            ),
        )

    def _headers(
        self,
        pools: Mapping[Side, WorkerPool],
        revisions: Mapping[Side, Revision],
        case_pairs: Sequence[CasePair],
        models: tuple[WholeModel, ...],
    ) -> dict[Side, Run]:
        started = datetime.now(UTC)
        name = new_name(started, "gate", revisions["head"])
        here = combine(machine(), pools["base"].description.environment)
        rounds = self.rules.looks[-1]
        metrics = metrics_of(contest for case_pair in case_pairs for contest in case_pair.contests.values())
        return {
            side: Run(
                id=f"{name}-{side}",
                started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
                request=self.request,
                order=ORDER,
                rules=declared(self.rules),
                aims={suite: Aim(rounds=rounds) for suite in (*self.request.suites, *self.registry.sentinels)},
                metrics=metrics,
                models=models,
                environment=here,
                revision=revisions[side],
                argv=tuple(self.argv),
                pair=name,
                side=side,
            )
            for side in SIDES
        }
