"""Gates of the same code on both sides, or of a known slowdown on one: what the gate's own word is worth."""

import math
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from harness.analysis.proportion import Share
from harness.gate.live import GateWatcher
from harness.gate.pair_controller import SIDES
from harness.gate.session import BUDGET, GateResult, Session
from harness.judge.policy import exit_code
from harness.judge.verdict import Verdict, Word
from harness.machine.revision import revision
from harness.model import Budget, Count, Request, Side
from harness.model.injection import VARIABLE, Injection
from harness.model.metrics import judged
from harness.model.rules import Rules
from harness.model.suite import Registry
from harness.runner.nursery import Nursery
from harness.runner.pool import WorkerPool
from harness.runner.session import opened

MODULE = "suites.special.injected"
"""The package of suites whose contestants can be slowed down."""
SUITE = "gate"


class TrialRow(msgspec.Struct, frozen=True):
    """What became of one case, or of the geometric mean."""

    word: Word
    log_ratios: tuple[float, ...]
    """One a round, in order."""
    seconds: float = 0.0
    """Of one call, before."""


class TrialGate(msgspec.Struct, frozen=True):
    """One gate."""

    injection: str
    """What was put into head, or into base where its share is below 0; empty for the same code."""
    code: int
    """The exit code under `release`."""
    rounds: Count
    seconds: float
    """Wall time, from the first worker to the verdict."""
    cases: dict[str, TrialRow]
    mean: TrialRow | None
    sentinels: dict[str, TrialRow]
    invalid: str = ""
    """The sentinel that moved, so that no latency says anything; empty where none has."""

    @property
    def put_in(self) -> Injection | None:
        """The injection, if there was one."""
        return Injection.parse(self.injection)

    @property
    def target(self) -> TrialRow | None:
        """What became of the one case that an injection was for; None where there was none, or it was for all."""
        return self.cases.get(self.put_in.match) if self.put_in else None

    @property
    def false_reds(self) -> list[str]:
        """Names of the cases that are red and were not slowed down."""
        put_in = self.put_in
        if put_in and not put_in.match:
            return []
        return [name for name in self.reds if not put_in or name != put_in.match]

    @property
    def reds(self) -> list[str]:
        """Names of the cases that are red."""
        return [name for name, row in self.cases.items() if row.word == "regressed"]

    @property
    def is_found(self) -> bool:
        """Whether the slowdown that was put in is red: in its case, or of all cases in any or in their mean."""
        if self.target:
            return self.target.word == "regressed"
        return bool(self.reds) or (self.mean is not None and self.mean.word == "regressed")

    @property
    def is_missed(self) -> bool:
        """Whether the case that was slowed down is called ok."""
        return self.target is not None and self.target.word in ("ok", "improved")


def hold(
    request: Request,
    rules: Rules,
    injection: Injection | None,
    watcher: GateWatcher,
    budget: Budget = BUDGET,
    directory: Path | None = None,
) -> TrialGate:
    """One gate of the code as it is against itself, with `injection` in head; in base where it is to be faster.

    The other side has one of nothing, so that what it costs to inject at all is on both. The runs are kept in
    `directory`, if that is given.
    """
    registry = Registry.load(MODULE)
    side: Side = "base" if injection and injection.share < 0 else "head"
    session = Session(registry, request, rules, judged(registry.metrics), budget=budget)
    slower = injection and Injection(injection.kind, _slower(injection.share), injection.match)
    pools: dict[Side, WorkerPool] = {}
    nursery = Nursery()
    with tempfile.TemporaryDirectory(prefix="bitbench-selftest-") as folder:
        try:
            for one in SIDES:
                put_in = slower if slower is None or one == side else replace(slower, share=0.0)
                environment = {VARIABLE: str(put_in)} if put_in else {}
                pools[one] = WorkerPool(
                    registry, request.memory_limit, shuffle=True, environment=environment, nursery=nursery
                )
            code = revision()
            place = directory or Path(folder, "gate")
            outcome = session.of_staffs(pools, dict.fromkeys(SIDES, code), place, watcher)
        finally:
            for pool in pools.values():
                pool.close()
            nursery.close()
    return _trial(outcome, str(injection or ""))


def cases_of(request: Request) -> list[str]:
    """Names of the cases of a gate, without its sentinels. Raises as `session.opened` does."""
    with opened(Registry.load(MODULE), request) as session:
        unavailable = session.pool.description.unavailable
        cases = [case for contest in session.contests for case in contest.cases]
        return [case.name for case in cases if case.implementation not in unavailable]


def _slower(share: float) -> float:
    """The slowdown of base that makes head faster by a share that is below 0."""
    return share if share > 0 else 1 / (1 + share) - 1


def _trial(outcome: GateResult, injection: str) -> TrialGate:
    judgement = outcome.judgement
    mean = judgement.geometric_mean
    return TrialGate(
        injection,
        exit_code(judgement, "release"),
        outcome.rounds,
        outcome.seconds,
        {one.case.name: _row(one) for one in judgement.verdicts if one and one.metric == "latency"},
        _row(mean) if mean else None,
        {one.case.name: _row(one) for one in judgement.sentinels},
        judgement.moved.case.name if judgement.moved else "",
    )


def _row(verdict: Verdict) -> TrialRow:
    seconds = verdict.comparison.baseline.centre if verdict.comparison else 0.0
    return TrialRow(verdict.word, tuple(verdict.log_ratios[number] for number in sorted(verdict.log_ratios)), seconds)


def round_noise(rows: Iterable[TrialRow]) -> float:
    """The standard deviation of a round's log ratio about the mean of its gate, pooled; NaN without two rounds."""
    squares, freedom = 0.0, 0
    for row in rows:
        if len(row.log_ratios) > 1:
            squares += statistics.variance(row.log_ratios) * (len(row.log_ratios) - 1)
            freedom += len(row.log_ratios) - 1
    return math.sqrt(squares / freedom) if freedom else math.nan


def by_case(trials: Sequence[TrialGate]) -> dict[str, list[TrialRow]]:
    """The rows of each case over all trials, in the order of the first."""
    names = dict.fromkeys(name for trial in trials for name in trial.cases)
    return {name: [trial.cases[name] for trial in trials if name in trial.cases] for name in names}


def share(trials: Iterable[TrialGate], is_hit: Callable[[TrialGate], bool]) -> Share:
    """Of how many trials something is so."""
    hits = [is_hit(trial) for trial in trials]
    return Share.count(sum(hits), len(hits))
