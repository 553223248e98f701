"""Trials: every contestant is judged once on other shapes than those measured, in a process of its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.model.messages import Answer, Probe
from harness.runner.record_builder import RecordBuilder
from harness.runner.worker_link import CaseEndedError, Worker, WorkerLink


class Prober:
    """A worker whose state, what compiling leaves behind above all, touches nothing that is timed."""

    def __init__(self, start: Callable[[], Worker], limit: float) -> None:
        self._link = WorkerLink(start, limit)
        self._compiles = False
        self._found: dict[tuple[str, ...], Answer | CaseEndedError] = {}

    @contextmanager
    def beside(self, builder: RecordBuilder) -> Iterator[None]:
        """Judge the contestant of `builder` while the caller does something else that is not timed.

        Nothing is asked if its suite does not want that or it was judged before. Raises CaseEndedError at the end when
        it is unfit.
        """
        key = _key(builder)
        if not builder.contest.suite.probed_by or key in self._found:
            yield
            return
        asked = self._put(builder)
        try:
            yield
        finally:
            self._found[key] = asked or self._reply()
        self.require_fit(builder)

    def require_fit(self, builder: RecordBuilder) -> None:
        """Let `builder` know what was found, if anything. Raises CaseEndedError when the contestant is unfit."""
        match self._found.get(_key(builder)):
            case CaseEndedError() as unfit:
                raise CaseEndedError(unfit.outcome, unfit.reason, unfit.evidence)
            case Answer() as fit:
                builder.take_in(Answer(warnings=fit.warnings))

    def close(self) -> None:
        """Let the worker go. Safe to call twice."""
        self._link.dismiss()

    def _put(self, builder: RecordBuilder) -> CaseEndedError | None:
        """The end that comes of asking, if it does.

        The first contestant that compiles has a fresh worker: later ones begin with torch's compiler imported, and
        what this one would import is imported for them, too.
        """
        if not self._compiles and any(builder.values.get("graphs", ())):
            self._compiles = True
            self.close()
        try:
            self._link.put(Probe(builder.case, builder.contest.seed))
        except CaseEndedError as end:
            return end
        return None

    def _reply(self) -> Answer | CaseEndedError:
        try:
            return self._link.reply()
        except CaseEndedError as end:  # of what is skipped, its own preparation says why
            return end.evidence if end.outcome == "skipped" else end


def _key(builder: RecordBuilder) -> tuple[str, ...]:
    """Cases that share it are tried once."""
    suite, case = builder.contest.suite, builder.case
    return (suite.workload, case.implementation, *(str(case.params.get(name)) for name in suite.probed_by))
