"""Trials: every contestant is judged once on other shapes than those measured, in a process of its own."""

from collections.abc import Callable

from harness.model.messages import Answer, Probe
from harness.runner.process import Worker, WorkerLostError
from harness.runner.record_builder import CaseEndedError, Draft


class Scout:
    """A worker whose state, what compiling leaves behind above all, touches nothing that is timed."""

    def __init__(self, hire: Callable[[], Worker], limit: float) -> None:
        self._hire = hire
        self._limit = limit
        self._worker: Worker | None = None
        self._found: dict[tuple[str, ...], Answer | CaseEndedError] = {}

    def try_out(self, draft: Draft) -> None:
        """Judge the contestant of `draft`, if its suite asks for that and it was not judged before.

        Raises CaseEndedError when it is unfit.
        """
        key = _key(draft)
        if not draft.contest.suite.probed_by or key in self._found:
            return
        self._found[key] = self._trial(draft)
        self.heed(draft)

    def heed(self, draft: Draft) -> None:
        """Let `draft` know what was found, if anything. Raises CaseEndedError when the contestant is unfit."""
        match self._found.get(_key(draft)):
            case CaseEndedError() as unfit:
                raise CaseEndedError(draft.case, unfit.outcome, unfit.reason, unfit.evidence)
            case Answer() as fit:
                draft.take_in(Answer(warnings=fit.warnings))

    def close(self) -> None:
        """Let the worker go. Safe to call twice."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _trial(self, draft: Draft) -> Answer | CaseEndedError:
        if self._worker is None:
            self._worker = self._hire()
        try:
            answer = self._worker.ask(Probe(draft.case, draft.contest.seed), self._limit)
        except WorkerLostError as lost:
            self.close()
            return CaseEndedError(draft.case, lost.outcome, lost.reason)
        fit = answer.outcome in ("measured", "skipped")  # its own preparation says why it is skipped
        return answer if fit else CaseEndedError(draft.case, answer.outcome, answer.reason, answer)


def _key(draft: Draft) -> tuple[str, ...]:
    """Cases that share it are tried once."""
    suite, case = draft.contest.suite, draft.case
    return (suite.workload, case.implementation, *(str(case.params.get(name)) for name in suite.probed_by))
