import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import cli
from harness.analysis.pairs import MetricPair, match
from harness.analysis.results import results
from harness.errors import UsageError
from harness.judge.judge import Judgement, judge
from harness.judge.policy import detectable, exit_code
from harness.judge.sequential import SingleLook
from harness.judge.verdict import Note, RelativeChange, Verdict, Word
from harness.model import Environment, Record
from harness.model.metrics import METRICS
from harness.model.rules import Rules
from harness.show.verdict_words import invalid_words, reason
from tests.harness.data import golden
from tests.harness.data.factories import make_case, make_environment, make_record, make_records, make_run, write_run
from tests.harness.data.pairs import pair_of

Values = Mapping[str, float | Sequence[float]]


def rounds(metric: str, values: Sequence[float]) -> list[Record]:
    return [make_record(round=n, values={metric: value}) for n, value in enumerate(values)]


RULES = Rules(margin=0.05)


def verdict_on(pair: MetricPair, differing: Sequence[str] = (), rules: Rules = RULES) -> Verdict:
    (verdict,) = judge([pair], differing, SingleLook(rules)).judged
    return verdict


def word(metric: str, base: Sequence[float], head: Sequence[float]) -> str:
    return verdict_on(pair_of(rounds(metric, base), rounds(metric, head))).word


STEADY = (1.00, 1.01, 0.99)
NOISY = (1.0, 1.3, 0.8)


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        (STEADY, [1.2 * v for v in STEADY], "regressed"),
        (STEADY, [0.8 * v for v in STEADY], "improved"),
        (STEADY, STEADY, "ok"),
        (STEADY, [0.97 * v for v in STEADY], "ok"),
        (STEADY, [1.05 * v for v in STEADY], "inconclusive"),
        (NOISY, NOISY, "inconclusive"),
        (STEADY, (1.0,), "inconclusive"),
        ((1.0,), (9.0,), "inconclusive"),
        (STEADY, (0.0, 0.0, 0.0), "not_measured"),
        ((math.nan,) * 3, STEADY, "not_measured"),
    ],
)
def test_sampled_metrics_by_the_interval_against_the_margin(
    base: Sequence[float], head: Sequence[float], expected: Word
) -> None:
    assert word("latency", base, head) == expected


def test_where_higher_is_better_the_words_turn_round() -> None:
    assert METRICS["timed_share"].better == "higher"
    assert word("timed_share", STEADY, [0.8 * v for v in STEADY]) == "regressed"
    assert word("timed_share", STEADY, [1.2 * v for v in STEADY]) == "improved"


@pytest.mark.parametrize(
    ("metric", "base", "head", "expected"),
    [
        ("weight_bytes", 640, 640, "ok"),
        ("weight_bytes", 640, 641, "regressed"),
        ("weight_bytes", 640, 639, "improved"),
        ("peak_forward_bytes", 0, 0, "ok"),
        ("peak_forward_bytes", 0, 8, "regressed"),
        ("error_sqnr", 8.0, 7.995, "ok"),
        ("error_sqnr", 8.0, 7.9, "regressed"),
        ("error_sqnr", 8.0, 8.1, "improved"),
        ("error_sqnr", math.inf, math.inf, "ok"),
        ("error_sqnr", math.inf, 90.0, "regressed"),
        ("error_sqnr", 90.0, math.inf, "improved"),
        ("error_sqnr", 8.0, math.nan, "regressed"),
        ("error_sqnr", math.nan, math.nan, "not_measured"),
        ("error_sqnr", math.nan, 8.0, "not_measured"),
        ("error_relative", 0.4, 0.4003, "ok"),
        ("error_relative", 0.4, 0.41, "regressed"),
    ],
)
def test_exact_metrics_within_their_tolerance(metric: str, base: float, head: float, expected: Word) -> None:
    assert word(metric, [base], [head]) == expected


MEASURED = [make_record(values={"weight_bytes": 640})]
SKIPPED = [make_record(reason="no such instruction")]
FAILED = [make_record(outcome="failed", reason="RuntimeError: no")]
CRASHED_LATER = [*MEASURED, make_record(round=1, outcome="crashed", reason="signal 11")]
TIMED_OUT = [make_record(outcome="timed_out", reason="longer than 120 s")]
WRONG = [make_record(values={"agreement_sqnr": 3.0}, outcome="failed", reason="3 dB from the contract")]
WRONG_LATER = [*MEASURED, make_record(WRONG[0].case, 1, {"agreement_sqnr": 3.0}, outcome="failed", reason="3 dB")]


@pytest.mark.parametrize(
    ("base", "head", "expected", "words"),
    [
        (MEASURED, [], "not_measured", "head has no such case"),
        (MEASURED, [make_record()], "not_measured", "head did not measure this metric"),
        (MEASURED, SKIPPED, "not_measured", "head skipped it in round 1: no such instruction"),
        (MEASURED, FAILED, "not_measured", "head failed in round 1: RuntimeError: no"),
        (MEASURED, CRASHED_LATER, "not_measured", "head crashed in round 2: signal 11"),
        (MEASURED, TIMED_OUT, "not_measured", "head timed out in round 1: longer than 120 s"),
        (MEASURED, WRONG, "regressed", "head gives a wrong answer: 3 dB from the contract"),
        (MEASURED, WRONG_LATER, "regressed", "head gives a wrong answer: 3 dB"),
        (CRASHED_LATER, CRASHED_LATER, "ok", "640 B"),
        (CRASHED_LATER, MEASURED, "ok", "640 B"),
        ([], MEASURED, "new", "base has no such case"),
        (SKIPPED, MEASURED, "new", "base skipped it in round 1: no such instruction"),
        ([make_record()], MEASURED, "new", "base did not measure this metric"),
    ],
)
def test_what_is_missing_never_passes(base: list[Record], head: list[Record], expected: Word, words: str) -> None:
    verdict = verdict_on(pair_of(base, head))
    assert (verdict.word, reason(verdict)) == (expected, words)


def test_what_neither_side_measured_is_no_row() -> None:
    assert match(results(SKIPPED), results(WRONG), METRICS) == []


def test_unlike_machines_are_incomparable_and_exact_metrics_are_not() -> None:
    latency = pair_of(rounds("latency", STEADY), rounds("latency", STEADY))
    verdict = verdict_on(latency, ("cpu_model: A vs B",))
    assert verdict.word == "incomparable"
    assert verdict.note == Note("unlike_machines", detail="cpu_model: A vs B")
    assert verdict.change is None
    assert reason(verdict).endswith("unlike machines (cpu_model: A vs B); measure both on one machine")
    assert verdict_on(pair_of(MEASURED, MEASURED), ("cpu_model: A vs B",)).word == "ok"


def test_an_inconclusive_row_says_what_to_do() -> None:
    noisy = verdict_on(pair_of(rounds("latency", NOISY), rounds("latency", [1.04 * v for v in NOISY])))
    assert (noisy.note, noisy.cure) == (Note("undecided"), "quieter_machine")
    assert "the margin is 5 %, and the rounds do not tell whether this is beyond it" in reason(noisy)
    assert "quieten the machine" in reason(noisy)
    near = verdict_on(pair_of(rounds("latency", STEADY), rounds("latency", [1.03 * v for v in STEADY])))
    assert near.cure == "more_rounds"
    assert f"about {near.needed} rounds would settle it" in reason(near)
    assert near.detectable > 0.05
    alone = verdict_on(pair_of(rounds("latency", [1.0]), rounds("latency", [1.0])))
    assert (alone.note, alone.cure) == (Note("one_round"), "rounds_option")
    assert "measure 3 rounds or more (--rounds 3)" in reason(alone)


@given(
    st.lists(st.floats(0.9, 1.1), min_size=3, max_size=6),
    st.lists(st.floats(0.5, 2.0), min_size=3, max_size=6),
    st.floats(0.001, 0.5),
)
def test_a_regression_of_one_side_is_never_one_of_the_other(
    base: list[float], head: list[float], margin: float
) -> None:
    rules = Rules(margin=margin, floor=0.0)
    there = verdict_on(pair_of(rounds("latency", base), rounds("latency", head)), (), rules).word
    back = verdict_on(pair_of(rounds("latency", head), rounds("latency", base)), (), rules).word
    assert there != "regressed" or back == "improved"
    assert {there, back} != {"regressed"}
    assert {there, back} != {"ok", "regressed"}


def judged(*words: Word, sentinel: Word = "ok") -> Judgement:
    verdicts = [Verdict(make_case(), "latency", word) for word in words]
    watched = Verdict(make_case("linear-fp32"), "latency", sentinel, RelativeChange(0.08, 0.071, 0.089))
    return Judgement((), verdicts, (), SingleLook(RULES), sentinels=(watched,))


@pytest.mark.parametrize(
    ("words", "release", "pr"),
    [
        (("ok",), 0, 0),
        (("improved", "ok", "new"), 0, 0),
        ((), 5, 5),
        (("new",), 5, 5),
        (("ok", "inconclusive"), 3, 0),
        (("inconclusive",), 3, 3),
        (("inconclusive", "new"), 3, 3),
        (("ok", "inconclusive", "incomparable"), 2, 2),
        (("ok", "incomparable", "not_measured"), 5, 5),
        (("ok", "not_measured", "regressed", "incomparable", "inconclusive"), 1, 1),
    ],
)
def test_exit_codes(words: tuple[Word, ...], release: int, pr: int) -> None:
    assert (exit_code(judged(*words), "release"), exit_code(judged(*words), "pr")) == (release, pr)


def test_a_sentinel_that_moved_leaves_only_what_is_exact() -> None:
    assert exit_code(judged("ok", sentinel="regressed"), "pr") == 4
    assert exit_code(judged("ok", "not_measured", sentinel="regressed"), "pr") == 4
    assert exit_code(judged("ok", "regressed", sentinel="regressed"), "pr") == 1
    words = invalid_words(judged(sentinel="regressed"))
    assert (
        "linear-fp32, whose code is the same on both sides, changed by +8.0 % [+7.1, +8.9]; end what else runs" in words
    )
    assert not judged("ok", sentinel="inconclusive").moved


@given(st.lists(st.sampled_from(["new", "inconclusive", "incomparable", "not_measured"])))
def test_nothing_judged_well_is_never_0(words: list[Word]) -> None:
    assert exit_code(judged(*words), "pr") != 0


def test_the_detectable_slowdown_is_that_of_the_noisiest_latency() -> None:
    pairs = [pair_of(rounds("latency", values), rounds("latency", values)) for values in (STEADY, NOISY)]
    judgements = [judge([pair], (), SingleLook(RULES)) for pair in pairs]
    assert 0.05 < detectable(judgements[0]) < detectable(judgements[1])
    assert math.isnan(detectable(judged()))


def write(directory: Path, environment: Environment | None = None, **changes: object) -> str:
    run = make_run(run_id=directory.name, environment=environment)
    return str(write_run(directory, run, make_records(tokens=(1,), **changes)))  # type: ignore[arg-type]  # for brevity


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.main(["gate", *arguments])
    return code, capsys.readouterr().out


@pytest.mark.parametrize(("form", "suffix"), [("text", "txt"), ("markdown", "md")])
def test_what_gate_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str, suffix: str) -> None:
    head = make_records(tokens=(1,), slowdown={"int8": 1.3, "eager": 0.7, "linear-bf16": 1.04}, seed=1)
    head = [record for record in head if record.case.implementation != "bf16"]
    head += [make_record(make_case("brand-new"), 0, {"weight_bytes": 640})]
    candidate = str(write_run(tmp_path / "head", make_run(run_id="head"), head))
    code, out = printed(capsys, write(tmp_path / "base"), candidate, "--format", form)
    assert code == 1
    golden.check(f"gate.{suffix}", out)


def test_gate_from_another_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, head = write(tmp_path / "base"), write(tmp_path / "head", make_environment(cpu_model="Other", gpu="Big"))
    code, out = printed(capsys, base, head)
    assert code == 2
    assert "would have shown" not in out
    assert out.count("cpu_model: Example CPU 1000 vs Other") == 1
    assert printed(capsys, base, head, "--metric", "portable")[0] == 0
    assert printed(capsys, base, head, "--metric", "exact")[0] == 2
    assert printed(capsys, base, head, "--metric", "weight_bytes", "--metric", "error_sqnr")[0] == 0


def test_gate_of_a_run_against_its_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, copy = write(tmp_path / "base", noise=0.001), tmp_path / "copy"
    shutil.copytree(base, copy)
    code, out = printed(capsys, base, str(copy))
    assert code == 0
    assert "are the same run" in out


def test_the_policy_decides_on_inconclusive_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, head = (
        write(tmp_path / "base", noise=0.2, troubles=False),
        write(tmp_path / "head", noise=0.2, troubles=False),
    )
    assert printed(capsys, base, head)[0] == 3
    assert printed(capsys, base, head, "--policy", "pr")[0] == 0
    lax = tmp_path / "lax.toml"
    lax.write_text('margin = "99%"\ngeometric-mean = "99%"\n')
    assert printed(capsys, base, head, "--rules", str(lax))[0] == 0


def test_an_allowance_that_decides_for_no_case_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, head = write(tmp_path / "base", noise=0.001), write(tmp_path / "head", noise=0.001)
    rules = tmp_path / "rules.toml"
    allowance = '[[allowances]]\nmatch = "{}"\nmargin = "9%"\nreason = "why"\n'
    rules.write_text("".join(map(allowance.format, ("imt8", "int8 and m=1/", "linear-bf16", "int8", "eager"))))
    _, out = printed(capsys, base, head, "--rules", str(rules), "--format", "json")
    said = [line for line in msgspec.json.decode(out)["warnings"] if "allowance" in line]
    assert [line.split("'")[1] for line in said] == ["imt8", "int8 and m=1/", "linear-bf16"]
    assert "it matches none of them: correct its match" in said[0]
    assert "later ones match all of them" in said[1]
    assert said[0] in printed(capsys, base, head, "--rules", str(rules))[1]


def test_gate_json_holds_every_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, head = write(tmp_path / "base"), write(tmp_path / "head", slowdown={"int8": 2.0})
    code, out = printed(capsys, base, head, "--format", "json")
    content = msgspec.json.decode(out)
    assert (code, content["exit_code"], content["policy"], content["rules"]["margin"]) == (1, 1, "release", 0.03)
    worst = [row for row in content["rows"] if row["verdict"] == "regressed"]
    assert {row["metric"] for row in worst} == {"latency"}
    assert all(row["ratio_lo"] > 1.03 and "implementation=int8" in row["case"] for row in worst)
    assert sum(content["counts"].values()) == sum(bool(row["verdict"]) for row in content["rows"]) + 1
    assert content["geometric_mean"]["word"] in content["counts"]


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = write(tmp_path / "base")
    for arguments in (
        [base, str(tmp_path / "none")],
        [base, base, "--metric", "speed"],
        [base, base, "--metric", "first_call"],
        [base, base, "--margin", "0%"],
        [base, base, "--margin", "3"],
        [base, base, "--policy", "lax"],
        [base],
    ):
        assert cli.main(["gate", *arguments]) == UsageError.exit_code
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "Traceback" not in error


def test_information_that_only_one_side_has_changes_no_verdict() -> None:
    older = [make_record(values={"weight_bytes": 640.0})]
    newer = [make_record(values={"weight_bytes": 640.0, "code_bytes": 600.0, "error_histogram": [1 / 32] * 32})]
    for base, head in ((older, newer), (newer, older)):
        pairs = match(results(base), results(head), METRICS)
        judgement = judge(pairs, (), SingleLook(RULES))
        assert [(verdict.metric, verdict.word) for verdict in judgement.judged] == [("weight_bytes", "ok")]
        assert exit_code(judgement, "release") == 0
        assert "error_histogram" not in [pair.metric.name for pair in pairs]


@pytest.mark.parametrize(
    ("name", "roles", "expected"),
    [
        ("linear-mine", ("contestant", "contestant"), 1),
        ("linear-fp32", ("baseline", "baseline"), 4),
        ("stock", ("sentinel", "sentinel"), 4),
        ("linear-fp32", ("contestant", "baseline"), 1),
    ],
    ids=["its name makes no sentinel", "a baseline", "a sentinel", "a side cannot declare itself one"],
)
def test_a_slowdown_is_red_unless_both_sides_say_that_the_code_cannot_differ(
    name: str, roles: tuple[str, str], expected: int, tmp_path: Path
) -> None:
    for side, role, seconds in zip(("base", "head"), roles, (1e-3, 1.5e-3), strict=True):
        records = [
            msgspec.structs.replace(made, facts={"role": told} if told != "contestant" else {})
            for turn, noise in enumerate(STEADY)
            for who, told, time in ((name, role, seconds), ("eager", "contestant", 1e-3))
            for made in [make_record(make_case(who), turn, {"latency": time * noise})]
        ]
        write_run(tmp_path / side, make_run(run_id=side), records)
    given = ("gate", str(tmp_path / "base"), str(tmp_path / "head"), "--policy", "pr", "--metric", "latency")
    assert cli.main(given) == expected
