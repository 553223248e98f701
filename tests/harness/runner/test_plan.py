"""From a request to contests: names, axes, keywords, devices and threads."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.errors import NothingMeasuredError, UsageError
from harness.estimators.looks import LOOKS
from harness.model import Aim, Budget, Case, Request, Value, filters
from harness.model.messages import Description
from harness.model.suite import Axis, Registry, Suite
from harness.runner.plan import Contest, make_plan, require_devices


def _even(value: Value) -> Value:
    if not isinstance(value, int) or value % 2:
        raise ValueError(f"{value!r} is not even")
    return value


SUITE = Suite(
    name="toy",
    summary="",
    axes=(
        Axis("m", (2, 4), _even, full=(2, 4, 8)),
        Axis("device", ("auto",), str),
        Axis("threads", (0,), lambda value: value),
    ),
    metrics=("latency", "weight_bytes"),
    budget=Budget(rounds=3, seconds=1.0),
    workload="",
    resolve=dict,
    facts=dict,
)
REGISTRY = Registry("toys", {"toy": SUITE}, "")
SEEN = Description({}, {"a": "", "b": ""}, {}, {"cuda": "no GPU", "cpu": ""})


def plan(**options: object) -> list[Contest]:
    return make_plan(Request(suites=("toy",), **options), REGISTRY, SEEN)  # type: ignore[arg-type]  # by name


def test_contestants_of_a_contest_differ_in_nothing_but_the_implementation() -> None:
    contests = plan()
    assert [[case.implementation for case in contest.cases] for contest in contests] == [["a", "b"]] * 2
    assert all(len({case.contest for case in contest.cases}) == 1 for contest in contests)
    assert contests[0].seed != contests[1].seed
    assert [contest.seed for contest in plan()] == [contest.seed for contest in contests]


def test_peers_and_those_left_out_take_part_where_they_are_asked_for_and_records_say_what_peers_are() -> None:
    seen = replace(SEEN, implementations={"a": "", "b": "", "p": ""}, peers={"p": {"library": "lib", "version": "1"}})
    suites = {"toy": SUITE, "open": dataclasses.replace(SUITE, implementations=("b",), peers=True)}
    suites["closed"] = dataclasses.replace(SUITE, left_out=("b",))

    def contestants(suite: str, **options: object) -> list[str]:
        request = Request(suites=(suite,), **options)  # type: ignore[arg-type]  # by name
        contest = make_plan(request, Registry("toys", suites, ""), seen)[0]
        assert all(("library" in contest.facts_of(case)) == (case.implementation == "p") for case in contest.cases)
        return [case.implementation for case in contest.cases]

    assert contestants("toy") == ["a", "b"]
    assert contestants("open") == ["b", "p"]
    assert contestants("closed") == ["a"]
    assert contestants("closed", implementations=("b",)) == ["b"]
    assert contestants("toy", implementations=("p", "a")) == ["p", "a"]


def test_auto_is_the_best_usable_device_and_zero_threads_are_all_cores() -> None:
    params = plan()[0].cases[0].params
    assert params["device"] == "cpu"
    assert int(params["threads"]) >= 1
    assert plan(device="cuda", threads=7)[0].cases[0].params == {"device": "cuda", "m": 2, "threads": 7}


def test_options_change_values_implementations_rounds_and_metrics() -> None:
    assert [c.cases[0].params["m"] for c in plan(full=True)] == [2, 4, 8]
    assert [c.cases[0].params["m"] for c in plan(axes={"m": (16, 16, 32)})] == [16, 32]
    assert [case.implementation for case in plan(implementations=("b", "x.y:z"))[0].cases] == ["b", "x.y:z"]
    assert plan(rounds=9)[0].aim == Aim(rounds=9)
    assert plan(rounds=9, metrics=("weight_bytes",))[0].aim.rounds == 1
    assert plan(precision=0.05)[0].aim == Aim("", 0.05, LOOKS[-1])
    assert plan(precision=0.05, rounds=7)[0].aim == Aim("", 0.05, 7)
    assert [case.name for contest in plan(keyword="m=4 and not implementation=a") for case in contest.cases] == [
        case.name for case in plan()[1].cases[1:]
    ]


def test_a_device_that_cannot_be_used_is_no_plan_and_beside_one_that_can_a_skipped_row() -> None:
    with pytest.raises(UsageError, match="no GPU"):
        require_devices(plan(device="cuda"), SEEN)
    require_devices(plan(axes={"device": ("cuda", "cpu")}), SEEN)
    require_devices(plan(), SEEN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"suites": ("nope",)}, "unknown suite 'nope'; choose from: toy"),
        ({"implementations": ("nope",)}, "unknown implementation 'nope'; choose from: a, b, or give your own"),
        ({"axes": {"x": (1,)}}, "suite toy has no axis 'x'; it has: m, device, threads"),
        ({"axes": {"m": (3,)}}, "suite toy, axis m: 3 is not even"),
        ({"device": "tpu"}, "unknown device 'tpu'; choose from: auto, cuda, cpu"),
        ({"keyword": "a and"}, "-k 'a and' is not well formed"),
        ({"device": "cpu", "axes": {"device": ("cuda",)}}, "--device cpu and --axis device=...: give one of them"),
    ],
)
def test_what_does_not_exist_is_answered_with_what_does(options: dict[str, object], message: str) -> None:
    request = Request(**{"suites": ("toy",), **options})  # type: ignore[arg-type]  # by name
    with pytest.raises(UsageError) as raised:
        make_plan(request, REGISTRY, SEEN)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_keyword_that_leaves_nothing_is_not_a_success() -> None:
    with pytest.raises(NothingMeasuredError):
        plan(keyword="nothing-like-it")


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("", "ab bc ca"),
        ("a", "ab ca"),
        ("A and not c", "ab"),
        ("not (a and b) and not bc", "ca"),
        ("bc or ca or zz", "bc ca"),
    ],
)
def test_keywords(expression: str, kept: str) -> None:
    assert " ".join(filter(filters.parse(expression), ["ab", "bc", "ca"])) == kept


@pytest.mark.parametrize("expression", ["and", "a b", "(a", "a)", "not", "a or", "()"])
def test_malformed_keywords(expression: str) -> None:
    with pytest.raises(UsageError, match="not well formed"):
        filters.parse(expression)


words = st.text(min_size=1, max_size=8)


@given(words, words, st.dictionaries(words, words | st.integers() | st.floats(allow_nan=False), max_size=4))
def test_a_case_s_name_round_trips(suite: str, implementation: str, params: dict[str, Value]) -> None:
    case = Case.of(suite, implementation, {key: value for key, value in params.items() if key != "implementation"})
    assert Case.parse(case.name) == case
    assert Case.parse(case.name).params == case.params
