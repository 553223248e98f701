"""The controller, with a fake worker: what is asked in which order, and what comes of contestants that misbehave."""

import random
from collections import Counter
from dataclasses import replace

import pytest

from harness.analysis.results import valid
from harness.model import Aim, Case, Measurement, Outcome, Record, Request
from harness.model.ceilings import from_answer
from harness.model.messages import (
    Accuracy,
    Answer,
    MeasureCeilings,
    Memory,
    ObserveMachine,
    Prepare,
    Probe,
    Question,
    Release,
    Time,
)
from harness.runner.controller import CONFIRMATIONS, NOT_CONFIRMED, Controller
from harness.runner.process import WorkerLostError
from tests.harness.fakes.run_scene import SUITE, Latency, Misbehaviour, RunScene, Silent, contest_of


def named(records: list[Record], implementation: str) -> list[Record]:
    return [record for record in records if record.case.implementation == implementation]


def test_every_round_is_a_fresh_worker_and_every_case_one_record_a_round() -> None:
    scene = RunScene(contests=2)
    records = scene.records()
    assert Counter((r.case, r.round) for r in records) == Counter(
        {(case, n): 1 for contest in scene.contests for case in contest.cases for n in range(3)}
    )
    assert len(scene.workers) == 3
    assert all(worker.closed for worker in scene.workers)


def test_exact_metrics_and_the_first_call_are_measured_once_and_latency_in_every_round() -> None:
    first, *later = named(RunScene().records(), "a")
    assert {m.metric for m in first.measurements} == set(SUITE.metric_names)
    assert all({m.metric for m in record.measurements} == {"latency"} for record in later)
    assert first.values("latency") == (0.001,) * len(first.values("latency"))
    assert first.timed > 0
    (timing,) = (m for m in first.measurements if m.metric == "latency")
    blocks = max(timing.blocks) + 1
    assert len(timing.blocks) == len(timing.values)
    assert first.noise == {"canary": (0.0005,) * (blocks + 1), "page_faults": (1.0,) * blocks}


def test_each_case_is_prepared_and_judged_before_any_is_timed_thoroughly_in_its_first_round() -> None:
    scene = RunScene()
    scene.records()
    judged: set[Case] = set()
    for question in scene.log:
        match question:
            case Release():
                judged.clear()
            case Accuracy(case):
                judged.add(case)
            case Time(case, _, _):
                assert case in judged
    again = [question.again for question in scene.log if isinstance(question, Accuracy)]
    assert again == [False] * 3 + [True] * 6


def test_the_loop_count_is_calibrated_once_and_kept_for_all_rounds() -> None:
    scene = RunScene()
    counts = {m.iterations for r in scene.records() for m in r.measurements if m.metric == "latency"}
    assert len(counts) == 1


def test_a_watcher_is_told_an_estimate_when_the_loop_count_is_found_and_no_record_holds_it() -> None:
    estimates: list[tuple[int, float]] = []

    class Watcher(Silent):
        def prepared(self, case: Case, values: dict[str, tuple[float, ...]]) -> None:
            estimates.extend((len(scene.workers), value) for value in values.get("latency", ()))

    def latency(case: Case, number: int) -> float:
        return 0.001 if ObserveMachine() in scene.log else 0.003

    scene = RunScene(latency=latency)
    records = list(scene.controller.records(Watcher()))
    assert estimates == [(1, 0.003)] * 3, "once a case, in the first round"
    assert {value for record in records for value in record.values("latency")} == {0.001}


def ends_with(outcome: Outcome, kind: type[Question]) -> Misbehaviour:
    """Contestant b comes to this end when asked that; a crash or a hang takes the worker with it."""

    def misbehave(question: Question) -> Answer | None:
        if not isinstance(question, kind) or getattr(question, "case", None) is None:
            return None
        if question.case.implementation != "b":
            return None
        if outcome in ("crashed", "timed_out"):
            raise WorkerLostError(outcome, "because")
        return Answer(outcome, "because")

    return misbehave


def test_whatever_befalls_one_contestant_costs_one_row_and_no_other() -> None:
    for outcome in ("skipped", "failed", "crashed", "timed_out"):
        for kind in (Prepare, Accuracy, Memory, Time):
            records = RunScene(ends_with(outcome, kind)).records()
            (ended,) = named(records, "b")
            assert (ended.outcome, ended.reason) == (outcome, "because")
            assert not ended.values("latency")
            for other in "ac":
                assert [r.outcome for r in named(records, other)] == ["measured"] * 3
                assert all(r.values("latency") for r in named(records, other))


@pytest.mark.parametrize("first_wrong_round", [0, 1])
def test_a_wrong_answer_keeps_its_disagreement_and_gets_no_latency(first_wrong_round: int) -> None:
    def wrong(question: Question) -> Answer | None:
        late_enough = len(scene.workers) > first_wrong_round
        if late_enough and isinstance(question, Accuracy) and question.case.implementation == "b":
            return Answer("failed", "wrong answer", {"agreement_sqnr": (3.0,)})
        return None

    scene = RunScene(wrong)
    *_, record = named(scene.records(), "b")
    assert record.round == first_wrong_round
    assert record.measurements == (Measurement("agreement_sqnr", (3.0,)),)


def test_a_worker_that_dies_between_two_contests_is_replaced_and_costs_nobody() -> None:
    def dies(question: Question) -> Answer | None:
        if isinstance(question, Release):
            raise WorkerLostError("crashed", "because")
        return None

    scene = RunScene(dies, contests=2)
    records = scene.records()
    assert {record.outcome for record in records} == {"measured"}
    assert len(records) == 2 * 3 * 3
    assert all(worker.closed for worker in scene.workers)


def test_resuming_measures_only_what_is_missing() -> None:
    everything = RunScene().records()
    for cut in range(len(everything)):
        scene = RunScene()
        scene.controller.continue_from(everything[:cut])
        made = scene.records()
        assert [(r.case, r.round) for r in made] == [(r.case, r.round) for r in everything[cut:]]


def test_a_case_that_ended_is_not_tried_again_after_resuming() -> None:
    first = RunScene(ends_with("crashed", Time))
    records = first.records()[:1]
    assert records[0].outcome == "crashed"
    scene = RunScene()
    scene.controller.continue_from(records)
    assert not named(scene.records(), "b")


def test_when_the_budget_is_spent_what_was_never_measured_says_so() -> None:
    records = RunScene(budget=0.1, contests=2).records()
    first, second = (contest_of(m).cases for m in (1, 2))
    assert {r.outcome for r in records if r.case in first} == {"measured"}
    assert [(r.outcome, r.round) for r in records if r.case in second] == [("skipped", 0)] * 3
    assert "raise --budget" in records[-1].reason


def noisy(sigmas: dict[str, float]) -> Latency:
    """A millisecond, times a factor of its own for each contestant and worker."""

    def latency(case: Case, number: int) -> float:
        rng = random.Random(f"{case.implementation}/{number}")
        return 0.001 * rng.lognormvariate(0, sigmas[case.implementation])

    return latency


def rounds_of(records: list[Record], implementation: str) -> list[int]:
    return [record.round for record in named(records, implementation)]


def test_a_contestant_is_done_at_the_first_look_at_which_it_is_known_precisely_enough() -> None:
    scene = RunScene(aim=Aim("a", 0.02, 9), latency=noisy({"a": 0.0, "b": 0.002, "c": 0.2}))
    records = scene.records()
    assert rounds_of(records, "b") == [0, 1, 2, 3]
    assert rounds_of(records, "c") == rounds_of(records, "a") == list(range(9)), "undecided, so its baseline goes on"
    assert len(scene.workers) == 9


def test_a_contest_that_is_precise_enough_costs_no_more_workers() -> None:
    scene = RunScene(aim=Aim("a", 0.02, 20), latency=noisy({"a": 0.0, "b": 0.002, "c": 0.002}), contests=2)
    records = scene.records()
    assert {record.round for record in records} == {0, 1, 2, 3}
    assert len(scene.workers) == 4


def test_resuming_takes_the_same_looks() -> None:
    aim, latency = Aim("a", 0.02, 9), noisy({"a": 0.0, "b": 0.01, "c": 0.2})
    everything = RunScene(aim=aim, latency=latency).records()
    assert len(rounds_of(everything, "b")) < len(rounds_of(everything, "c"))
    for cut in range(0, len(everything), 4):
        scene = RunScene(
            aim=aim, latency=lambda case, number, first=everything[cut].round: latency(case, number + first)
        )
        scene.controller.continue_from(everything[:cut])
        assert [(r.case, r.round) for r in scene.records()] == [(r.case, r.round) for r in everything[cut:]]


def test_blocks_beside_a_disturbed_canary_are_voided_for_all_and_kept() -> None:
    looks = iter([0.5, 0.5, 9.0, *[0.5] * 1000])

    def disturbed(question: Question) -> Answer | None:
        return Answer(noise={"canary": next(looks)}) if isinstance(question, ObserveMachine) else None

    first, *_ = by_round = RunScene(disturbed).records()
    assert {record.voided for record in by_round if record.round == 0} == {(1, 2)}
    assert {record.voided for record in by_round if record.round > 0} == {()}
    (timing,) = (m for m in first.measurements if m.metric == "latency")
    assert {1, 2} <= set(timing.blocks), "what was measured stays in the record"
    assert not {1, 2} & set(valid(first, "latency").blocks)


def probing(scene: RunScene) -> RunScene:
    scene.controller.contests = [
        replace(contest, suite=replace(SUITE, probed_by=("scheme",))) for contest in scene.contests
    ]
    return scene


def test_contestants_are_probed_once_before_they_are_timed_and_in_a_worker_of_its_own() -> None:
    scene = probing(RunScene(contests=2))
    scene.records()
    probes = [q for q in scene.log if isinstance(q, Probe)]
    assert [probe.case.implementation for probe in probes] == ["a", "b", "c"]
    first_visit_after_calibration = next(i for i, q in enumerate(scene.log) if isinstance(q, ObserveMachine))
    assert max(scene.log.index(probe) for probe in probes) < first_visit_after_calibration
    kinds = [{type(question) for question in worker.asked} for worker in scene.workers]
    assert kinds.count({Probe}) == 1
    assert sum(Probe in asked for asked in kinds) == 1
    assert len(scene.workers) == 1 + 3
    assert all(worker.closed for worker in scene.workers)


@pytest.mark.parametrize("outcome", ["failed", "crashed", "timed_out"])
def test_a_contestant_that_fails_its_probe_is_never_timed(outcome: Outcome) -> None:
    scene = probing(RunScene(ends_with(outcome, Probe), contests=2))
    records = scene.records()
    assert [(r.outcome, r.reason, r.measurements) for r in named(records, "b")] == [(outcome, "because", ())] * 2
    assert [r.outcome for r in named(records, "a")] == ["measured"] * 6


def test_what_a_probe_doubts_is_said_in_the_row() -> None:
    def doubts(question: Question) -> Answer | None:
        return Answer(warnings=("refuses K=97; pad it",)) if isinstance(question, Probe) else None

    assert {r.warnings for r in probing(RunScene(doubts)).records()} == {("refuses K=97; pad it",)}


def test_what_a_probe_skips_is_asked_again_when_it_is_prepared() -> None:
    scene = probing(RunScene(ends_with("skipped", Probe)))
    assert [r.outcome for r in named(scene.records(), "b")] == ["measured"] * 3


def test_a_worker_that_dies_between_visits_costs_the_contestant_that_was_last_visited() -> None:
    asked: list[Question] = []

    def dies(question: Question) -> Answer | None:
        asked.append(question)
        last = asked[-2] if len(asked) > 1 else None
        if isinstance(question, ObserveMachine) and isinstance(last, Time) and last.case.implementation == "b":
            raise WorkerLostError("crashed", "because")
        return None

    records = RunScene(dies).records()
    assert [r.outcome for r in named(records, "b")] == ["crashed"]
    assert [r.outcome for r in named(records, "a")] == ["measured"] * 3


SLOW = {"threads": 2.0, "cache_bytes": 1e6, "cache_bandwidth": 1e8, "memory_bandwidth": 5e7, "float32": 1e9}
"""A machine on which reading a megabyte takes 10 ms at least, and the fake worker says 1 ms."""
CEILINGS = from_answer("cpu", {name: (value,) for name, value in SLOW.items()})


@pytest.mark.parametrize("looks", [1, 4, 5, 6])
def test_what_is_faster_than_the_machine_is_measured_against_fresh_ceilings_before_it_fails(looks: int) -> None:
    """The machine is seen as fast as it is by so many measurements."""
    asked: list[Question] = []

    def measures_again(question: Question) -> Answer | None:
        if not isinstance(question, MeasureCeilings):
            return None
        asked.append(question)
        seen = 100.0 if len(asked) == looks else 1.0
        factor = {"cache_bandwidth": seen, "memory_bandwidth": seen}
        return Answer(values={name: (value * factor.get(name, 1.0),) for name, value in SLOW.items()})

    scene = RunScene(measures_again, ceilings=[CEILINGS])
    records = scene.records()
    assert asked[0] == MeasureCeilings("cpu", 2)
    if looks <= CONFIRMATIONS:
        assert {r.outcome for r in records} == {"measured"}
        assert len(asked) == looks, "the higher ceilings are kept"
    else:
        failed = next(r for r in records if r.outcome != "measured")
        assert failed.outcome == "failed"
        assert failed.reason.startswith("faster than the machine allows")
        assert not failed.values("latency")


@pytest.mark.parametrize("turns", [1, CONFIRMATIONS, CONFIRMATIONS + 1])
def test_what_is_faster_than_the_machine_fails_only_if_it_is_so_in_every_turn_with_the_ceilings(turns: int) -> None:
    """The machine is slow from the first measurement of its ceilings in turns on; the case from turn `turns` on."""
    asked: list[Question] = []

    def misbehave(question: Question) -> Answer | None:
        if isinstance(question, MeasureCeilings):
            asked.append(question)
            return Answer(values={name: (value,) for name, value in SLOW.items()})
        return None

    def latency(case: Case, number: int) -> float:
        return 0.02 if len(asked) >= turns else 0.001

    scene = RunScene(misbehave, latency=latency, ceilings=[CEILINGS])
    scene.contests[0] = replace(scene.contests[0], cases=scene.contests[0].cases[:1], aim=Aim(rounds=1))
    (record,) = scene.records()
    assert len(asked) == min(turns, CONFIRMATIONS)
    if turns <= CONFIRMATIONS:
        assert record.outcome == "measured"
        assert record.values("latency") == (0.001,) * len(record.values("latency")), "not of the turns"
        assert record.warnings == (NOT_CONFIRMED,)
    else:
        assert record.outcome == "failed"


def test_a_worker_that_is_lost_in_such_a_turn_costs_the_one_case() -> None:
    slow = {name: (value,) for name, value in SLOW.items()}
    asked: list[Question] = []

    def misbehave(question: Question) -> Answer | None:
        if isinstance(question, MeasureCeilings):
            asked.append(question)
            return Answer(values=slow)
        if isinstance(question, Time) and question.case.implementation == "a" and asked:
            raise WorkerLostError("crashed", "killed by signal 11")
        return None

    scene = RunScene(misbehave, ceilings=[CEILINGS])
    scene.contests[0] = replace(scene.contests[0], aim=Aim(rounds=1))
    first, *others = sorted(scene.records(), key=lambda record: record.case.implementation)
    assert (first.outcome, first.reason) == ("crashed", "killed by signal 11")
    assert all(record.reason.startswith("faster than the machine allows") for record in others)


def test_what_is_faster_than_the_machine_by_every_measurement_fails() -> None:
    slow = {name: (value,) for name, value in SLOW.items()}

    def slow_again(question: Question) -> Answer | None:
        return Answer(values=slow) if isinstance(question, MeasureCeilings) else None

    scene = RunScene(slow_again, ceilings=[CEILINGS])
    records = scene.records()
    assert {r.outcome for r in records} == {"failed"}
    assert all(r.reason.startswith("faster than the machine allows") for r in records)
    assert not any(r.values("latency") for r in records)


def test_an_extended_contest_goes_on_in_new_rounds_in_which_every_rival_has_its_baseline() -> None:
    latency = noisy({"a": 0.0, "b": 0.01, "c": 0.2})
    declared, extended = Aim("a", 0.03, 6), Aim("a", 0.0005, 9, extended=True)
    first = RunScene(aim=declared, latency=latency).records()
    assert (rounds_of(first, "b"), rounds_of(first, "c")) == (list(range(4)), list(range(6)))
    scene = RunScene(aim=extended, latency=lambda case, number: latency(case, number + 6))
    scene.controller = Controller(
        scene.contests, Request(suites=("s",)), scene.start, scene.clock, begun={scene.contests[0].cases[0].contest: 6}
    )
    scene.controller.continue_from(first)
    planned = scene.controller.left(scene.contests[0])
    added = scene.records()
    assert {name: rounds_of(added, name) for name in "abc"} == {key: [6, 7, 8] for key in "abc"}
    assert planned == {key: list(scene.contests[0].cases) for key in (6, 7, 8)}


def test_what_is_left_of_a_new_run_is_all_of_it_and_of_a_finished_one_nothing() -> None:
    aim = Aim("a", 0.02, 20)
    scene = RunScene(aim=aim, latency=noisy({"a": 0.0, "b": 0.002, "c": 0.002}))
    (contest,) = scene.contests
    assert scene.controller.left(contest) == {key: list(contest.cases) for key in range(20)}, "no look has ended it yet"
    scene.records()
    assert scene.controller.left(contest) == {}


def test_cases_that_there_was_no_time_for_are_measured_when_the_run_goes_on() -> None:
    short = RunScene(budget=0.1, contests=2).records()
    scene = RunScene(contests=2)
    scene.controller.continue_from(short)
    made = scene.records()
    assert {(r.case, r.round) for r in made if r.outcome == "measured"} >= {
        (case, number) for case in scene.contests[1].cases for number in range(3)
    }
    short_again = RunScene(budget=0.1, contests=2)
    short_again.controller.continue_from(short)
    assert not [record for record in short_again.records() if record.outcome != "measured"], "it was said before"
