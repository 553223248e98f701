"""The controller: decides what is measured next, and turns answers into records. Imports no torch, writes no file."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from harness.measure import calibrate, take_turns
from harness.metric import in_round
from harness.model import Case, Measurement, Outcome, Record, Request
from harness.plan import Contest
from harness.process import WorkerLostError
from harness.protocol import Accuracy, Answer, Memory, Prepare, Question, Release, Time

MEMORY_METRICS = frozenset({"resident_bytes", "peak_forward_bytes", "peak_rss"})
OUT_OF_TIME = "the budget of {budget:g} s was spent before its turn; raise --budget, or choose fewer cases"


class Worker(Protocol):
    """Something that answers questions: a process, or a fake."""

    def ask(self, question: Question, limit: float) -> Answer:
        """The answer. Raises WorkerLostError when there is none within `limit` seconds."""

    def close(self) -> None:
        """End it."""


class Progress(Protocol):
    """Who watches a run."""

    def began(self, contest: Contest, number: int) -> None:
        """A contest begins in round `number`."""

    def prepared(self, case: Case, values: dict[str, tuple[float, ...]]) -> None:
        """A case is ready to be timed; these are its values so far, `latency` a first estimate."""


@dataclass
class Draft:
    """A record in the making."""

    case: Case
    values: dict[str, list[float]] = field(default_factory=dict)
    iterations: int = 1
    noise: dict[str, float] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)
    started: float = 0.0
    timed: float = 0.0

    def take_in(self, answer: Answer) -> None:
        """Keep what an answer says."""
        for metric, values in answer.values.items():
            self.values.setdefault(metric, []).extend(values)
        for name, value in answer.noise.items():
            self.noise[name] = self.noise.get(name, 0.0) + value
        self.warnings.update(dict.fromkeys(answer.warnings))


class CaseEndedError(Exception):
    """A case came to an end other than being measured; the others of its contest go on without it."""

    def __init__(self, case: Case, outcome: Outcome, reason: str, evidence: Answer | None = None) -> None:
        super().__init__(reason)
        self.case = case
        self.outcome = outcome
        self.reason = reason
        self.evidence = evidence or Answer(outcome, reason)
        """The answer that ended it; of a wrong answer it holds how far it was off."""


class Controller:
    """Runs contests round by round. A round is a fresh worker, so that luck of layout becomes visible noise."""

    def __init__(
        self,
        contests: Sequence[Contest],
        request: Request,
        hire: Callable[[], Worker],
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.contests = contests
        self.request = request
        self.hire = hire
        self.now = now
        self.iterations: dict[Case, int] = {}
        self.done: set[tuple[Case, int]] = set()
        self.ended: set[Case] = set()
        self._worker: Worker | None = None

    def continue_from(self, records: Sequence[Record]) -> None:
        """Take these records as made: their cases are not measured again in their rounds."""
        for record in records:
            self._note(record)

    def turns_left(self) -> int:
        """How many contests, counted anew in every round, still have something to measure."""
        rounds = range(max(contest.rounds for contest in self.contests))
        return sum(bool(self._waiting(contest, n)) for n in rounds for contest in self._order(n))

    def records(self, progress: Progress) -> Iterator[Record]:
        """Every record still to be made, as it is made."""
        deadline = self.now() + self.request.budget if self.request.budget else float("inf")
        try:
            for number in range(max(contest.rounds for contest in self.contests)):
                for contest in self._order(number):
                    late = self.now() >= deadline
                    for record in self._unmeasured(contest) if late else self._contest(contest, number, progress):
                        self._note(record)
                        yield record
                self._dismiss()
        finally:
            self._dismiss()

    def _note(self, record: Record) -> None:
        self.done.add((record.case, record.round))
        if record.outcome != "measured":
            self.ended.add(record.case)
        for measurement in record.measurements:
            if measurement.metric == "latency":
                self.iterations[record.case] = measurement.iterations

    def _order(self, number: int) -> list[Contest]:
        """As declared in the first round, so that a reader sees an orderly table grow; at random in later ones."""
        contests = [contest for contest in self.contests if number < contest.rounds]
        if number:
            random.Random(f"{self.request.seed}/{number}").shuffle(contests)
        return contests

    def _unmeasured(self, contest: Contest) -> Iterator[Record]:
        """Cases that the budget left without any record must be seen to be missing."""
        reason = OUT_OF_TIME.format(budget=self.request.budget)
        for case in contest.cases:
            if not any(done == case for done, _ in self.done):
                yield Record(case, 0, "skipped", reason, facts=contest.facts)

    def _waiting(self, contest: Contest, number: int) -> list[Case]:
        return [case for case in contest.cases if case not in self.ended and (case, number) not in self.done]

    def _contest(self, contest: Contest, number: int, progress: Progress) -> Iterator[Record]:
        """One contest in one round. A case that ends early is left out, and costs the others at most a new start."""
        waiting = self._waiting(contest, number)
        if waiting:
            progress.began(contest, number)
        while waiting:
            self._release()
            drafts = {case: Draft(case) for case in waiting}
            for case in tuple(waiting):
                try:
                    self._prepare(contest, number, drafts[case])
                    progress.prepared(case, {name: tuple(values) for name, values in drafts[case].values.items()})
                except CaseEndedError as end:
                    waiting.remove(case)
                    yield self._ended(contest, number, drafts.pop(case), end)
                    if self._worker is None:
                        break  # what was prepared went with the worker
            else:
                try:
                    self._time(contest, number, drafts)
                except CaseEndedError as end:
                    waiting.remove(end.case)
                    yield self._ended(contest, number, drafts[end.case], end)
                else:
                    yield from (self._measured(contest, number, draft) for draft in drafts.values())
                    return

    def _release(self) -> None:
        """Let the worker forget the contest before. A worker that cannot even do that is replaced."""
        if self._worker is None:
            return
        try:
            self._worker.ask(Release(), self.request.case_limit)
        except WorkerLostError:
            self._dismiss()

    def _prepare(self, contest: Contest, number: int, draft: Draft) -> None:
        """Build, check against the contract, count bytes, find the loop count: in this order, before any timing."""
        case = draft.case
        metrics = frozenset(name for name in contest.metrics if in_round(name, number))
        draft.started = self.now()
        self._ask(draft, Prepare(case, contest.seed))
        self._ask(draft, Accuracy(case, tuple(sorted(metrics))))
        if metrics & MEMORY_METRICS:
            self._ask(draft, Memory(case, contest.seed))
        if "latency" in metrics:
            self._calibrate(contest, draft)

    def _calibrate(self, contest: Contest, draft: Draft) -> None:
        """Choose the loop count once a case, for all rounds. The last trial stands in for the latency until timing."""

        def take(_: Case, iterations: int, samples: int) -> Sequence[float]:
            draft.values["latency"] = list(self._take(draft, iterations, samples))
            return draft.values["latency"]

        if draft.case not in self.iterations:
            self.iterations[draft.case] = calibrate(take, draft.case, contest.suite.budget.sample)
        draft.iterations = self.iterations[draft.case]

    def _time(self, contest: Contest, number: int, drafts: dict[Case, Draft]) -> None:
        if "latency" not in contest.metrics or not drafts:
            return
        timings = take_turns(
            lambda case, iterations, samples: self._take(drafts[case], iterations, samples),
            {case: draft.iterations for case, draft in drafts.items()},
            seconds=contest.suite.budget.seconds,
            sample=contest.suite.budget.sample,
            rng=random.Random(f"{self.request.seed}/{number}/{contest.seed}"),
            now=self.now,
        )
        for case, timing in timings.items():
            drafts[case].values["latency"] = list(timing.values)

    def _take(self, draft: Draft, iterations: int, samples: int) -> Sequence[float]:
        answer = self._exchange(draft, Time(draft.case, iterations, samples))
        values = answer.values["latency"]
        draft.take_in(Answer(noise=answer.noise, warnings=answer.warnings))
        draft.timed += sum(values) * iterations
        return values

    def _ask(self, draft: Draft, question: Question) -> None:
        draft.take_in(self._exchange(draft, question))

    def _exchange(self, draft: Draft, question: Question) -> Answer:
        """The answer to a question about the draft's case. Raises CaseEndedError when the case cannot go on."""
        if self._worker is None:
            self._worker = self.hire()
        try:
            answer = self._worker.ask(question, self.request.case_limit)
        except WorkerLostError as lost:
            self._dismiss()
            raise CaseEndedError(draft.case, lost.outcome, lost.reason) from lost
        if answer.outcome != "measured":
            raise CaseEndedError(draft.case, answer.outcome, answer.reason, answer)
        return answer

    def _measured(self, contest: Contest, number: int, draft: Draft) -> Record:
        wanted = {metric for metric in contest.metrics if in_round(metric, number)}
        measurements = tuple(
            Measurement(metric, tuple(values), draft.iterations if metric == "latency" else 1)
            for metric, values in sorted(draft.values.items())
            if metric in wanted
        )
        return self._record(contest, number, draft, "measured", "", measurements)

    def _ended(self, contest: Contest, number: int, draft: Draft, end: CaseEndedError) -> Record:
        """A wrong answer keeps what shows that it is wrong; nothing else of the case is kept, and no latency ever."""
        evidence = tuple(Measurement(metric, values) for metric, values in sorted(end.evidence.values.items()))
        return self._record(contest, number, draft, end.outcome, end.reason, evidence)

    def _record(
        self,
        contest: Contest,
        number: int,
        draft: Draft,
        outcome: Outcome,
        reason: str,
        measurements: tuple[Measurement, ...],
    ) -> Record:
        duration = self.now() - draft.started
        warnings = tuple(draft.warnings)
        return Record(
            draft.case,
            number,
            outcome,
            reason,
            measurements,
            contest.facts,
            {name: (value,) for name, value in draft.noise.items()},
            duration=duration,
            timed=draft.timed,
            warnings=warnings,
        )

    def _dismiss(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
