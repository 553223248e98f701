"""gate.toml: what it may say, what that means, and one clear line for everything else."""

import math
from pathlib import Path

import msgspec
import pytest

from harness.errors import UsageError
from harness.estimators.looks import LOOKS
from harness.judge.judge import Judgement, judge
from harness.judge.rules import read
from harness.judge.sequential import SingleLook
from harness.model.metrics import METRICS
from harness.model.rules import Allowance, Rules
from harness.show.verdict_words import reason
from tests.harness.data.factories import make_case, make_record
from tests.harness.data.pairs import pair_of

EVERYTHING = """
margin = "5%"
geometric-mean = "2%"
floor = "2 us"
rounds = 9

[tolerances]
error_sqnr = 0.5
weight_bytes = 64

[[allowances]]
match = "eager and m=1"
margin = "8%"
reason = "waits for #12"

[[allowances]]
match = "eager and not n=2560"
margin = "20%"
reason = "a new\\n kernel"
"""


def written(folder: Path, content: str) -> Path:
    path = folder / "gate.toml"
    path.write_text(content)
    return path


def test_every_entry(tmp_path: Path) -> None:
    assert read(written(tmp_path, EVERYTHING)) == Rules(
        margin=0.05,
        geometric_mean=0.02,
        floor=2e-6,
        looks=(4, 6, 9),
        tolerances={"error_sqnr": 0.5, "weight_bytes": 64.0},
        allowances=(
            Allowance("eager and m=1", 0.08, "waits for #12"),
            Allowance("eager and not n=2560", 0.2, "a new kernel"),
        ),
    )


def test_an_empty_file_or_none_at_all_means_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(written(tmp_path, "")) == Rules()
    monkeypatch.chdir(tmp_path)
    written(tmp_path, 'margin = "7%"')
    assert read(None).margin == 0.07
    (tmp_path / "gate.toml").unlink()
    assert read(None) == Rules()


@pytest.mark.parametrize(
    ("text", "seconds"), [("0s", 0.0), ("0.5 ms", 5e-4), ("20us", 2e-5), ("7ns", 7e-9), ("1.5s", 1.5)]
)
def test_the_floor_is_a_time_with_its_unit(tmp_path: Path, text: str, seconds: float) -> None:
    assert read(written(tmp_path, f'floor = "{text}"')).floor == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("rounds", "looks"),
    [(4, (4,)), (6, (4, 6)), (10, (4, 6, 9, 10)), (20, LOOKS), (30, (*LOOKS, 30))],
)
def test_rounds_end_the_planned_looks(tmp_path: Path, rounds: int, looks: tuple[int, ...]) -> None:
    rules = read(written(tmp_path, f"rounds = {rounds}"))
    assert rules.looks == looks
    assert rules.red_level * len(looks) == pytest.approx(rules.false_red)
    assert rules.ok_level * len(looks) == pytest.approx(rules.false_ok)


ALLOWANCE = '[[allowances]]\nmatch = "{}"\nmargin = "{}"\nreason = "{}"'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("margin = 5", "margin = 5: '5' has no unit: write 5% (in quotation marks)"),
        ("margin = 0.03", "write 3%, or 0.03% if that is meant"),
        ("margin = 0", "margin = 0:"),
        ('margin = "-3%"', "margin = '-3%'"),
        ("margin = nan", "margin = nan"),
        ("margin = true", "margin = True"),
        ('geometric-mean = "a lot"', "geometric-mean = 'a lot'"),
        ("geometric_mean = 0.01", "unknown entry 'geometric_mean'; it may have: margin, geometric-mean, floor"),
        ("floor = 2", "floor = 2; give a time with its unit"),
        ('floor = "1m"', "floor = '1m'"),
        ('floor = "-1us"', "floor = '-1us'"),
        ("rounds = 3", "rounds = 3; give a whole number from 4 to 100"),
        ("rounds = 101", "rounds = 101"),
        ("rounds = true", "rounds = True"),
        ("rounds = 9.5", "rounds = 9.5"),
        ("tolerances = 1", "tolerances = 1 is no table"),
        ("tolerances.latency = 1", "'latency' is no exact or paired metric; choose from: weight_bytes"),
        ("tolerances.error_sqnr = -1", "error_sqnr = -1; give a number in the metric's unit"),
        ("tolerances.error_sqnr = inf", "error_sqnr = inf"),
        ("tolerances.error_sqnr = nan", "error_sqnr = nan"),
        ("tolerances.error_sqnr = true", "error_sqnr = True"),
        ('[allowances]\nmatch = "m=1"', "write [[allowances]]"),
        ("allowances = [1]", "allowances = 1 is no table"),
        ('[[allowances]]\nmatch = "m=1"\nmargin = "9%"', "has match, margin and reason, and not match, margin"),
        (ALLOWANCE.format("m=1", "9%", " "), "in reason why: neither may be empty"),
        (ALLOWANCE.format("", "9%", "why"), "in match which cases it is for"),
        (ALLOWANCE.format("m=1 and", "9%", "why"), "an allowance's match is written as after -k: -k 'm=1 and'"),
        (ALLOWANCE.format("m=1", "9", "why"), "margin of an allowance = '9'"),
        ("margin =", "is not TOML: Invalid value"),
        ('margin = "5%"\nmargin = "6%"', "is not TOML"),
    ],
)
def test_every_error_is_one_line_that_names_the_file_and_the_entry(tmp_path: Path, content: str, told: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(UsageError) as raised:
        read(path)
    assert str(path) in str(raised.value)
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_cannot_be_read_is_one_line_too(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.toml", tmp_path, tmp_path / "bytes.toml"):
        with pytest.raises(UsageError, match=str(path)):
            read(path)


def test_the_last_allowance_that_matches_counts_and_gives_its_reason() -> None:
    rules = Rules(allowances=(Allowance("eager", 0.1, "first"), Allowance("m=128", 0.2, "second")))
    cases = [make_case("eager"), make_case("eager", m=128), make_case("int8", m=128), make_case("int8")]
    assert [math.expm1(rules.limit(case, 1.0)) for case in cases] == pytest.approx([0.1, 0.2, 0.2, 0.03])
    assert [rules.reason(case) for case in cases] == ["first", "second", "second", ""]


def test_a_short_call_may_take_the_floor_longer_whatever_the_margin() -> None:
    rules, case = Rules(margin=0.03, floor=1e-6), make_case()
    assert math.expm1(rules.limit(case, 2e-6)) == pytest.approx(0.5)
    assert math.expm1(rules.limit(case, 1e-3)) == pytest.approx(0.03)
    assert math.expm1(msgspec.structs.replace(rules, floor=0.0).limit(case, 1e-9)) == pytest.approx(0.03)


def judged(metric: str, base: float | list[float], head: float | list[float], rules: Rules) -> Judgement:
    sides = [
        [make_record(round=number, values={metric: value}) for number, value in enumerate(values)]
        for values in (one if isinstance(one, list) else [one] for one in (base, head))
    ]
    return judge([pair_of(*sides)], (), SingleLook(rules))


def word(judgement: Judgement) -> str:
    (verdict,) = judgement.judged
    return verdict.word


def test_a_tolerance_replaces_that_of_the_metric_and_no_other() -> None:
    lax = Rules(tolerances={"weight_bytes": 64})
    assert word(judged("weight_bytes", 640, 704, lax)) == "ok"
    assert word(judged("weight_bytes", 640, 705, lax)) == "regressed"
    assert word(judged("resident_bytes", 640, 704, lax)) == "regressed"
    strict = Rules(tolerances={"error_relative": 0})
    assert METRICS["error_relative"].relative_tolerance > 0, "which a tolerance of one's own replaces too"
    assert word(judged("error_relative", 0.4, 0.4003, Rules())) == "ok"
    assert word(judged("error_relative", 0.4, 0.4003, strict)) == "regressed"


def test_an_allowance_saves_a_case_from_red_and_its_reason_is_shown() -> None:
    base, head = [1.0, 1.01, 0.99], [1.1, 1.11, 1.09]
    assert word(judged("latency", base, head, Rules())) == "regressed"
    allowed = judged("latency", base, head, Rules(allowances=(Allowance("eager", 0.2, "waits for #12"),)))
    assert word(allowed) == "ok"
    assert allowed.judged[0].allowance == "waits for #12"
    assert reason(allowed.judged[0]).endswith("; the margin is 20 %, an allowance: waits for #12")


def test_the_rules_are_declared_in_words_allowances_and_reasons_included() -> None:
    words = "\n".join(Rules(margin=0.05, allowances=(Allowance("eager", 0.2, "waits for #12"),)).in_words())
    for told in ("slower than 5 %", "looks after 4, 6, 9, 14, 20", "eager: 20 %, because waits for #12"):
        assert told in words
