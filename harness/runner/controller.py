"""The controller: decides what is measured next, and turns answers into records. Imports no torch, writes no file."""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from harness.analysis.convergence import undecided
from harness.analysis.results import results
from harness.estimators.looks import looks
from harness.model import Case, Ceilings, Record, Request, messages
from harness.model.ceilings import from_answer, matching, merge
from harness.model.messages import Accuracy, Answer, Memory, ObserveMachine, Prepare, Question, Release, Time
from harness.model.metrics import MEMORY_METRICS
from harness.model.record import late
from harness.runner.plan import Contest
from harness.runner.probe import Prober
from harness.runner.process import Worker, WorkerLostError
from harness.runner.record_builder import CaseEndedError, RecordBuilder, RoundNoise
from harness.runner.schedule import calibrate, take_turns

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
        self.start = start
        self.now = now
        self.iterations: dict[Case, int] = {}
        self.made: dict[Case, list[Record]] = {}
        self._begun = begun or {}  # rounds that contests had had when the run was extended: nothing is added to them
        self._late: set[Case] = set()
        self._worker: Worker | None = None
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
        deadline = self.now() + self.request.budget if self.request.budget else float("inf")
        try:
            for number in range(max(contest.aim.rounds for contest in self.contests)):
                turns = [contest for contest in self._order(number) if self._waiting(contest, number)]
                later = sum(contest.aim.rounds - number - 1 for contest in turns)
                for index, contest in enumerate(turns):
                    if self.now() < deadline:
                        progress.began(contest, number, len(turns) - index + later)
                        made = self._contest(contest, number, progress)
                    else:
                        made = self._unmeasured(contest)
                    for batch in made:
                        for record in batch:
                            self._note(record)
                        yield batch
                self._dismiss()
                self._prober.close()
        finally:
            self._dismiss()
            self._prober.close()

    def _note(self, record: Record) -> None:
        self.made.setdefault(record.case, []).append(record)
        for measurement in record.measurements:
            if measurement.metric == "latency":
                self.iterations[record.case] = measurement.iterations

    def _order(self, number: int) -> list[Contest]:
        """As declared in the first round, so that a reader sees an orderly table grow; at random in later ones."""
        contests = [contest for contest in self.contests if number < contest.aim.rounds]
        if number:
            random.Random(f"{self.request.seed}/{number}").shuffle(contests)
        return contests

    def _unmeasured(self, contest: Contest) -> Iterator[list[Record]]:
        """Cases that the budget left without any record must be seen to be missing."""
        missing = [case for case in contest.cases if case not in self.made and case not in self._late]
        yield [late(case, self.request.budget, contest.facts_of(case)) for case in missing]

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
        waiting = self._waiting(contest, number)
        while waiting:
            self._release()
            builders = {case: RecordBuilder(contest, case, number, self.now()) for case in waiting}
            for case in tuple(waiting):
                try:
                    self._prepare(builders[case])
                    progress.prepared(case, {name: tuple(values) for name, values in builders[case].values.items()})
                    self._prober.probe(builders[case])
                except CaseEndedError as end:
                    waiting.remove(case)
                    yield [builders.pop(case).ended(end, self.now())]
                    if self._worker is None:
                        break  # what was prepared went with the worker
            else:
                try:
                    witness = self._time(contest, number, builders)
                except CaseEndedError as end:
                    waiting.remove(end.case)
                    yield [builders[end.case].ended(end, self.now())]
                else:
                    timed_by = self._worker
                    yield [self._finished(builder, witness, timed_by) for builder in builders.values()]
                    return

    def _finished(self, builder: RecordBuilder, witness: RoundNoise, timed_by: Worker | None) -> Record:
        """What was measured, unless the machine cannot be that fast."""
        try:
            self._require_possible(builder, timed_by)
        except CaseEndedError as end:
            return builder.ended(end, self.now())
        return builder.measured(witness, self.now())

    def _require_possible(self, builder: RecordBuilder, timed_by: Worker | None) -> None:
        """Raise CaseEndedError for a latency below what the ceilings allow, if it is so whenever both are measured.

        Neighbours that were busy while the ceilings were measured, and quiet while the case was, make an honest call
        too fast. Measured in turns, both have the same neighbours. The ceilings may turn out to be higher; else, the
        case may take longer now, and what it took before keeps a warning.
        """
        ceilings, taken = matching(builder.case, self.ceilings), tuple(builder.values.get("latency", ()))
        if ceilings is None or not builder.too_fast(ceilings, taken):
            return
        if self._worker is not timed_by:  # which was lost in a turn of another case
            self._exchange(builder.case, Prepare(builder.case, builder.contest.seed))
        for _ in range(CONFIRMATIONS):
            ceilings = self._higher(ceilings, builder)
            told = builder.too_fast(ceilings, taken)
            if not told:
                return
            if not builder.too_fast(ceilings, self._take(builder, builder.iterations, AGAIN)):
                builder.warnings[NOT_CONFIRMED] = None
                return
        raise CaseEndedError(builder.case, "failed", told)

    def _higher(self, known: Ceilings, builder: RecordBuilder) -> Ceilings:
        """Ceilings that were measured again, where they are higher: a neighbour may have been busy the first time."""
        answer = self._exchange(builder.case, messages.MeasureCeilings(known.device, known.threads))
        higher = merge(known, from_answer(known.device, answer.values))
        self.ceilings = [higher if one is known else one for one in self.ceilings]
        return higher

    def _release(self) -> None:
        """Let the worker forget the contest before. A worker that cannot even do that is replaced."""
        if self._worker is None:
            return
        try:
            self._worker.ask(Release(), self.request.case_limit)
        except WorkerLostError:
            self._dismiss()

    def _prepare(self, builder: RecordBuilder) -> None:
        """Build, check against the contract, count bytes, find the loop count: in this order, before any timing."""
        contest, case = builder.contest, builder.case
        builder.started = self.now()
        self._prober.require_fit(builder)
        self._ask(builder, Prepare(case, contest.seed))
        self._ask(builder, Accuracy(case, tuple(sorted(builder.wanted))))
        if builder.wanted & MEMORY_METRICS:
            self._ask(builder, Memory(case, contest.seed))
        if "latency" in builder.wanted:
            self._calibrate(builder)

    def _calibrate(self, builder: RecordBuilder) -> None:
        """Choose the loop count once a case, for all rounds. The last trial stands in for the latency until timing."""

        def take(_: Case, iterations: int, samples: int) -> Sequence[float]:
            builder.values["latency"] = list(self._take(builder, iterations, samples))
            return builder.values["latency"]

        if builder.case not in self.iterations:
            self.iterations[builder.case] = calibrate(take, builder.case, builder.contest.suite.budget.sample)
        builder.iterations = self.iterations[builder.case]

    def _time(self, contest: Contest, number: int, builders: dict[Case, RecordBuilder]) -> RoundNoise:
        witness = RoundNoise()
        if "latency" not in contest.metrics or not builders:
            return witness
        last = next(iter(builders))

        def take(case: Case, iterations: int, samples: int) -> Sequence[float]:
            nonlocal last
            last = case
            return self._take(builders[case], iterations, samples)

        def look() -> None:
            witness.take_in(self._exchange(last, ObserveMachine()).noise)

        look()
        timings = take_turns(
            take,
            {case: builder.iterations for case, builder in builders.items()},
            seconds=contest.suite.budget.seconds,
            sample=contest.suite.budget.sample,
            rng=random.Random(f"{self.request.seed}/{number}/{contest.seed}"),
            now=self.now,
            after_block=look,
        )
        for case, timing in timings.items():
            builders[case].values["latency"] = list(timing.values)
            builders[case].blocks = timing.blocks
        return witness

    def _take(self, builder: RecordBuilder, iterations: int, samples: int) -> Sequence[float]:
        answer = self._exchange(builder.case, Time(builder.case, iterations, samples))
        builder.take_in(answer)
        values = answer.values["latency"]
        builder.timed += sum(values) * iterations
        return values

    def _ask(self, builder: RecordBuilder, question: Question) -> None:
        builder.take_in(self._exchange(builder.case, question))

    def _exchange(self, case: Case, question: Question) -> Answer:
        """The answer to a question. Raises CaseEndedError when `case`, which it is about, cannot go on."""
        if self._worker is None:
            self._worker = self.start()
        try:
            answer = self._worker.ask(question, self.request.case_limit)
        except WorkerLostError as lost:
            self._dismiss()
            raise CaseEndedError(case, lost.outcome, lost.reason) from lost
        if answer.outcome != "measured":
            raise CaseEndedError(case, answer.outcome, answer.reason, answer)
        return answer

    def _dismiss(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
