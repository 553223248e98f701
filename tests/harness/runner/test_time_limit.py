"""What a run has time for, where its suites say how long it may take."""

from collections import Counter
from dataclasses import replace

from harness.model import Record
from harness.model.messages import Answer, Prepare, Question
from harness.runner.time_limit import chosen_by_suites
from tests.harness.fakes.run_scene import ANSWERS, RunScene

CONTEST = 0.6
"""Seconds that timing takes in a contest of the scene, and a little more: all else takes none on its clock."""


def rounds(records: list[Record]) -> Counter[object]:
    """Measured rounds by tokens of a call."""
    return Counter(r.case.params["m"] for r in records if r.outcome == "measured" and r.case.implementation == "a")


def test_later_rounds_are_measured_as_far_as_there_is_time() -> None:
    everything = RunScene(wall=100.0, contests=2).records()
    assert rounds(everything) == {1: 3, 2: 3}
    scene = RunScene(wall=5 * CONTEST + 0.1, contests=2)
    assert rounds(scene.records()) == {1: 3, 2: 2}
    assert scene.clock.time <= 5 * CONTEST + 0.1, "no contest begins that would not end in time"


def test_no_contest_begins_that_would_take_the_rounds_that_the_interval_of_another_needs() -> None:
    records = RunScene(wall=3 * CONTEST, contests=2).records()
    assert rounds(records) == {1: 3}
    assert [record.late for record in records if record.case.params["m"] == 2] == [True] * 3


def test_time_that_is_left_goes_to_contests_that_have_waited() -> None:
    """A first round takes 3.5 s and a later one 0.5, where 1.2 are expected of it."""
    scene = slow_to_build([], 1.0, graphs=0.0, wall=11.0)
    records = scene.records()
    assert rounds(records) == {1: 3, 2: 3}
    assert [r.case.params["m"] for r in records if r.case.implementation == "a"] == [1, 1, 1, 2, 2, 2]
    scene = slow_to_build([], 1.0, graphs=0.0, wall=9.0)
    assert rounds(scene.records()) == {1: 3, 2: 1}, "a round, though an interval would need three"
    assert scene.clock.time <= 9.0


def test_what_there_was_no_time_for_at_all_says_so() -> None:
    records = RunScene(wall=0.1, contests=2).records()
    late = [record for record in records if record.late]
    assert {record.case.params["m"] for record in late} == {2}
    assert "the budget of 0.1 s was spent before its turn" in late[0].reason


def slow_to_build(scene: list[RunScene], seconds: float, graphs: float, wall: float = 6 * CONTEST) -> RunScene:
    """A scene in which the first build of every case takes so long, all of it in a first call."""
    seen = set()

    def answer(question: Question) -> Answer | None:
        if isinstance(question, Prepare) and question.case not in seen:
            seen.add(question.case)
            scene[0].clock.time += seconds
            return Answer(values={**ANSWERS[Prepare], "first_call": (seconds,), "graphs": (graphs,)})
        return None

    scene.append(RunScene(answer, wall=wall, contests=2))
    return scene[0]


def test_the_first_compilation_does_not_count() -> None:
    scene = slow_to_build([], 30.0, graphs=1.0)
    assert rounds(scene.records()) == {1: 3, 2: 3}
    assert scene.clock.time > 6 * 30.0


def test_a_slow_machine_leaves_out_contestants_of_a_contest_that_has_begun() -> None:
    records = slow_to_build([], 3.0, graphs=0.0).records()
    outcomes = [(r.case.params["m"], r.case.implementation, r.late) for r in records]
    assert outcomes[:3] == [(1, "c", True), (1, "a", False), (1, "b", False)]
    assert [late for m, _, late in outcomes if m == 2] == [True] * 3
    assert len(outcomes) == 6


def test_who_asks_for_rounds_precision_or_a_budget_gets_what_was_asked_for() -> None:
    scene = RunScene(wall=75.0)
    request = scene.controller.request
    assert chosen_by_suites(request, scene.contests) == 75.0
    assert chosen_by_suites(request, RunScene(wall=75.0, contests=2).contests) == 75.0, "once a suite"
    other = RunScene().contests[0]
    endless = replace(other, suite=replace(other.suite, name="endless"))
    assert chosen_by_suites(request, [*scene.contests, endless]) == 0.0, "one of them has no limit"
    for asked in ({"rounds": 9}, {"precision": 0.02}, {"budget": 600.0}):
        assert chosen_by_suites(type(request)(suites=("s",), **asked), scene.contests) == 0.0
