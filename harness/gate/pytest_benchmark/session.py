"""One gate of a project's tests, from its two checkouts to one judgement."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness.analysis.convergence import declared
from harness.errors import NothingMeasuredError, UsageError
from harness.gate.checkouts import Checkout, Checkouts
from harness.gate.live import GateWatcher, LiveGate
from harness.gate.pair_controller import SIDES, CasePair
from harness.gate.pytest_benchmark.loaded_code import LoadedCode
from harness.gate.pytest_benchmark.project import Command, Project
from harness.gate.pytest_benchmark.side import SideProcess
from harness.gate.pytest_benchmark.taken import FAILURES, case_of
from harness.gate.pytest_benchmark.turns import TurnController
from harness.gate.pytest_benchmark.wire import Collected
from harness.gate.session import BUDGET, GateResult, hold
from harness.machine.environment import machine
from harness.model import Aim, Request, Run, Side
from harness.model.metrics import LATENCY
from harness.model.rules import Rules
from harness.model.suite import Suite
from harness.runner.plan import Contest
from harness.store.places import new_name

ORDER = "tests in pytest's order; in blocks, each of one visit by either side, whose order alternates"
JUDGED = frozenset({LATENCY.name})


@dataclass(frozen=True)
class TestGate:
    """A gate that is to be held."""

    __test__ = False

    project: Project
    request: Request
    """Of its fields budget, case_limit and seed count."""
    rules: Rules
    argv: Sequence[str] = ()
    resume: bool = False
    """Go on with what is in the directory."""
    began: float = field(default_factory=time.monotonic)

    def of_checkouts(self, checkouts: Checkouts, directory: Path | None, watcher: GateWatcher) -> GateResult:
        """Gate two checkouts of a repository.

        Raises UsageError for paths that neither side has, for a base that pytest cannot collect and for a side that is
        not its own code, BrokenHeadError for a head that it cannot collect, NothingMeasuredError where no test uses the
        fixture `benchmark`, StoreError when the runs cannot be written.
        """
        commands = {
            side: command
            for side, checkout in _sides(checkouts).items()
            if (command := Command.of(self.project, checkout, checkouts.below))
        }
        if not commands:
            raise UsageError(f"--pytest {' '.join(self.project.paths)}: neither revision has it; give a file or folder")
        loaded = LoadedCode(checkouts)
        controller = TurnController(
            lambda side, seed: SideProcess(commands[side], seed),
            tuple(commands),
            BUDGET,
            self.request.case_limit,
            self.request.seed,
            loaded.take_in,
        )
        try:
            collected = controller.collect()
            case_pairs = list(_case_pairs(collected))
            if not case_pairs:
                raise NothingMeasuredError(_why_none(self.project, collected))
            deadline = self.began + self.request.budget if self.request.budget else math.inf
            outcome = hold(
                lambda earlier: LiveGate(case_pairs, controller, self.rules, JUDGED, deadline, earlier=earlier),
                self._headers(checkouts, collected, case_pairs),
                directory,
                watcher,
                resume=self.resume,
                began=self.began,
            )
        finally:
            controller.close()
        notes = (*loaded.notes(), *_pythons(collected))
        return replace(outcome, notes=(*notes, *outcome.notes))

    def _headers(
        self, checkouts: Checkouts, collected: Mapping[Side, Collected], case_pairs: Sequence[CasePair]
    ) -> dict[Side, Run]:
        started = datetime.now(UTC)
        name = new_name(started, "gate", checkouts.head.revision)
        suites = tuple(dict.fromkeys(case_pair.case.suite for case_pair in case_pairs))
        request = msgspec.structs.replace(self.request, suites=suites, keyword=self.project.keyword)
        here = machine()
        return {
            side: Run(
                id=f"{name}-{side}",
                started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
                request=request,
                order=ORDER,
                rules=declared(self.rules),
                aims={suite: Aim(rounds=self.rules.looks[-1]) for suite in suites},
                metrics=(LATENCY, FAILURES),
                environment=msgspec.structs.replace(here, python=collected[side].python) if side in collected else here,
                revision=checkout.revision,
                argv=tuple(self.argv),
                pair=name,
                side=side,
            )
            for side, checkout in _sides(checkouts).items()
        }


def _sides(checkouts: Checkouts) -> dict[Side, Checkout]:
    return {"base": checkouts.base, "head": checkouts.head}


def _case_pairs(collected: Mapping[Side, Collected]) -> Iterator[CasePair]:
    """Every test of either side, in the order of head; a side that could not collect a test's file has it all the same,
    and fails it.
    """
    newest_first = [collected[side] for side in reversed(SIDES) if side in collected]
    for test in dict.fromkeys(test for found in newest_first for test in found.tests):
        case = case_of(test)
        contest = Contest(_suite(case.suite), (case,), {}, {LATENCY.name: LATENCY}, Aim(), 0)
        yield CasePair(case, {side: contest for side in SIDES if side in collected and _knows(collected[side], test)})


def _knows(found: Collected, test: str) -> bool:
    return test in found.tests or any(test.startswith(place) for place in found.broken)


def _suite(path: str) -> Suite:
    """A file of tests, as what its tests belong to."""
    return Suite(path, "", (), (LATENCY.name,), BUDGET, "", resolve=dict, facts=lambda _: {})


def _why_none(project: Project, collected: Mapping[Side, Collected]) -> str:
    where = " ".join(project.paths)
    for place, reason in (one for found in collected.values() for one in found.broken.items()):
        return f"neither revision has a test in {where} that can be collected; {place}: {reason}"
    chosen = f" and is chosen by -k {project.keyword!r}" if project.keyword else ""
    return f"no test in {where} uses the fixture `benchmark`{chosen}: give a file or folder with one that does"


def _pythons(collected: Mapping[Side, Collected]) -> tuple[str, ...]:
    versions = {side: found.python for side, found in collected.items()}
    if len(set(versions.values())) < 2:
        return ()
    return (f"base ran by Python {versions['base']} and head by {versions['head']}, so more than the code differs",)
