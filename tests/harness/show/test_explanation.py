"""Why a verdict is what it is: every figure in the words is one that the decision used."""

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from harness import cli
from harness.model import Rules
from tests.harness.data import golden
from tests.harness.data.factories import make_records, make_run, write_run
from tests.harness.data.pairs import steady, write_gate


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One case of every fate."""
    fates = {
        "slow": steady(1.1, 9),
        "same": steady(1.0, 9),
        "fast": steady(0.8, 9),
        "noisy": steady(1.005, 9, 8.0),
        "lucky": [*steady(1.1, 4), *steady(1.0, 5)],
    }
    return str(write_gate(tmp_path_factory.mktemp("gate"), fates, steady(1.0, 9)))


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["explain", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = cli.main(["explain", *arguments])
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return code, error


def test_a_regression_from_accusation_to_confirmation(gate: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = explained(capsys, "slow", "--gate", gate, "--margin", "3%")
    golden.check("explain.txt", out)


def test_the_geometric_mean_by_either_name(gate: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = explained(capsys, "mean", "--gate", gate, "--format", "markdown")
    assert out == explained(capsys, "geometric mean", "--gate", gate, "--format", "markdown")
    assert "the mean of the log ratios of 5 latencies" in out
    assert "Margin: 1 % for the geometric mean" in out
    assert "Holm" not in out


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("same", ("ok: ", "a slowdown beyond its margin of 3 % is ruled out", "The look after 4 rounds found it ok")),
        ("fast", ("improved: -20.0 % [",)),
        ("noisy", ("inconclusive: ", "after 9 of 20 rounds: the time was over", "rounds would settle it")),
        ("lucky", ("The look after 4 rounds accused it", "do not confirm it, and the accusation was dropped")),
        ("linear-fp32", ("its code is the same on both sides, and it has not moved", "1/2 of that for the lowest p")),
    ],
)
def test_every_fate_has_its_words(
    gate: str, capsys: pytest.CaptureFixture[str], case: str, words: tuple[str, ...]
) -> None:
    out = explained(capsys, case, "--gate", gate)
    assert [word for word in words if word not in out] == []


def test_it_fits_a_screen(gate: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert explained(capsys, "lucky", "--gate", gate).count("\n") <= 40


def test_a_few_cases_get_a_paragraph_each(gate: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = explained(capsys, "slow or fast", "--gate", gate)
    assert out.count("implementation=") == 2
    assert "Estimator" not in out


def test_what_means_too_much_or_nothing_is_one_line(gate: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, error = refused(capsys, "quick", "--gate", gate)
    assert (code, "means 6 cases; narrow it" in error) == (2, True)
    code, error = refused(capsys, "nobody", "--gate", gate)
    assert code == 2
    assert "there are 6 cases: implementation=slow,same,fast,noisy,lucky,linear-fp32" in error
    for arguments in (
        ["(", "--gate", gate],
        ["slow", gate],
        ["slow", gate, gate, "--gate", gate],
        ["slow", "--gate", "."],
    ):
        assert refused(capsys, *arguments)[0] == 2


def test_the_newest_gate_is_meant_unless_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, error = refused(capsys, "mean")
    assert (code, "no gate lies in results/gates" in error) == (5, True)
    for age, name in enumerate(("z-older", "a-newer")):
        head = write_gate(tmp_path / "results" / "gates" / name, {"slow": steady(1.1, 4)}) / "head" / "run.jsonl"
        os.utime(head, (age, age))
    assert "gate: results/gates/a-newer" in explained(capsys, "slow")


def test_the_gate_that_was_held_last_is_meant_wherever_it_lies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    old = write_gate(tmp_path / "results" / "gates" / "old", {"slow": steady(1.1, 4)}) / "head" / "run.jsonl"
    os.utime(old, (0, 0))
    for place in (tmp_path / "out", tmp_path.parent / "elsewhere"):
        runs = [str(write_gate(place, {"slow": steady(1.2, 4)}) / side) for side in ("base", "head")]
        cli.main(["gate", *runs])
        capsys.readouterr()
        assert f"gate: {'out' if place.name == 'out' else place}\n" in explained(capsys, "slow")
    assert cli.main(["gate", runs[0], str(tmp_path / "none")]) == 2
    capsys.readouterr()
    assert f"gate: {place}\n" in explained(capsys, "slow"), "one that was refused is none"
    cli.main(["gate", str(tmp_path / "out" / "head"), runs[1]])
    capsys.readouterr()
    assert f"gate of: out/head {runs[1]}" in explained(capsys, "slow")
    later = write_gate(tmp_path / "results" / "gates" / "later", {"slow": steady(1.1, 4)})
    assert "gate: results/gates/later" in explained(capsys, "slow"), "interrupted, say: it has no verdict yet"
    shutil.rmtree(later)
    assert f"gate of: out/head {runs[1]}" in explained(capsys, "slow")
    shutil.rmtree(place)
    assert "gate: results/gates/old" in explained(capsys, "slow")


def test_exact_metrics_name_their_tolerance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate = write_gate(tmp_path, {"slow": steady(1.0, 4)}, head_bytes=641)
    out = explained(capsys, "slow", "--gate", str(gate))
    assert "weight_bytes regressed: 640 B became 641 B (+0.16 %); tolerance 0. equal: error_sqnr" in out


def test_runs_measured_each_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sides = [
        str(write_run(tmp_path / name, make_run(run_id=name), make_records(tokens=(1,), slowdown={"int8": factor})))
        for name, factor in (("base", 1.0), ("head", 1.3))
    ]
    out = explained(capsys, "int8 and n=2560/", *sides)
    assert "Welch's t between the sides" in out
    assert "nobody confirmed it by fresh rounds" in out


def test_another_margin_than_was_declared_is_said(
    gate: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = explained(capsys, "slow", "--gate", gate, "--margin", "25%", "--format", "json")
    content = msgspec.json.decode(out)
    (one,) = content["explanations"]
    assert one["paragraphs"]["margin"] == "25 %"
    assert one["verdicts"][0]["word"] == "ok"
    assert len(content["warnings"]) == 1
    rules = tmp_path / "gate.toml"
    rules.write_text('[[allowances]]\nmatch = "slow"\nmargin = "20%"\nreason = "it buys accuracy"\n')
    assert "Margin: 20 %, an allowance: it buys accuracy" in explained(
        capsys, "slow", "--gate", gate, "--rules", str(rules)
    )


@pytest.mark.parametrize("older", [False, True], ids=["stored as numbers", "stored as sentences by schema 3"])
def test_rules_that_are_worded_otherwise_today_are_the_same_rules(
    older: bool, gate: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rules, "in_words", lambda self: (f"not slower than {self.margin}",))
    place = "results/examples/gate-packed" if older else gate
    assert "other rules" not in explained(capsys, "mean", "--gate", place)
    words = explained(capsys, "mean", "--gate", place, "--margin", "7%")
    assert ("other rules" in words, "slower than 3 %" in words) == (True, older)
    assert ("not slower than 0.03" in words) != older
