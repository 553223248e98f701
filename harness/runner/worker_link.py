"""A worker for one case after another: started when it is needed, replaced when it is lost."""

from collections.abc import Callable, Iterable
from typing import Protocol

from harness.model import Outcome
from harness.model.messages import Answer, Question, Release
from harness.runner.process import WorkerLostError


class Worker(Protocol):
    """Something that answers questions, one at a time: a process, or a fake."""

    def put(self, question: Question) -> None:
        """Ask, and wait for nothing. Raises WorkerLostError when nobody is there."""

    def reply(self, limit: float) -> Answer:
        """The answer to what was put. Raises WorkerLostError when there is none within `limit` seconds."""

    def rest(self) -> None:
        """Take nothing from whoever computes, until it is asked again."""

    def close(self) -> None:
        """End it."""


class CaseEndedError(Exception):
    """A case came to an end other than being measured; the others of its contest go on without it."""

    def __init__(self, outcome: Outcome, reason: str, evidence: Answer | None = None) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason
        self.evidence = evidence or Answer(outcome, reason)
        """The answer that ended it; of a wrong answer it holds how far it was off."""


class WorkerLink:
    """Asks one worker on behalf of cases. A worker that is lost ends the case that asked, and the next one is fresh."""

    def __init__(self, start: Callable[[], Worker], limit: float) -> None:
        """`limit` is what an answer may take, in seconds."""
        self.worker: Worker | None = None
        self.rivals: Iterable[WorkerLink] = ()
        """Their workers rest while this one is asked."""
        self._start = start
        self._limit = limit

    def open(self) -> Worker:
        """The worker, which is started if there is none."""
        if self.worker is None:
            self.worker = self._start()
        return self.worker

    def ask(self, question: Question) -> Answer:
        """The answer to a question. Raises CaseEndedError when the case that it is about cannot go on."""
        self.open()
        for rival in self.rivals:
            rival.rest()
        self.put(question)
        return self.reply()

    def put(self, question: Question) -> None:
        """Ask, and wait for nothing: `reply` has the answer. Raises CaseEndedError when the worker is lost."""
        worker = self.open()
        try:
            worker.put(question)
        except WorkerLostError as lost:
            raise self._ended(lost) from lost

    def reply(self) -> Answer:
        """The answer to what was put. Raises CaseEndedError as `ask`."""
        try:
            answer = self.open().reply(self._limit)
        except WorkerLostError as lost:
            raise self._ended(lost) from lost
        if answer.outcome != "measured":
            raise CaseEndedError(answer.outcome, answer.reason, answer)
        return answer

    def release(self) -> None:
        """Let the worker forget every case. One that cannot even do that is lost, which costs no case."""
        if self.worker is None:
            return
        try:
            self.worker.put(Release())
            self.worker.reply(self._limit)
        except WorkerLostError:
            self.dismiss()

    def rest(self) -> None:
        """Let the worker rest until it is asked again."""
        if self.worker is not None:
            self.worker.rest()

    def dismiss(self) -> None:
        """Let the worker go. Safe to call twice."""
        if self.worker is not None:
            self.worker.close()
            self.worker = None

    def _ended(self, lost: WorkerLostError) -> CaseEndedError:
        self.dismiss()
        return CaseEndedError(lost.outcome, lost.reason)
