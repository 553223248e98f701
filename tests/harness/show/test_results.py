import csv
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import cli
from harness.analysis.words import speedup
from harness.estimators.intervals import Comparison, Summary
from harness.model import SCHEMA_VERSION, Aim, Case, Measurement
from harness.model.metrics import METRICS
from harness.model.units import amount, distinct_amounts, figure, percent_change
from harness.show.table import Column, Table, render
from tests.harness.data import golden
from tests.harness.data.factories import make_case, make_error_records, make_record, make_records, make_run, write_run
from tests.harness.fakes.printed import printed


@pytest.fixture(autouse=True)
def plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a terminal, and no width but the table's own."""
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def quick(tmp_path: Path) -> str:
    return str(write_run(tmp_path / "quick"))


def test_what_show_prints(quick: str, capsys: pytest.CaptureFixture[str]) -> None:
    golden.check("show.txt", printed(capsys, quick))


def test_what_show_prints_as_markdown(quick: str, capsys: pytest.CaptureFixture[str]) -> None:
    golden.check("show.md", printed(capsys, quick, "--format", "markdown"))


def test_what_show_prints_of_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = make_error_records(weight_bits=("w1", "w1.58"), activation_bits=(8, 16), groups=(1,), off=0.5)
    run = write_run(tmp_path, make_run(("error",), rounds=1), records)
    golden.check("show-error.txt", printed(capsys, str(run)))


def test_whose_code_ran_is_told_once_a_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [
        make_record(make_case("theirs", m=m), turn, {"latency": 1e-3}, facts={"library": "lib", "version": version})
        for m in (1, 2)
        for turn, version in enumerate(("1.0", "1.0", "1.1"))
    ]
    lines = printed(capsys, str(write_run(tmp_path, None, [*records, make_record()]))).splitlines()
    assert [line.split() for line in lines if line.startswith("theirs") and "lib" in line] == [
        ["theirs", "lib", "1.0"],
        ["theirs", "lib", "1.1"],
    ]


def test_a_prediction_that_holds_is_not_flagged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    perfect = make_record(make_case("eager"), 0, {"error_sqnr": math.inf}, facts={"predicted_sqnr": "inf"})
    near = make_record(make_case("eager", m=2), 0, {"error_sqnr": 8.2}, facts={"predicted_sqnr": 8.0})
    small = {"predicted_sqnr": 8.0, "prediction_tolerance": 2.0}
    strayed = make_record(make_case("eager", m=3), 0, {"error_sqnr": 9.9}, facts=small)
    pair = make_record(make_case("eager", m=4), 0, {"error_sqnr": 126.0}, facts=small | {"prediction_tolerance": "inf"})
    out = printed(capsys, str(write_run(tmp_path, None, [perfect, near, strayed, pair])))
    assert "inf (inf)" in out
    assert "8.20 (8.00)" in out
    assert "9.90 (8.00)" in out
    assert "126.00 (8.00)" in out
    assert "!" not in out
    off = make_record(make_case("eager", m=5), 0, {"error_sqnr": 5.9}, facts=small)
    assert "5.90 (8.00)!" in printed(capsys, str(write_run(tmp_path / "off", None, [perfect, off])))


def test_show_of_chosen_metrics_and_baselines(quick: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, quick, "--metric", "latency", "--metric", "error_cosine", "--baseline", "eager")
    assert ["implementation", "(us)", "speed", "note", "eager", "cosine", "rounds"] in [
        line.split() for line in out.splitlines()
    ]


def test_the_baseline_that_leads_is_first_unless_baselines_are_named(
    quick: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the report: linear-bf16 is the faster of the two here."""

    def order(*arguments: str) -> list[str]:
        rows = csv.DictReader(io.StringIO(printed(capsys, quick, "--format", "csv", *arguments)))
        return list(dict.fromkeys(row["metric"] for row in rows if row["metric"].startswith("speedup_")))

    assert order() == ["speedup_linear-bf16", "speedup_linear-fp32"]
    assert order("--baseline", "linear-fp32", "--baseline", "linear-bf16") == [*reversed(order())]


def test_case_params_are_columns_where_there_is_one_contestant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = printed(capsys, str(write_run(tmp_path, None, make_records(implementations=("int8",), troubles=False))))
    assert ["implementation", "n", "m", "(ms)"] in [line.split()[:4] for line in out.splitlines()]


def test_one_round_is_shown_with_its_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, str(write_run(tmp_path, None, make_records(rounds=1, troubles=False))))
    assert "±?" in out
    assert out.count("one round: no interval; measure 3 rounds or more (--rounds 3) (20 cases)") == 1


def test_each_row_says_how_it_ended_and_what_it_took(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was asked for lies between the noise of eager and that of int8."""
    records = [
        make_record(make_case(name), n, {"latency": [1e-3 * (1 + factor * n)] * 4})
        for n in range(4)
        for name, factor in (("linear-fp32", 0.0), ("int8", 0.001), ("eager", 0.3))
    ]
    run = str(write_run(tmp_path, make_run(aims={"quick": Aim("linear-fp32", 0.02, 4)}), records))
    out = printed(capsys, run)
    assert re.search(r"int8 .* 4/16 +converged", out)
    assert re.search(r"eager .* 4/16 +unstable", out)
    assert "1 cases are not known to 2 % either side: quieten the machine for 1" in out
    rows = {
        row["implementation"]: row
        for row in csv.DictReader(io.StringIO(printed(capsys, run, "--format", "csv")))
        if row["metric"] == "latency"
    }
    assert (rows["int8"]["state"], rows["int8"]["samples"]) == ("converged", "16")
    assert 0 < float(rows["int8"]["precision"]) < 0.02 < float(rows["eager"]["precision"])


def test_voided_blocks_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = msgspec.structs.replace(
        make_record(values={"latency": [1e-3, 9e-3]}),
        measurements=(Measurement("latency", (1e-3, 9e-3), 1, (0, 1)),),
        noise={"canary": (1.0, 1.0, 5.0)},
        voided=(1,),
    )
    out = printed(capsys, str(write_run(tmp_path, None, [record])))
    assert "1 of 2 blocks were voided" in out
    assert re.search(r"eager +1\.00 ±\?", out), "the other value is 9 ms, and the median of both 5 ms"


def test_csv_and_json_hold_the_same_unrounded_rows(quick: str, capsys: pytest.CaptureFixture[str]) -> None:
    table = list(csv.DictReader(io.StringIO(printed(capsys, quick, "--format", "csv"))))
    content = msgspec.json.decode(printed(capsys, quick, "--format", "json"))
    assert content["run"]["schema"] == SCHEMA_VERSION
    assert len(content["rows"]) == len(table)
    assert [list(row) for row in content["rows"]] == [list(row) for row in table]
    wanted = {"implementation": "int8", "metric": "latency", "n": "2560", "m": "1"}
    (row,) = (row for row in table if wanted.items() <= row.items())
    values = [r.values("latency") for r in make_records() if r.case == make_case("int8")]
    assert float(row["centre"]) == METRICS["latency"].summarise(values).centre
    (skipped,) = (row for row in table if row["implementation"] == "fp16" and row["n"] == "2560" and row["m"] == "1")
    assert (skipped["outcome"], skipped["metric"], skipped["centre"]) == ("skipped", "", "")
    assert skipped["reason"] == "this example CPU has no float16 arithmetic"


def test_speedups_in_csv_are_one_over_the_ratio(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = {"linear-fp32": 4.0, "int8": 1.0}
    records = [make_record(make_case(name), n, {"latency": seconds[name]}) for name in seconds for n in range(3)]
    out = printed(capsys, str(write_run(tmp_path, None, records)), "--format", "csv")
    rows = {(row["implementation"], row["metric"]): row for row in csv.DictReader(io.StringIO(out))}
    assert float(rows["int8", "speedup_linear-fp32"]["centre"]) == pytest.approx(4)


def test_nothing_measured_is_shown_with_its_reasons_and_exit_code_5(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(write_run(tmp_path, None, [make_record(reason="no such instruction")]))
    assert "no such instruction" in printed(capsys, run, code=5)
    assert cli.main(["show", str(write_run(tmp_path / "none", None, []))]) == 5


def test_bad_input_is_one_line(quick: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        [str(tmp_path / "x")],
        [quick, "--metric", "speed"],
        [quick, "--metric", "examples"],
        [quick, "--baseline", "x"],
    ):
        assert cli.main(["show", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_small_run_is_shown_without_torch_and_pandas(quick: str) -> None:
    code = (
        "import sys; from harness.cli import main; code = main(['show', sys.argv[1]]);"
        "print(code, *(m for m in ('torch', 'pandas', 'matplotlib', 'scipy.stats') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, quick], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"


def test_a_narrow_terminal_gets_every_figure(
    quick: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = printed(capsys, quick)
    monkeypatch.setenv("COLUMNS", "80")
    narrow = printed(capsys, quick)
    assert max(map(len, narrow.splitlines())) <= 80
    assert {word for word in wide.split() if word[0].isdigit()} <= set(narrow.split())


def test_cells_are_not_markup() -> None:
    table = Table("a [title]", (Column("x"), Column("y", "right")), [["[bold]|", 1.5], [None, math.inf]])
    assert table.text().splitlines() == ["a [title]", "x          y", "[bold]|  1.5", "         inf"]
    assert table.markdown().splitlines()[-2:] == ["| [bold]\\| | 1.5 |", "|  | inf |"]
    assert msgspec.json.decode(table.json()) == [{"x": "[bold]|", "y": 1.5}, {"x": None, "y": "inf"}]
    assert table.csv().splitlines() == ["x,y", "[bold]|,1.5", ",inf"]
    assert render(["line\nline", table], "markdown").startswith("line\\\nline\n\n### a [title]")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (458e-6, "s", "458 us"),
        (1.2345, "s", "1.23 s"),
        (7e-9, "s", "7.00 ns"),
        (3e-10, "s", "0.300 ns"),
        (0.0, "s", "0 ns"),
        (84000.0, "s", "84000 s"),
        (math.nan, "s", "nan"),
        (6.25 * 2**20, "B", "6.25 MiB"),
        (1000, "B", "1000 B"),
        (0, "B", "0 B"),
        (8.064, "dB", "8.06 dB"),
        (130.2, "dB", "130 dB"),
        (-0.31, "dB", "-0.31 dB"),
        (math.inf, "dB", "inf dB"),
        (1.6, "bit", "1.6"),
        (0.39811, "1", "0.3981"),
    ],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


@given(st.floats(1e-12, 1e12), st.integers(1, 6))
def test_figures_are_right_to_their_last_digit(value: float, digits: int) -> None:
    assert float(figure(value, digits)) == pytest.approx(value, rel=0.51 * 10 ** (1 - digits))


def test_amounts_that_differ_look_different() -> None:
    assert distinct_amounts(26214400, 26214464, "B") == ("25.0000 MiB", "25.0001 MiB")
    assert distinct_amounts(8.0, 9.0, "dB") == ("8.00 dB", "9.00 dB")
    assert distinct_amounts(1.0, 1.0 + 2**-52, "1") == ("1", "1.0000000000000002")


@pytest.mark.parametrize(
    ("hi", "text"),
    [
        (1.0 + 1e-5, "1.235 ms ±0.0%"),
        (1.004, "1.235 ms ±0.4%"),
        (1.05, "1.23 ms ±5.0%"),
        (1.6, "1.2 ms ±60%"),
        (2.01, "not known"),
    ],
)
def test_digits_follow_the_interval(hi: float, text: str) -> None:
    summary = Summary("latency", 1.2349e-3, 1.2349e-3 / hi, 1.2349e-3 * hi, 0.95, 3)
    assert METRICS["latency"].format(summary) == text


def ratio(centre: float, lo: float, hi: float) -> Comparison:
    sides = [Summary("latency", value, value, value, 0.95, 3) for value in (1.0, centre)]
    return Comparison("latency", sides[0], sides[1], centre, lo, hi, True)


def test_ratios_in_words() -> None:
    latency = METRICS["latency"]
    assert percent_change(0.12, 0.098, 0.141) == "+12.0 % [+9.8, +14.1]"
    assert percent_change(-0.08, -0.099, -0.061) == "-8.0 % [-9.9, -6.1]"
    assert percent_change(0.12) == "+12.0 %"
    assert percent_change(-0.0001, -0.04, 0.04) == "+0.0 % [-4.0, +4.0]"
    assert percent_change(-0.7, -1.0, 1.4e19) == "-70.0 % [-100.0, >+1000]", "a number of 20 digits says no more"
    assert speedup(ratio(0.4, 0.39, 0.41)) == "2.50x ±2.5%"
    assert speedup(ratio(2.5, 2.4, 2.6)) == "0.40x ±4.0%"
    assert speedup(ratio(0.4, 0.39, 0.79)) == "2.50x ±98%"
    assert speedup(ratio(0.4, 0.19, 0.81)) == "not known"
    assert speedup(ratio(1, 1, 1)) == "1x"
    assert speedup(ratio(math.nan, math.nan, math.nan)) == "?"
    assert latency.change(ratio(1.12, 1.098, 1.141)) == "+12.0 % [+9.8, +14.1]"
    assert METRICS["weight_bytes"].change(ratio(1.12, 1.0, 1.2)) == "+12 %"
    assert METRICS["weight_bytes"].change(ratio(2.221, 1.0, 1.2)) == "+122 %"
    assert METRICS["weight_bytes"].change(ratio(0.999, 1.0, 1.2)) == "-0.10 %"
    assert METRICS["error_sqnr"].change(ratio(1.12, 1.0, 1.2)) == "+0.12 dB"
    assert METRICS["weight_bytes"].change(ratio(1.0, 1.0, 1.0)) == ""


def test_case_names_with_odd_characters_survive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = Case.of("quick", "pkg.mod:[obj]", {"note": "a/b=c|d"})
    out = printed(capsys, str(write_run(tmp_path, None, [make_record(case, 0, {"weight_bytes": 8})])))
    assert "pkg.mod:[obj]" in out
    assert "note=a/b=c|d" in out


def test_what_failed_is_shown_with_where_it_raised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = ("mine.py:12 in forward: return self.look_up(x)", "mine.py:15 in look_up: return self.table[key]")
    lost = {"reason": "KeyError: 'oops'", "outcome": "failed"}
    records = [
        make_record(make_case("eager"), values={"latency": 1e-3}),
        *(msgspec.structs.replace(make_record(make_case("mine:Mine", m=m), **lost), trace=trace) for m in (1, 2)),
        make_record(make_case("int8"), reason="no such instruction"),
        make_record(make_case("packed"), reason="no answer within its time limit of 5 s", outcome="timed_out"),
    ]
    run = str(write_run(tmp_path, make_run(rounds=1), records))
    told = printed(capsys, run, "--failures")
    assert told == (
        "mine:Mine failed: KeyError: 'oops'\n"
        f"  in 2 cases of quick, {make_case('mine:Mine').name} among them\n"
        "  mine.py:12 in forward: return self.look_up(x)\n"
        "  mine.py:15 in look_up: return self.table[key]\n\n"
        "packed timed out: no answer within its time limit of 5 s\n"
        f"  in {make_case('packed').name}\n"
    )
    rows = json.loads(printed(capsys, run, "--failures", "--format", "json"))
    assert [(row["implementation"], row["trace"]) for row in rows[:2]] == [("mine:Mine", "\n".join(trace))] * 2
    (line,) = (line for line in printed(capsys, run).splitlines() if "KeyError" in line)
    assert re.search(r"failed +2  KeyError: 'oops' +mine.py:15 in look_up$", line)
