from pathlib import Path

import pytest
from click.testing import CliRunner

from harness import cli
from harness.analysis.pairs import match, speedups
from harness.analysis.results import Result, contests, results, varying
from harness.commands.compare import command
from harness.errors import NothingMeasuredError, UsageError
from harness.model import Value
from harness.model.metrics import METRICS, select_metrics
from tests.harness.data import golden
from tests.harness.data.factories import make_case, make_environment, make_record, make_records, make_run, write_run

LATENCY = METRICS["latency"]


def timed(implementation: str, *seconds: float, **params: Value) -> list[Result]:
    case = make_case(implementation, "quick", **params)
    records = [make_record(case, n, {"latency": value}) for n, value in enumerate(seconds)]
    return list(results(records).values())


def test_results_gather_rounds_and_keep_the_end() -> None:
    case = make_case()
    first, second = make_record(case, 0, {"latency": 1.0, "weight_bytes": 8}), make_record(case, 1, {"latency": 2.0})
    crash = make_record(case, 2, outcome="crashed", reason="signal 11")
    (result,) = results([first, second, crash]).values()
    assert {n: taken.values for n, taken in result.rounds(LATENCY.name).items()} == {0: (1.0,), 1: (2.0,)}
    assert {n: taken.values for n, taken in result.rounds("weight_bytes").items()} == {0: (8.0,)}
    assert (result.end, result.measured) == (crash, (first, second))
    assert [metric.name for metric in result.metrics] == ["latency", "weight_bytes"]
    assert result.summary("peak_rss") is None
    assert not result.wrong


def test_a_failed_record_with_agreement_is_a_wrong_answer() -> None:
    wrong = make_record(values={"agreement_sqnr": 3.0}, outcome="failed", reason="3 dB from the contract")
    raised = make_record(outcome="failed", reason="RuntimeError: no")
    assert [result.wrong for record in (wrong, raised) for result in results([record]).values()] == [True, False]


def test_params_that_vary_come_in_reading_order() -> None:
    members = [result for n in (1, 2) for result in timed("eager", 1.0, n=n, zebra=n)]
    shared, differing = varying(members)
    assert differing == ["n", "zebra"]
    assert list(shared) == ["k", "m", "scheme", "dtype", "device", "threads"]


def test_speedups_pair_a_contest_with_its_baseline() -> None:
    members = timed("linear-fp32", 1.0, 3.0) + timed("int8", 0.5, 1.5) + timed("int8", 9.0, 9.0, m=128)
    ratios = speedups(members, ["linear-fp32", "linear-bf16"])
    assert len(contests(members)) == 2
    assert {base for _, base in ratios} == {"linear-fp32"}
    ratio = ratios[make_case("int8").name, "linear-fp32"]
    assert (ratio.ratio, ratio.lo, ratio.hi) == pytest.approx((0.5, 0.5, 0.5))
    assert (make_case("int8", m=128).name, "linear-fp32") not in ratios


def test_match_covers_both_sides() -> None:
    base = results([make_record(make_case("a"), 0, {"latency": 1.0, "weight_bytes": 4}), make_record(make_case("b"))])
    head = results([make_record(make_case("a"), 0, {"latency": 1.0}), make_record(make_case("c"), 0, {"latency": 1.0})])
    pairs = match(base, head, METRICS)
    names = [(pair.case.implementation, pair.metric.name, pair.comparison is not None) for pair in pairs]
    assert names == [("a", "latency", True), ("a", "weight_bytes", False), ("c", "latency", False)]
    assert [pair.metric.name for pair in match(base, head, {"weight_bytes"})] == ["weight_bytes"]


def test_rounds_of_two_runs_are_not_paired() -> None:
    base = results([make_record(round=n, values={"latency": value}) for n, value in enumerate((1.0, 2.0))])
    (pair,) = match(base, base, METRICS)
    assert pair.comparison is not None
    assert not pair.comparison.paired
    assert pair.comparison.hi > 1


def test_metrics_are_chosen_by_name_or_kind() -> None:
    assert select_metrics(()) == METRICS.keys()
    assert select_metrics(("latency", "peak_rss")) == {"latency", "peak_rss"}
    assert select_metrics(("exact",)) | select_metrics(("sampled",)) == METRICS.keys()
    assert "latency" not in select_metrics(("exact",))
    with pytest.raises(
        UsageError, match="unknown metric 'speed'; choose from: exact, sampled, paired, portable, latency"
    ):
        select_metrics(("speed",))


@pytest.fixture
def two_runs(tmp_path: Path) -> tuple[str, str]:
    options = {"implementations": ("linear-fp32", "int8"), "shapes": ((2560, 2560),), "tokens": (1,)}
    base = write_run(tmp_path / "base", None, make_records(**options))  # type: ignore[arg-type]  # shared by both
    head = make_records(**options, slowdown={"int8": 1.3}, seed=1)  # type: ignore[arg-type]  # shared by both
    run = make_run(run_id="20260103T030405Z-quick-1234567-dirty", commit="1234567", dirty=True)
    return str(base), str(write_run(tmp_path / "head", run, head))


@pytest.mark.parametrize(("form", "suffix"), [("text", "txt"), ("markdown", "md"), ("csv", "csv")])
def test_what_compare_prints(two_runs: tuple[str, str], form: str, suffix: str) -> None:
    done = CliRunner().invoke(command, [*two_runs, "--format", form, "--metric", "latency", "--metric", "weight_bytes"])
    assert done.exit_code == 0
    golden.check(f"compare.{suffix}", done.stdout)


def test_compare_does_not_judge(two_runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", *two_runs]) == 0
    assert "regressed" in capsys.readouterr().out


def test_a_difference_between_unlike_machines_is_not_printed(tmp_path: Path) -> None:
    records = [make_record(round=n, values={"latency": 1.0 + n}) for n in range(3)]
    base = write_run(tmp_path / "base", None, records)
    head = write_run(tmp_path / "head", make_run(environment=make_environment(cpu_model="Other")), records)
    done = CliRunner().invoke(command, [str(base), str(head)])
    assert "incomparable" in done.stdout
    assert "%]" not in done.stdout


def test_nothing_in_common_is_exit_code_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = str(write_run(tmp_path / "base", None, [make_record(make_case("a"), 0, {"latency": 1.0})]))
    head = str(write_run(tmp_path / "head", None, [make_record(make_case("b"), 0, {"latency": 1.0})]))
    assert cli.main(["compare", base, head]) == NothingMeasuredError.exit_code
    assert "share no case that both measured" in capsys.readouterr().err
    assert cli.main(["compare", base, head, "--metric", "weight_bytes"]) == 5
    assert cli.main(["compare", base, str(tmp_path / "missing")]) == 2
