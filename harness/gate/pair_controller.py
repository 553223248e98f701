"""The controller of a live gate: two workers, one of either revision, turn by turn. Imports no torch."""

import random
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from harness.model import Budget, Case, Record, Side
from harness.model.messages import Memory, Prepare
from harness.runner.case_round import CaseRound, time_in_turns
from harness.runner.plan import Contest
from harness.runner.record_builder import RoundNoise
from harness.runner.schedule import Loop
from harness.runner.worker_link import CaseEndedError, Worker, WorkerLink

SIDES: tuple[Side, ...] = ("base", "head")


@dataclass(frozen=True)
class CasePair:
    """One case on both sides; a side that has no such case is left out."""

    case: Case
    contests: Mapping[Side, Contest]

    @property
    def is_timed(self) -> bool:
        """Whether more than one round of it makes sense."""
        judged = [
            any(metric.repeats and not metric.informative for metric in contest.metrics.values())
            for contest in self.contests.values()
        ]
        return len(judged) == 2 and all(judged)


Inquiry: TypeAlias = Callable[[int, CasePair, Side, Worker], object]
"""(number of the round, case pair, side, worker)"""


class PairedController:
    """Measures rounds of case pairs. A round is a fresh pair of workers.

    They build at the same time, which halves most of what is not timing; while one computes the other rests.
    """

    def __init__(
        self,
        start: Callable[[Side], Worker],
        budget: Budget,
        case_limit: float,
        seed: int,
        now: Callable[[], float] = time.perf_counter,
        after_duel: Inquiry | None = None,
    ) -> None:
        """`after_duel` sees the workers that are left when a case pair is over, before its records are told."""
        self.after_duel = after_duel
        self.budget = budget
        self.seed = seed
        self.now = now
        self._loops: dict[Case, Loop] = {}
        self._links: dict[Side, WorkerLink] = {side: WorkerLink(partial(start, side), case_limit) for side in SIDES}
        for side, link in self._links.items():
            link.rivals = [other for name, other in self._links.items() if name != side]

    def round(self, number: int, case_pairs: Sequence[CasePair]) -> Generator[dict[Side, Record], None, None]:
        """The records of each case pair in round `number`, in random order. Without case pairs no worker is started."""
        if not case_pairs:
            return
        order = list(case_pairs)
        rng = random.Random(f"{self.seed}/{number}")
        rng.shuffle(order)
        try:
            for side in rng.sample(SIDES, 2):
                self._links[side].open()  # both at once: they import at the same time
            for case_pair in order:
                records = self._duel(case_pair, number, rng)
                for side in case_pair.contests:
                    worker = self._links[side].worker
                    if self.after_duel is not None and worker is not None:
                        self.after_duel(number, case_pair, side, worker)
                yield records
        finally:
            for link in self._links.values():
                link.dismiss()

    def _duel(self, case_pair: CasePair, number: int, rng: random.Random) -> dict[Side, Record]:
        """The case pair's records."""
        rounds = {
            side: CaseRound(self._links[side], contest, case_pair.case, number, self._loops, self.now)
            for side, contest in case_pair.contests.items()
        }
        for side in rounds:
            self._links[side].release()
        self._prepare(rng.sample(tuple(rounds.values()), len(rounds)))
        noise = self._time(rounds.values(), rng)
        return {side: one.record(noise) for side, one in rounds.items()}

    def _prepare(self, rounds: Collection[CaseRound]) -> None:
        """As `CaseRound.prepare`, stage by stage. A side that comes to its end is left out from then on."""
        _at_once(rounds, CaseRound.building)
        _one_by_one(rounds, lambda one: one.ask(one.checking()))
        _at_once(rounds, CaseRound.counting)
        _one_by_one(rounds, lambda one: one.calibrate(self.budget.sample))

    def _time(self, rounds: Collection[CaseRound], rng: random.Random) -> RoundNoise:
        """Both sides in turns. One that is alone, or is left alone by the other's end, is timed by itself: it shows
        that there is something to compare.
        """
        while (left := _left(rounds)) and all(one.is_timed for one in left):
            with suppress(CaseEndedError):
                return time_in_turns(left, self.budget, rng, self.now)
        return RoundNoise()


def _at_once(rounds: Collection[CaseRound], request: Callable[[CaseRound], Prepare | Memory | None]) -> None:
    """Put a request to every side that is left, and then take the replies: nobody waits for the other."""
    asked: list[CaseRound] = []
    for one in _left(rounds):
        put = request(one)
        if put is not None:
            with suppress(CaseEndedError):
                one.put(put)
                asked.append(one)
    for one in asked:
        with suppress(CaseEndedError):
            one.take_reply()


def _one_by_one(rounds: Collection[CaseRound], step: Callable[[CaseRound], object]) -> None:
    """A step that computes on all cores: two at once would wait for each other's threads."""
    for one in _left(rounds):
        with suppress(CaseEndedError):
            step(one)


def _left(rounds: Collection[CaseRound]) -> list[CaseRound]:
    return [one for one in rounds if one.ended is None]
