"""What a suite must say of its workload, and what the worker makes of the rest."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import cli
from harness.analysis.results import results
from harness.model import Case
from harness.model.messages import Accuracy, Answer, Memory, Prepare, Time
from harness.model.suite import Registry
from harness.model.workload import Check, Prepared, Workload
from harness.store.runs import load
from harness.worker.server import Worker

SUITE = "tests.harness.fakes.summing"


def test_a_workload_that_only_calls_and_checks_is_measured_and_a_wrong_one_is_found(tmp_path: Path) -> None:
    """Through `bitbench run` and a real worker."""
    assert cli.main(["run", "summing", "--suites", SUITE, "--out", str(tmp_path / "run")]) == 1
    found = {result.case.implementation: result for result in results(load(tmp_path / "run").records).values()}
    right, wrong = found["sum"], found["off-by-one"]
    assert (right.wrong, right.end) == (False, None)
    (record,) = right.records
    assert min(record.values("latency")) > 0
    assert record.values("resident_bytes") == record.values("peak_forward_bytes") == (0.0,)
    assert record.warnings == ()
    assert wrong.wrong, "an answer that is known to be wrong, and not one that never came"
    assert wrong.end is not None
    assert wrong.end.reason == "wrong answer: the sum is 4851"


class Counted(Prepared):
    """Knows which of its two callables was called how often, since when."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __call__(self) -> None:
        self.calls["passed on"] += 1
        self.timed()

    @property
    def timed(self) -> Callable[[], object]:
        return lambda: self.calls.update(bare=1)

    def check(self, metrics: frozenset[str]) -> Check:
        return Check()


def test_the_clock_calls_what_is_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so do the first call and the count of bytes, which are to be those of what is timed."""
    prepared = Counted()

    class Counting(Workload):
        def build(self) -> Counted:
            return prepared

    worker = Worker(Registry.load(SUITE))
    monkeypatch.setattr(worker, "_workload", Counting)
    case = Case.of("summing", "sum", {"device": "cpu"})
    for question in (Prepare(case, 0), Accuracy(case, ()), Time(case, 3, 2), Memory(case, 0)):
        before = prepared.calls["bare"]
        answer = worker.answer(question)
        assert isinstance(answer, Answer)
        assert (answer.outcome, answer.reason) == ("measured", "")
        assert isinstance(question, Accuracy) or prepared.calls["bare"] > before
    assert prepared.calls["passed on"] == 0


class GoesWrong(Prepared):
    """Right until it is wrong."""

    is_wrong = False

    def __call__(self) -> str:
        return "wrong" if self.is_wrong else "right"

    def check(self, metrics: frozenset[str]) -> Check:
        return Check(wrong="wrong answer: checked" if self.is_wrong else "")


class Inspected(GoesWrong):
    """Judges the last output of every visit, too."""

    def inspect(self, output: object) -> str:
        return "wrong answer: inspected" if output == "wrong" else ""


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [
        (GoesWrong, ["wrong answer: checked", ""]),
        (Inspected, ["wrong answer: inspected"] * 2),
    ],
)
def test_what_goes_wrong_in_a_later_round_is_found_before_it_has_a_latency(
    kind: type[GoesWrong], reasons: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any visit, and by every visit where visits judge."""

    class Later(Workload):
        def build(self) -> GoesWrong:
            return kind()

    worker = Worker(Registry.load(SUITE))
    monkeypatch.setattr(worker, "_workload", Later)
    case = Case.of("summing", "sum", {"device": "cpu"})
    for question in (Prepare(case, 0), Accuracy(case, ()), Time(case, 1, 1)):
        answer = worker.answer(question)
        assert isinstance(answer, Answer)
        assert answer.outcome == "measured"
    monkeypatch.setattr(GoesWrong, "is_wrong", True)
    found = [worker.answer(question) for question in (Accuracy(case, (), again=True), Time(case, 1, 1))]
    answers = [answer for answer in found if isinstance(answer, Answer)]
    assert [answer.reason for answer in answers] == reasons
    assert all("latency" not in answer.values for answer in answers if answer.outcome == "failed")
