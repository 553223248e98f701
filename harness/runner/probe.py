"""Trials: every contestant is judged once on other shapes than those measured, in a process of its own."""

from collections.abc import Callable

from harness.model.messages import Answer, Probe
from harness.runner.process import Worker, WorkerLostError
from harness.runner.record_builder import CaseEndedError, RecordBuilder


class Prober:
    """A worker whose state, what compiling leaves behind above all, touches nothing that is timed."""

    def __init__(self, start: Callable[[], Worker], limit: float) -> None:
        self._start = start
        self._limit = limit
        self._worker: Worker | None = None
        self._found: dict[tuple[str, ...], Answer | CaseEndedError] = {}

    def probe(self, builder: RecordBuilder) -> None:
        """Judge the contestant of `draft`, if its suite asks for that and it was not judged before.

        Raises CaseEndedError when it is unfit.
        """
        key = _key(builder)
        if not builder.contest.suite.probed_by or key in self._found:
            return
        self._found[key] = self._trial(builder)
        self.require_fit(builder)

    def require_fit(self, builder: RecordBuilder) -> None:
        """Let `draft` know what was found, if anything. Raises CaseEndedError when the contestant is unfit."""
        match self._found.get(_key(builder)):
            case CaseEndedError() as unfit:
                raise CaseEndedError(builder.case, unfit.outcome, unfit.reason, unfit.evidence)
            case Answer() as fit:
                builder.take_in(Answer(warnings=fit.warnings))

    def close(self) -> None:
        """Let the worker go. Safe to call twice."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _trial(self, builder: RecordBuilder) -> Answer | CaseEndedError:
        if self._worker is None:
            self._worker = self._start()
        try:
            answer = self._worker.ask(Probe(builder.case, builder.contest.seed), self._limit)
        except WorkerLostError as lost:
            self.close()
            return CaseEndedError(builder.case, lost.outcome, lost.reason)
        fit = answer.outcome in ("measured", "skipped")  # its own preparation says why it is skipped
        return answer if fit else CaseEndedError(builder.case, answer.outcome, answer.reason, answer)


def _key(builder: RecordBuilder) -> tuple[str, ...]:
    """Cases that share it are tried once."""
    suite, case = builder.contest.suite, builder.case
    return (suite.workload, case.implementation, *(str(case.params.get(name)) for name in suite.probed_by))
