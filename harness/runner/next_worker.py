"""The worker of the next round: it starts, and compiles for the first time, while nothing is timed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from harness.model import Case
from harness.model.messages import Prepare
from harness.runner.worker_link import CaseEndedError, Worker, WorkerLink


class NextWorker:
    """A worker that is stopped but for the times in which it may go on.

    A process takes a second to import torch, and some more to compile for the first time, whatever it compiles. The
    worker builds a case that compiles and forgets it: it is then as any worker is after its first contest.
    """

    def __init__(self, start: Callable[[], Worker], limit: float) -> None:
        self._link = WorkerLink(start, limit)
        self._is_begun = self._is_asked = False

    def begin(self, case: Case | None, seed: int) -> None:
        """Start it, once a round, and have it build `case`, as soon as there is one that compiles."""
        if not self._is_begun:
            self._link.open()
            self._is_begun = True
        if case is not None and self._link.worker is not None and not self._is_asked:
            with suppress(CaseEndedError):  # it is lost, and so is what it would have saved
                self._link.put(Prepare(case, seed))
                self._is_asked = True

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """It computes while the caller does something that is not timed."""
        if self._link.worker is not None:
            self._link.worker.go_on()
        try:
            yield
        finally:
            self._link.rest()

    def take(self) -> Worker | None:
        """The worker, once it is ready, or None where there is none. Whatever it was asked, the round asks again."""
        if self._link.worker is not None and self._is_asked:
            self._link.worker.go_on()
            with suppress(CaseEndedError):  # the case has its own record for that
                self._link.reply()
        worker, self._link.worker = self._link.worker, None
        self._is_begun = self._is_asked = False
        return worker

    def close(self) -> None:
        """Let it go. Safe to call twice."""
        self._is_begun = self._is_asked = False
        self._link.dismiss()
