"""Tests of two revisions turn by turn: a process a side and round, and each test visited by both in blocks."""

import random
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import suppress

from harness.gate.live import broken
from harness.gate.pair_controller import CasePair
from harness.gate.pytest_benchmark.side import SideProcess
from harness.gate.pytest_benchmark.taken import Taken, node_id
from harness.gate.pytest_benchmark.wire import Collected
from harness.machine.noise import NoiseMonitor
from harness.model import Budget, Case, Record, Side
from harness.runner.process import WorkerLostError
from harness.runner.record_builder import RoundNoise

MOST_BLOCKS = 16
FEW_BLOCKS = 3
"""Of which the one in the middle can be told; taken if a block fits into the time of a round at all."""
CANARY = 20_000
"""Turns of the canary's loop, about half a millisecond."""
OF_A_PROCESS = ("involuntary_switches", "page_faults")
"""Noise that tells of the process that looks, which here is not the one that is timed."""

Learn = Callable[[Side, Mapping[str, str]], None]
"""(side, modules with their files) -> nothing; it raises where they are not the side's own."""


class TurnController:
    """Measures rounds of tests. Each round has a fresh process a side; while one runs a test the other is stopped.

    Both collect at the same time. Then test by test, in pytest's order: a block visits it on both sides, in random
    order, and the next block in the other one, so that a drift falls on both alike.
    """

    def __init__(
        self,
        start: Callable[[Side, int], SideProcess],
        sides: Collection[Side],
        budget: Budget,
        case_limit: float,
        seed: int,
        learn: Learn,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`start` takes a side and a seed of hashes; `sides` are those that have tests at all."""
        self._start, self._sides, self._budget, self._limit = start, sides, budget, case_limit
        self._seed, self._learn, self._now = seed, learn, now
        self._processes: dict[Side, SideProcess] = {}
        self._collecting: set[Side] = set()
        """Sides whose answer is still to be read."""
        self._blocks: dict[Case, int] = {}
        """How many a round has; found by a trial when the case is first met, and kept for all its rounds."""
        self._monitor = NoiseMonitor()

    def collect(self) -> dict[Side, Collected]:
        """The tests of both sides. The processes are those of the first round.

        Raises BrokenHeadError or UsageError where pytest does not come so far, and as `Learn`.
        """
        for side in self._sides:
            self._begin(side, 0)
        found = {}
        for side in self._sides:
            try:
                found[side] = self._collected(side)
            except WorkerLostError as lost:
                raise broken(side, lost.reason) from lost
        return found

    def round(self, number: int, case_pairs: Sequence[CasePair]) -> Generator[dict[Side, Record], None, None]:
        """The records of each case pair in round `number`, in the order given."""
        if not case_pairs:
            return
        rng = random.Random(f"{self._seed}/{number}")
        try:
            for side in self._sides:
                with suppress(WorkerLostError):  # it is lost again by the first test that needs it
                    self._begin(side, number)
            for side in self._sides:  # all of them, before one is stopped while the other runs a test
                with suppress(WorkerLostError):
                    self._ready(side, number)
            for case_pair in case_pairs:
                yield self._duel(case_pair, number, rng)
        finally:
            self.close()

    def close(self) -> None:
        """Let both sides leave. Safe to call twice."""
        for process in self._processes.values():
            process.leave()
        for process in self._processes.values():
            process.wait()
        self._processes = {}
        self._collecting.clear()

    def _duel(self, case_pair: CasePair, number: int, rng: random.Random) -> dict[Side, Record]:
        began, case, noise = self._now(), case_pair.case, RoundNoise()
        taken = self._nothing_taken(case_pair)
        order = rng.sample(tuple(taken), len(taken))
        if case not in self._blocks:
            self._block(order, case, number, taken, 0)
            self._blocks[case] = self._affordable(self._now() - began)
            if _all_measured(taken):  # the trial has warmed both up, and counts for nothing else
                taken = self._nothing_taken(case_pair)
        if _all_measured(taken):
            noise.take_in(self._observed())
        for block in range(self._blocks[case]):
            if not _all_measured(taken):
                break
            self._block(order, case, number, taken, block)
            noise.take_in(self._observed())
            order.reverse()
        seconds = self._now() - began
        passed = "base" in taken and taken["base"].is_measured
        return {
            side: one.record(case, number, noise, seconds, is_regression=side == "head" and passed)
            for side, one in taken.items()
        }

    def _nothing_taken(self, case_pair: CasePair) -> dict[Side, Taken]:
        return {side: Taken(self._budget.sample) for side in case_pair.contests}

    def _affordable(self, seconds: float) -> int:
        """Blocks of a round, if one takes so long."""
        fitting = int(self._budget.seconds / max(seconds, 1e-9))
        return min(max(fitting, FEW_BLOCKS), MOST_BLOCKS) if fitting else 1

    def _block(self, order: Sequence[Side], case: Case, number: int, taken: Mapping[Side, Taken], block: int) -> None:
        for side in order:
            for other in self._processes.keys() - {side}:
                self._processes[other].rest()
            try:
                process = self._ready(side, number)
                visited = process.visit(node_id(case), self._limit)
                self._learn(side, visited.modules)
                taken[side].take_in(visited, block)
            except WorkerLostError as lost:
                self._processes.pop(side, None)
                taken[side].end(lost.outcome, lost.reason)

    def _begin(self, side: Side, number: int) -> None:
        """Have a process collect, if there is none: both sides do at the same time."""
        if side not in self._processes:
            seed = random.Random(f"{self._seed}/{number}/hashes").randrange(1, 2**32)
            process = self._start(side, seed)
            process.collect()
            self._processes[side] = process
            self._collecting.add(side)

    def _ready(self, side: Side, number: int) -> SideProcess:
        """A process that has collected."""
        self._begin(side, number)
        if side in self._collecting:
            self._collected(side)
        return self._processes[side]

    def _collected(self, side: Side) -> Collected:
        self._collecting.discard(side)
        try:
            found = self._processes[side].collected()
        except WorkerLostError:
            del self._processes[side]
            raise
        self._learn(side, found.modules)
        return found

    def _observed(self) -> dict[str, float]:
        """What happened to the machine since the last time, and the canary: a loop that always does the same."""
        noise = {name: value for name, value in self._monitor.look().items() if name not in OF_A_PROCESS}
        for _ in range(2):  # the first one wakes the core up
            began = time.perf_counter()
            for _ in range(CANARY):
                pass
            noise["canary"] = time.perf_counter() - began
        return noise


def _all_measured(taken: Mapping[Side, Taken]) -> bool:
    return all(one.is_measured for one in taken.values())
