"""A live gate over fake workers and a fake clock: who is asked what in which order, and what comes of it."""

import itertools
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import pytest

from harness.analysis.pairs import match
from harness.analysis.results import results
from harness.errors import BitbenchError, NothingMeasuredError, UsageError
from harness.gate.live import BrokenHeadError, plan_case_pairs
from harness.gate.pair_controller import SIDES, CasePair
from harness.judge.judge import Judgement, judge
from harness.judge.policy import exit_code
from harness.judge.sequential import CONFIRMING, Sequential
from harness.model import Outcome, Record, Request, Side
from harness.model.messages import Accuracy, Answer, Memory, ObserveMachine, Prepare, Question, Release, Time
from harness.model.rules import Rules
from harness.runner.process import WorkerLostError
from tests.harness.fakes.gate_scene import EXACT, JUDGED, REGISTRY, GateScene, Misbehaviour, changed, description


def words(judgement: Judgement) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for verdict in judgement.judged:
        found.setdefault((verdict.case.implementation, verdict.metric), set()).add(verdict.word)
    return found


def rounds_of(scene: GateScene, implementation: str) -> int:
    return max(one["base"].round for one in scene.kept if one["base"].case.implementation == implementation) + 1


def ends_with(outcome: Outcome, kind: type[Question], side: Side, from_round: int = 0, *who: str) -> Misbehaviour:
    """Contestant b, or others, comes to this end there when asked that; a crash or a hang takes the worker with it."""

    def misbehave(where: Side, question: Question, number: int) -> Answer | None:
        case = getattr(question, "case", None)
        if where != side or not isinstance(question, kind) or number < from_round or case is None:
            return None
        if case.implementation not in (who or "b"):
            return None
        if outcome in ("crashed", "timed_out"):
            raise WorkerLostError(outcome, "because")
        return Answer(outcome, "because")

    return misbehave


def test_same_code_is_ok_at_the_first_look() -> None:
    scene = GateScene()
    judgement = scene.run()
    assert exit_code(judgement, "release") == 0
    assert scene.looks == [(4, 0)]
    assert {word for found in words(judgement).values() for word in found} == {"ok"}


def test_every_round_is_a_fresh_pair_and_every_duel_one_pair_of_records_a_round() -> None:
    scene = GateScene()
    scene.run()
    assert Counter(scene.sides.values()) == {"base": 4, "head": 4}
    assert all(worker.closed for worker in scene.workers)
    pairs = Counter((one["base"].case, one["base"].round) for one in scene.kept)
    assert pairs == {(case_pair.case, number): 1 for case_pair in scene.case_pairs for number in range(4)}
    orders = {tuple(one["base"].case.name for one in scene.kept if one["base"].round == number) for number in range(4)}
    assert len(orders) > 1, "cases come in another order in every round"


def test_visits_go_abba_or_baab_over_both_sides_with_one_loop_count() -> None:
    scene = GateScene()
    scene.run()
    visits = [(side, q) for side, q in scene.log if isinstance(q, Time) and q.samples > 1]
    blocks = [visits[start : start + 4] for start in range(0, len(visits), 4)]
    orders = Counter("".join(side[0] for side, _ in block) for block in blocks)
    assert set(orders) == {"bhhb", "hbbh"}
    assert min(orders.values()) > 0.4 * len(blocks)
    assert all(len({question.case for _, question in block}) == 1 for block in blocks)
    for case in {question.case for _, question in visits}:
        assert len({question.iterations for _, question in visits if question.case == case}) == 1
    timings = [m for one in scene.kept for r in one.values() for m in r.measurements if m.metric == "latency"]
    assert all(m.iterations > 1 and len(m.blocks) == len(m.values) for m in timings)


def test_both_sides_build_at_the_same_time() -> None:
    scene = GateScene()
    scene.run()
    building = [question for _, question in scene.log if isinstance(question, Prepare | Memory)]
    assert sum(sides == set(SIDES) for sides in scene.at_once) == len(building) / 2


def test_exact_metrics_are_measured_in_the_first_round_and_every_answer_is_judged_in_each() -> None:
    scene = GateScene()
    scene.run()
    for one in scene.kept:
        for record in one.values():
            exact = {m.metric for m in record.measurements} - {"latency"}
            assert exact == (set(EXACT) if record.round == 0 and record.case.suite == "s" else set())
    assert sum(isinstance(question, Accuracy) for _, question in scene.log) == 2 * len(scene.kept)


def test_a_doubt_that_comes_while_the_loop_count_is_sought_is_kept_and_that_time_counts() -> None:
    def sleeps(side: Side, question: Question, number: int) -> Answer | None:
        seeks = isinstance(question, Time) and question.samples == 1
        return Answer(values={"latency": (2**-6,)}, warnings=("the machine was suspended",)) if seeks else None

    scene = GateScene(misbehave=sleeps)
    scene.run()
    records = [record for one in scene.kept for record in one.values()]
    sought = [record for record in records if record.warnings]
    assert len(sought) == len(scene.case_pairs), "once a case pair, on the side that comes first"
    for record in sought:
        (timing,) = (m for m in record.measurements if m.metric == "latency")
        assert record.timed == pytest.approx(2 * 2**-6 + sum(timing.values) * timing.iterations)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("outcome", ["failed", "crashed", "timed_out"])
@pytest.mark.parametrize("kind", [Prepare, Accuracy, Memory, Time])
def test_what_befalls_a_case_on_one_side_costs_that_case_alone(
    side: Side, outcome: Outcome, kind: type[Question]
) -> None:
    other: Side = "head" if side == "base" else "base"
    scene = GateScene(misbehave=ends_with(outcome, kind, side))
    judgement = scene.run()
    for one in scene.kept:
        spoilt = one["base"].case.implementation == "b"
        assert (one[side].outcome, one[side].reason) == ((outcome, "because") if spoilt else ("measured", ""))
        assert one[other].outcome == "measured"
        assert one[other].values("latency"), "the other one is timed alone, or nobody would see that one is missing"
        assert not spoilt or {m.metric for m in one[other].measurements} == {*EXACT, "latency"}
    assert rounds_of(scene, "b") == 1
    assert rounds_of(scene, "a") == 4
    found = words(judgement)
    assert all(found["a", metric] == {"ok"} for metric in ("latency", *EXACT))
    assert all(found["b", metric] == {"not_measured" if side == "head" else "new"} for metric in EXACT)
    assert exit_code(judgement, "release") == (5 if side == "head" else 0)


@pytest.mark.parametrize("from_round", [0, 2])
def test_a_wrong_answer_of_head_is_red(from_round: int) -> None:
    def wrong(side: Side, question: Question, number: int) -> Answer | None:
        if (
            side == "head"
            and number >= from_round
            and isinstance(question, Accuracy)
            and question.case.implementation == "b"
        ):
            return Answer("failed", "wrong answer", {"agreement_sqnr": (3.0,)})
        return None

    judgement = GateScene(misbehave=wrong).run()
    assert words(judgement)["b", "weight_bytes"] == {"regressed"}
    assert words(judgement)["a", "latency"] == {"ok"}
    assert exit_code(judgement, "pr") == 1


@pytest.mark.parametrize("kind", [Release, ObserveMachine])
def test_a_worker_that_dies_between_cases_is_replaced(kind: type[Question]) -> None:
    deaths = itertools.count()

    def dies(side: Side, question: Question, number: int) -> Answer | None:
        if isinstance(question, kind) and next(deaths) == 3:
            raise WorkerLostError("crashed", "because")
        return None

    scene = GateScene(misbehave=dies)
    scene.run()
    lost = [record for one in scene.kept for record in one.values() if record.outcome != "measured"]
    assert len(lost) == (kind is ObserveMachine), "who was just visited, if anybody was"
    assert all(worker.closed for worker in scene.workers)


UNCERTAIN = changed(b=[1.0, 1.06, 0.99, 1.05, *[1.0] * 30])


@pytest.fixture(scope="module")
def undisturbed() -> tuple[GateScene, Judgement]:
    """A gate of several looks, and its end."""
    scene = GateScene(UNCERTAIN)
    return scene, scene.run()


@pytest.mark.parametrize("kept", [0, 1, 4, 5, 17, 20, 21, 27])
@pytest.mark.parametrize("half", [False, True])
def test_a_gate_that_was_killed_goes_on_where_it_was(
    undisturbed: tuple[GateScene, Judgement], kept: int, half: bool
) -> None:
    """Five case pairs a round: so many whole pairs were on the disk, and perhaps one side's record of the next."""
    killed, whole = undisturbed
    pairs = killed.kept[:kept]
    earlier: dict[Side, list[Record]] = {side: [pair[side] for pair in pairs if side in pair] for side in SIDES}
    if half:
        earlier["base"].append(killed.kept[kept]["base"])
    scene = GateScene(UNCERTAIN, earlier=earlier)
    scene.round = killed.kept[kept]["base"].round - 1
    judgement = scene.run()
    made = [(one["base"].case, one["base"].round) for one in scene.kept]
    assert len(set(made)) == len(made) == len(killed.kept) - kept
    assert not set(made) & {(pair["base"].case, pair["base"].round) for pair in pairs}
    assert words(judgement) == words(whole)
    assert scene.gate.reached == killed.gate.reached


def test_a_gate_that_was_over_hires_nobody_to_say_so_again() -> None:
    over = GateScene()
    over.run()
    scene = GateScene(earlier={side: [pair[side] for pair in over.kept] for side in SIDES})
    assert words(scene.run()) == words(over.gate.judge())
    assert not scene.workers


def test_cases_of_one_side_are_reported() -> None:
    scene = GateScene(base="ab", head="bc")
    judgement = scene.run()
    found = words(judgement)
    assert found["a", "weight_bytes"] == {"not_measured"}
    assert found["c", "weight_bytes"] == {"new"}
    assert found["b", "latency"] == {"ok"}
    assert exit_code(judgement, "pr") == 5
    assert all(one.keys() == {"base"} for one in scene.kept if next(iter(one.values())).case.implementation == "a")
    assert exit_code(GateScene(base="b", head="bc").run(), "release") == 0


def test_an_implementation_that_only_one_side_has_may_be_asked_for_and_one_that_nobody_has_may_not() -> None:
    def case_pairs(*names: str) -> list[CasePair]:
        request = Request(suites=("s",), implementations=names)
        return plan_case_pairs(REGISTRY, request, {"base": description("a", "b"), "head": description("b", "c")})

    sides = {case_pair.case.implementation: tuple(case_pair.contests) for case_pair in case_pairs("a", "b", "c")}
    assert sides == {"a": ("base",), "b": SIDES, "c": ("head",), "stock": SIDES}
    alone = {case_pair.case.implementation: tuple(case_pair.contests) for case_pair in case_pairs("c")}
    assert alone == {"c": ("head",)}, "there is nothing to watch over"
    with pytest.raises(UsageError, match="unknown implementation 'z'"):
        case_pairs("z")


def test_only_the_undecided_go_on_and_sentinels_ride_along() -> None:
    uncertain = [1.0, 1.06, 0.99, 1.05]
    scene = GateScene(changed(b=[*uncertain, *[1.0] * 30]), rules=Rules(geometric_mean=0.2))
    judgement = scene.run()
    assert scene.looks[0] == (4, 2 + 1)
    assert (rounds_of(scene, "a"), rounds_of(scene, "b")) == (4, rounds_of(scene, "stock"))
    assert rounds_of(scene, "b") > 4
    assert exit_code(judgement, "release") == 0


def test_everybody_goes_on_while_the_geometric_mean_is_open() -> None:
    scene = GateScene(changed(a=1.01, b=1.01), rules=Rules(margin=0.2))
    scene.run()
    assert scene.looks == [(look, 5 if look < 20 else 0) for look in scene.rules.looks]


def test_a_slow_case_is_red_when_fresh_rounds_confirm_it() -> None:
    scene = GateScene(changed(b=1.1), rules=Rules(geometric_mean=0.2))
    judgement = scene.run()
    assert words(judgement)["b", "latency"] == {"regressed"}
    assert words(judgement)["a", "latency"] == {"ok"}
    assert exit_code(judgement, "pr") == 1
    assert [rounds for rounds, _ in scene.looks] == [4, 6, 9]
    (verdict, *_) = [one for one in judgement.judged if one.word == "regressed"]
    assert [look.state for look in verdict.looks] == ["accused", "accused", "regressed"]


def test_what_only_the_first_rounds_show_is_not_red() -> None:
    judgement = GateScene(changed(b=[1.1] * 4 + [1.0]), rules=Rules(geometric_mean=0.2)).run()
    assert "regressed" not in words(judgement)["b", "latency"]


def test_the_last_rounds_only_confirm() -> None:
    scene = GateScene(changed(b=[1.0, 1.06] * 9 + [1.1] * 9), rules=Rules(geometric_mean=0.2))
    scene.run()
    assert scene.looks[-1][0] <= 20 + CONFIRMING
    assert all(going_on == 0 for rounds, going_on in scene.looks if rounds == 20 + CONFIRMING)


def test_an_accused_sentinel_goes_on_until_fresh_rounds_confirm_it_though_every_case_is_decided() -> None:
    scene = GateScene(changed(stock=1.2))
    judgement = scene.run()
    assert scene.looks == [(4, 1), (6, 1), (9, 0)]
    assert (rounds_of(scene, "a"), rounds_of(scene, "stock")) == (4, 9)
    assert exit_code(judgement, "release") == 4


@pytest.mark.parametrize("factor", [1.2, 0.8])
def test_a_sentinel_that_moves_ends_the_gate_without_a_verdict_on_latency(factor: float) -> None:
    scene = GateScene(changed(stock=factor, a=[1.0, 1.06], b=[1.0, 1.06]))
    judgement = scene.run()
    assert exit_code(judgement, "release") == 4
    assert scene.looks[-1] == (9, 0)
    found = words(judgement)
    assert found["a", "latency"] == {"incomparable"}
    assert found["a", "weight_bytes"] == {"ok"}


def test_one_byte_more_is_red_even_where_a_sentinel_moved() -> None:
    judgement = GateScene(changed(stock=1.2), values={"a": {"weight_bytes": 641.0}}).run()
    assert exit_code(judgement, "pr") == 1


@pytest.mark.parametrize(
    ("metric", "value", "word", "code"),
    [
        ("weight_bytes", 641.0, "regressed", 1),
        ("weight_bytes", 640.0, "ok", 0),
        ("error_sqnr", 7.98, "regressed", 1),
        ("error_sqnr", math.nan, "regressed", 1),
        ("peak_forward_bytes", math.inf, "regressed", 1),
        ("peak_forward_bytes", None, "not_measured", 5),
    ],
)
def test_exact_metrics_need_no_statistics(metric: str, value: float | None, word: str, code: int) -> None:
    judgement = GateScene(values={"b": {metric: value}}).run()
    assert words(judgement)["b", metric] == {word}
    assert words(judgement)["a", metric] == {"ok"}
    assert exit_code(judgement, "pr") == code


def test_a_renamed_case_is_not_measured_and_new() -> None:
    judgement = GateScene(base="ab", head="ac").run()
    assert words(judgement)["b", "latency"] == {"not_measured"}
    assert words(judgement)["c", "latency"] == {"new"}
    assert exit_code(judgement, "release") == 5


def rows(judgement: Judgement) -> dict[tuple[str, str], str]:
    """By case and metric; as text, for what is not a number differs from itself."""
    return {(one.case.name, one.metric): repr(one) for one in (*judgement.judged, *judgement.sentinels)}


def read_back(records: Mapping[Side, Sequence[Record]], rules: Rules) -> Judgement:
    """As from a gate's two runs on the disk."""
    pairs = match(results(records["base"]), results(records["head"]), JUDGED, paired=True)
    reached = max(record.round for side in SIDES for record in records[side]) + 1
    return judge(pairs, (), Sequential.ended(rules, reached))


def test_the_order_of_records_changes_nothing() -> None:
    scene = GateScene(changed(a=1.1, b=[1.0, 1.06]), values={"b": {"weight_bytes": 641.0}})
    live = rows(scene.run())
    rng = random.Random(0)
    shuffled = {side: rng.sample(records, len(records)) for side, records in scene.gate.records.items()}
    assert rows(read_back(shuffled, scene.rules)) == live


@pytest.mark.parametrize("seconds", [4, 6.1, 7.5, 10.4, 14])
def test_a_gate_that_runs_out_of_time_is_read_back_as_it_ended(seconds: float) -> None:
    scene = GateScene(changed(a=1.1, b=[1.0, 1.06]), budget=seconds)
    live = scene.run()
    assert scene.clock() < seconds + 1
    assert rows(read_back(scene.gate.records, scene.rules)) == rows(live)
    assert exit_code(live, "pr") != 0 or scene.gate.reached >= 4


def test_time_that_is_over_before_the_first_look_is_no_pass() -> None:
    scene = GateScene(budget=3.0)
    judgement = scene.run()
    assert 0 < scene.gate.reached < 4
    assert words(judgement)["a", "latency"] == {"not_measured"}
    assert exit_code(judgement, "pr") == 5
    assert all(worker.closed for worker in scene.workers)


def test_time_that_went_before_the_first_duel_counts() -> None:
    scene = GateScene(budget=3.0)
    scene.clock.time = 3.0
    with pytest.raises(NothingMeasuredError, match=r"after 0 of 5 cases.*raise --budget"):
        scene.run()
    assert not scene.workers


@pytest.mark.parametrize("metrics", [JUDGED, frozenset({"latency"})])
def test_time_that_is_over_before_every_case_was_measured_is_no_pass_either(metrics: frozenset[str]) -> None:
    scene = GateScene(budget=0.4, metrics=metrics)
    with pytest.raises(NothingMeasuredError, match=r"after \d of 5 cases.*raise --budget"):
        scene.run()
    assert all(worker.closed for worker in scene.workers)


def test_where_the_time_is_over_between_two_looks_there_is_one_more() -> None:
    scene = GateScene(changed(a=1.03, b=1.03), rules=Rules(looks=(4, 20), geometric_mean=0.5), budget=12.0)
    verdicts = {one.case.implementation: one for one in scene.run().verdicts if one and one.metric == "latency"}
    assert 4 < scene.gate.reached < 20
    assert [look.rounds for look in verdicts["a"].looks] == [4, scene.gate.reached]


@pytest.mark.parametrize("budget", [12.0, 12.9, 13.8, 14.7, 15.6])
def test_no_round_begins_whose_workers_would_start_when_the_time_is_over(budget: float) -> None:
    started: set[int] = set()

    def starts(side: Side, question: Question, number: int) -> None:
        scene.clock.time += 0.0 if number in started else 2.0
        started.add(number)

    scene = GateScene(changed(a=1.03, b=1.03), starts, rules=Rules(looks=(3, 20), geometric_mean=0.5), budget=budget)
    scene.run()
    assert scene.gate.reached >= 3
    assert scene.clock() <= budget


@pytest.mark.parametrize(("budget", "going_on"), [(0.0, 5), (9.0, 3)])
def test_cases_that_are_open_come_before_the_geometric_mean_where_the_time_is_short(
    budget: float, going_on: int
) -> None:
    scene = GateScene(changed(a=1.005, b=[1.0, 1.06, 0.99, 1.05, *[1.0] * 30]), budget=budget)
    scene.run()
    assert scene.looks[0] == (4, going_on)
    assert rounds_of(scene, "b") > 4
    assert (rounds_of(scene, "a") == 4) == (going_on == 3)


def test_everybody_goes_on_as_long_as_an_accused_geometric_mean_can_still_be_confirmed() -> None:
    scene = GateScene(changed(a=1.02, b=[1.04, 1.06]), rules=Rules(margin=0.05, looks=(4, 20)), budget=14.0)
    judgement = scene.run()
    assert scene.looks[0] == (4, 5)
    assert judgement.geometric_mean is not None
    assert [look.state for look in judgement.geometric_mean.looks] == ["accused", "regressed"]
    assert scene.gate.reached < 20


@pytest.mark.parametrize(
    ("side", "error", "told"),
    [("head", BrokenHeadError, "head is broken"), ("base", UsageError, "base is broken.*give another --base")],
)
def test_a_side_of_which_nothing_can_be_measured_ends_the_gate_after_one_round(
    side: Side, error: type[BitbenchError], told: str
) -> None:
    scene = GateScene(misbehave=ends_with("crashed", Prepare, side, 0, "a", "b"))
    with pytest.raises(error, match=told) as raised:
        scene.run()
    assert raised.value.exit_code == {"head": 1, "base": 2}[side]
    assert scene.round == 0
    assert all(worker.closed for worker in scene.workers)


def test_without_a_case_there_is_no_gate() -> None:
    with pytest.raises(NothingMeasuredError) as raised:
        GateScene(request=Request(suites=("s",), keyword="m=7"))
    assert raised.value.exit_code == 5
    with pytest.raises(NothingMeasuredError):
        GateScene(metrics=frozenset({"agreement_sqnr"}))


def test_without_latency_one_round_is_all() -> None:
    scene = GateScene(metrics=frozenset(EXACT))
    judgement = scene.run()
    assert exit_code(judgement, "release") == 0
    assert [question for _, question in scene.log if isinstance(question, Time)] == [] or {
        question.case.suite for _, question in scene.log if isinstance(question, Time)
    } == {"watch"}
    assert not {metric for _, metric in words(judgement)} - set(EXACT)


def test_when_nothing_is_left_to_time_sentinels_do_not_go_on_alone() -> None:
    scene = GateScene(misbehave=ends_with("crashed", Time, "head", 1, "a", "b"))
    live = rows(scene.run())
    assert max(record.round for one in scene.kept for record in one.values()) == 1
    assert rows(read_back(scene.gate.records, scene.rules)) == live


def test_an_exact_metric_of_a_head_that_crashes_later_does_not_pass() -> None:
    judgement = GateScene(misbehave=ends_with("crashed", Time, "head", 2)).run()
    assert words(judgement)["b", "weight_bytes"] == {"not_measured"}
    assert exit_code(judgement, "pr") == 5


def test_rounds_can_be_limited() -> None:
    scene = GateScene(changed(a=[1.0, 1.1], b=[1.0, 1.1]), rules=Rules(looks=(4,)))
    scene.run()
    assert scene.looks == [(4, 5), (9, 0)], "accused at the last look, and confirmed by five rounds more"
    assert scene.gate.rules == msgspec.structs.replace(Rules(), looks=(4,))
