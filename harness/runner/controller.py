"""The controller: decides what is measured next, and turns answers into records. Imports no torch, writes no file."""

import itertools
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from harness.analysis.convergence import undecided
from harness.analysis.results import results
from harness.estimators.looks import looks
from harness.model import Case, Ceilings, Record, Request
from harness.model.ceilings import from_answer, matching, merge
from harness.model.messages import MeasureCeilings
from harness.model.record import late
from harness.runner.case_round import CaseRound, time_in_turns
from harness.runner.plan import Contest
from harness.runner.probe import Prober
from harness.runner.record_builder import RoundNoise
from harness.runner.schedule import Loop, Visit
from harness.runner.time_limit import TimeLimit
from harness.runner.worker_link import CaseEndedError, Worker, WorkerLink

CONFIRMATIONS = 5
"""How often ceilings and the case are measured in turns before a call is too fast for the machine."""
AGAIN = 10
"""Samples of the case in each of these turns."""
NOT_CONFIRMED = (
    "faster than the ceilings allow, and not confirmed by measuring both in turns: neighbours were busy when the"
    " ceilings were measured, so that shares of them are too high"
)


class Progress(Protocol):
    """Who watches a run."""

    def began(self, contest: Contest, number: int, left: int) -> None:
        """A contest begins in round `number`; `left` turns of contests are still to come at most, this one included."""

    def prepared(self, case: Case, values: dict[str, tuple[float, ...]]) -> None:
        """A case is ready to be timed; these are its values so far, `latency` a first estimate."""


class Controller:
    """Runs contests round by round. A round is a fresh worker, so that luck of layout becomes visible noise."""

    def __init__(
        self,
        contests: Sequence[Contest],
        request: Request,
        start: Callable[[], Worker],
        now: Callable[[], float] = time.perf_counter,
        ceilings: Sequence[Ceilings] = (),
        begun: Mapping[str, int] | None = None,
    ) -> None:
        self.contests = contests
        self.ceilings = list(ceilings)
        self.request = request
        self.now = now
        self.made: dict[Case, list[Record]] = {}
        self._begun = begun or {}  # rounds that contests had had when the run was extended: nothing is added to them
        self._late: set[Case] = set()
        self._loops: dict[Case, Loop] = {}
        self._link = WorkerLink(start, request.case_limit)
        self._prober = Prober(start, request.case_limit)

    def continue_from(self, records: Sequence[Record]) -> None:
        """Take these records as made, but for those that say that there was no time: there is time again."""
        for record in records:
            if record.late:
                self._late.add(record.case)
            else:
                self._note(record)

    def left(self, contest: Contest) -> dict[int, list[Case]]:
        """What of `contest` is still to be measured at most, by round: as if no look at what comes ended anything."""
        made = max((r.round + 1 for case in contest.cases for r in self.made.get(case, ())), default=0)
        turns = {number: self._waiting(contest, number, min(number, made)) for number in range(contest.aim.rounds)}
        return {number: cases for number, cases in turns.items() if cases}

    def records(self, progress: Progress) -> Iterator[Record]:
        """Every record still to be made, as it is made."""
        return itertools.chain.from_iterable(self.batches(progress))

    def batches(self, progress: Progress) -> Iterator[Sequence[Record]]:
        """The same, those together that come to be together: the cases of one contest in one round."""
        self._limit = TimeLimit(self.request, self.contests, self.now)  # from now on, and not from when all was planned
        left, begun = list(self.contests), True
        try:
            while left and begun:
                yield from self._pass(left, progress)
                begun = any(self._limit.has_begun(contest) for contest in left)
                left = [contest for contest in left if not self._limit.has_begun(contest)]
                self._limit.next_pass()
            for contest in left:
                yield from self._unmeasured(contest)
        finally:
            self._link.dismiss()
            self._prober.close()

    def _pass(self, contests: Sequence[Contest], progress: Progress) -> Iterator[Sequence[Record]]:
        """The rounds of those `contests` that there is time for, in order; the rest waits for the next pass."""
        turning = list(contests)
        for number in range(max(contest.aim.rounds for contest in contests)):
            turns = [contest for contest in self._order(turning, number) if self._waiting(contest, number)]
            later = sum(contest.aim.rounds - number - 1 for contest in turns)
            for index, contest in enumerate(turns):
                if not self._limit.has_time_for(contest):
                    turning.remove(contest)
                    continue
                progress.began(contest, number, len(turns) - index + later)
                for batch in self._contest(contest, number, progress):
                    for record in batch:
                        self._note(record)
                    yield batch
            self._link.dismiss()
            self._prober.close()

    def _note(self, record: Record) -> None:
        self.made.setdefault(record.case, []).append(record)
        for measurement in record.measurements:
            if measurement.metric == "latency":
                count = measurement.iterations
                self._loops[record.case] = Loop(count, statistics.median(measurement.values) * count)

    def _order(self, all_contests: Sequence[Contest], number: int) -> list[Contest]:
        """As declared in the first round, so that a reader sees an orderly table grow; at random in later ones."""
        contests = [contest for contest in all_contests if number < contest.aim.rounds]
        if number:
            random.Random(f"{self.request.seed}/{number}").shuffle(contests)
        return contests

    def _unmeasured(self, contest: Contest) -> Iterator[list[Record]]:
        """Cases that the limit left without any record must be seen to be missing."""
        missing = [case for case in contest.cases if case not in self.made and case not in self._late]
        yield [late(case, self._limit.seconds, contest.facts_of(case)) for case in missing]

    def _waiting(self, contest: Contest, number: int, seen: int | None = None) -> list[Case]:
        """The cases to be measured in a round: not done, not ended, and not found precise enough at the last look, or
        at the last one after at most `seen` rounds.
        """
        open_cases = self._undecided(contest, number if seen is None else seen)
        return [case for case in contest.cases if case in open_cases and not self._is_done(case, number)]

    def _is_done(self, case: Case, number: int) -> bool:
        """Also in a round that its contest had had before the run was extended: without its rivals it is not timed."""
        records = self.made.get(case, ())
        if records and number < self._begun.get(case.contest, 0):
            return True
        return any(record.round == number or record.outcome != "measured" for record in records)

    def _undecided(self, contest: Contest, number: int) -> set[Case]:
        past = [look for look in looks(contest.aim.rounds) if look <= number]
        if not contest.aim.precision or not past:
            return set(contest.cases)
        seen = [r for case in contest.cases for r in self.made.get(case, ()) if r.round < past[-1]]
        return undecided(results(seen, {contest.suite.name: contest.aim}).values())

    def _contest(self, contest: Contest, number: int, progress: Progress) -> Iterator[list[Record]]:
        """One contest in one round. A case that ends early is left out, and costs the others at most a new start."""
        waiting, begun = self._waiting(contest, number), self.now()
        while waiting:
            for batch in self._attempt(contest, waiting, number, progress):
                told = {record.case for record in batch}
                waiting = [case for case in waiting if case not in told]
                yield batch
        self._limit.spent(contest, number, self.now() - begun)

    def _attempt(
        self, contest: Contest, cases: Sequence[Case], number: int, progress: Progress
    ) -> Iterator[list[Record]]:
        """The records of the cases that come to an end, and those of all others if they could be timed together."""
        self._link.release()
        ready: list[CaseRound] = []
        for case in cases:
            if self._limit.leaves_out and case not in self.made:
                yield [late(case, self._limit.seconds, contest.facts_of(case))]
                continue
            one = CaseRound(self._link, contest, case, number, self._loops, self.now)
            with suppress(CaseEndedError):
                self._prepare(one, progress)
                ready.append(one)
            if one.ended:
                yield [one.ended]
            if self._link.worker is None:
                return  # what was prepared went with the worker
        noise = RoundNoise()
        with suppress(CaseEndedError):
            if ready and "latency" in contest.metrics:
                rng = random.Random(f"{self.request.seed}/{number}/{contest.seed}")
                noise = time_in_turns(ready, contest.suite.budget, rng, self.now)
        timed_by = self._link.worker
        ended = [one.ended for one in ready if one.ended]
        yield ended or [self._finished(one, noise, timed_by) for one in ready]

    def _prepare(self, one: CaseRound, progress: Progress) -> None:
        """All that comes before timing. Raises CaseEndedError."""
        with one.bearing():
            self._prober.require_fit(one.builder)
            one.build()
            self._limit.built(one.builder)
            with self._prober.beside(one.builder):
                one.check()
            one.calibrate(one.builder.contest.suite.budget.sample)
            progress.prepared(one.case, one.known())

    def _finished(self, one: CaseRound, noise: RoundNoise, timed_by: Worker | None) -> Record:
        """What was measured, unless the machine cannot be that fast."""
        with suppress(CaseEndedError), one.bearing():
            self._require_possible(one, timed_by)
        return one.record(noise)

    def _require_possible(self, one: CaseRound, timed_by: Worker | None) -> None:
        """Raise CaseEndedError for a latency below what the ceilings allow, if it is so whenever both are measured.

        Neighbours that were busy while the ceilings were measured, and quiet while the case was, make an honest call
        too fast. Measured in turns, both have the same neighbours. The ceilings may turn out to be higher; else, the
        case may take longer now, and what it took before keeps a warning.
        """
        ceilings, timing = matching(one.case, self.ceilings), one.builder.timing
        if ceilings is None or timing is None or not one.builder.too_fast(ceilings, timing.values):
            return
        if self._link.worker is not timed_by:  # which was lost in a turn of another case
            one.exchange(one.building())
        for _ in range(CONFIRMATIONS):
            ceilings = self._higher(ceilings, one)
            told = one.builder.too_fast(ceilings, timing.values)
            if not told:
                return
            if not one.builder.too_fast(ceilings, one.take(Visit(one.loop.iterations, AGAIN, 1))):
                one.builder.warnings[NOT_CONFIRMED] = None
                return
        raise CaseEndedError("failed", told)

    def _higher(self, known: Ceilings, one: CaseRound) -> Ceilings:
        """Ceilings that were measured again, where they are higher: a neighbour may have been busy the first time."""
        answer = one.exchange(MeasureCeilings(known.device, known.threads))
        higher = merge(known, from_answer(known.device, answer.values))
        self.ceilings = [higher if here is known else here for here in self.ceilings]
        return higher
