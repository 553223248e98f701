"""Metrics by unit: from a suite's declaration to tables, frames, gate and report; and odd values among them."""

import json
import re
import sys
from pathlib import Path

import msgspec
import pytest

import harness
from harness import cli, store
from harness.analysis.pairs import stands
from harness.analysis.results import of_run
from harness.model import Measurement, Record, Rules
from harness.show import report
from tests.harness.fakes import command_line, repositories
from tests.harness.fakes.examined import BITS, RIGHT, TEXTS
from tests.suites import users_code

MODULE = "tests.harness.fakes.examined"
FULL, COARSE = (f"examined/implementation={name}/texts=five" for name in ("full", "coarse"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by the real command line and real workers."""
    directory = tmp_path_factory.mktemp("examined") / "base"
    assert cli.main(["run", "examined", "--suites", MODULE, "--out", str(directory)]) == 0
    return directory


def rewritten(
    base: Path, place: Path, bits: tuple[float, ...] | None = None, right: int = 0, units: str = "texts of five"
) -> Path:
    """The run again, with other bits per byte, so many answers more that are right, and units of another name."""

    def changed(taken: Measurement) -> Measurement:
        if taken.metric == BITS.name and bits is not None:
            return msgspec.structs.replace(taken, values=bits)
        wrong = taken.values.index(0.0) if taken.metric == RIGHT.name else 0
        values = tuple(1.0 if right and wrong <= n < wrong + right else value for n, value in enumerate(taken.values))
        return msgspec.structs.replace(taken, values=values if right > 0 else taken.values)

    def again(record: Record) -> Record:
        measurements = tuple(map(changed, record.measurements))
        return msgspec.structs.replace(record, measurements=measurements, facts={"units": units})

    stored = store.load(base)
    with store.create(place, msgspec.structs.replace(stored.run, id=f"{stored.run.id}-{place.name}")) as writer:
        writer.append_all([again(record) for record in stored.records if record.case.implementation == "full"])
    return place


def bitbench(folder: Path, *words: str | Path) -> tuple[int, str]:
    """The command line where no such suite can be imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, MODULE, None)
        done = command_line.bitbench(*words, folder=folder, environment={"COLUMNS": "400"})
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_units_are_measured_in_the_first_round_alone_and_declared_in_the_header(base: Path) -> None:
    stored = store.load(base)
    assert stored.run.metrics == (BITS, RIGHT)
    assert [record.round for record in stored.records] == [0, 0]
    assert stored.records[0].values("bits_per_byte") == TEXTS
    assert stored.warnings == ()


def test_tables_and_frames_show_the_mean_with_its_interval_and_a_row_a_unit(base: Path) -> None:
    code, text = bitbench(base.parent, "show", base)
    assert code == 0
    assert re.search(r"full +1\.06 ±0\.20 bit/B +0\.95 ±0\.11", text), text
    frame = harness.summary(base).set_index(["metric", "implementation"])
    assert list(frame.loc[("bits_per_byte", "full"), ["centre", "rounds", "unit"]]) == [
        pytest.approx(sum(TEXTS) / 5),
        5,
        "bit/B",
    ]
    raw = harness.samples(base, metric="bits_per_byte").query("implementation == 'full'")
    assert raw["value"].tolist() == list(TEXTS)
    assert raw["sample"].tolist() == [0, 1, 2, 3, 4]


SAME = TEXTS
WORSE = tuple(value + 0.02 + 0.001 * n for n, value in enumerate(TEXTS))
WITHIN = tuple(value + 0.001 * n for n, value in enumerate(TEXTS))
BETTER = tuple(value - 0.02 - 0.001 * n for n, value in enumerate(TEXTS))
UNCLEAR = tuple(value + (0.03 if n % 2 else -0.02) for n, value in enumerate(TEXTS))


@pytest.mark.parametrize(
    ("bits", "code", "said"),
    [
        (SAME, 0, "2 ok"),
        (WITHIN, 0, "2 ok"),
        (BETTER, 0, r"improved .*bits_per_byte +-0\.0220 \[-0\.0240, -0\.0200\] bit/B over 5 units"),
        (
            WORSE,
            1,
            r"regressed .*bits_per_byte +\+0\.0220 \[\+0\.0200, \+0\.0240\] bit/B over 5 units,"
            r" 1\.058 bit/B became 1\.08 bit/B; 0\.01 bit/B is tolerated",
        ),
        (UNCLEAR, 3, r"inconclusive .*the units do not tell whether this is more; about 32 units would settle it"),
        (SAME[:4], 2, r"incomparable .*base has 5 units and head 4, which cannot be paired; measure both anew"),
        ((1.0, 2.0, float("nan"), 1.0, 1.0), 1, r"regressed .*head is not a number"),
        ((*SAME[:4], float("inf")), 1, r"regressed .*\+inf bit/B over 5 units, 1\.058 bit/B became inf"),
    ],
    ids=["same", "within", "better", "worse", "unclear", "fewer", "nan", "inf"],
)
def test_a_gate_judges_the_mean_difference(
    base: Path, tmp_path: Path, bits: tuple[float, ...], code: int, said: str
) -> None:
    head = rewritten(base, tmp_path / "head", bits)
    before = rewritten(base, tmp_path / "base", SAME)
    found, text = bitbench(tmp_path, "gate", before, head, "--policy", "release")
    assert re.search(said, text), text
    assert found == code


def test_answers_that_became_wrong_are_counted_in_pairs(base: Path, tmp_path: Path) -> None:
    before, after = rewritten(base, tmp_path / "base", right=1), rewritten(base, tmp_path / "head")
    code, text = bitbench(tmp_path, "gate", before, after, "--metric", "recall")
    assert code == 3, text
    assert "-0.05 [-0.15, +0.05] over 20 units, 1 became 0.95; 0.05 is tolerated, and the units" in text
    assert "too near to what is tolerated to be settled by more units" in text, "it is just that"
    assert "recall: fewer than 50 right and wrong answers say little of others; take more" in text


def test_units_of_another_name_are_not_paired(base: Path, tmp_path: Path) -> None:
    before, after = rewritten(base, tmp_path / "base"), rewritten(base, tmp_path / "head", units="others")
    code, text = bitbench(tmp_path, "gate", before, after)
    assert code == 2
    assert "base is of the units texts of five and head of others, which cannot be paired; measure both anew" in text


def test_rules_name_another_tolerance(base: Path, tmp_path: Path) -> None:
    before, after = rewritten(base, tmp_path / "base"), rewritten(base, tmp_path / "head", WORSE)
    rules = tmp_path / "rules.toml"
    rules.write_text("[tolerances]\nbits_per_byte = 0.03\n")
    assert bitbench(tmp_path, "gate", before, after, "--rules", rules)[0] == 0
    assert harness.gate(before, after, rules=rules, metrics="paired").exit_code == 0
    assert harness.gate(before, after, metrics="bits_per_byte").exit_code == 1


def test_machines_read_the_difference_too(base: Path, tmp_path: Path) -> None:
    before, after = rewritten(base, tmp_path / "base"), rewritten(base, tmp_path / "head", WORSE)
    (row, _) = json.loads(bitbench(tmp_path, "compare", before, after, "--format", "json")[1])["rows"]
    assert (row["verdict"], row["baseline_rounds"]) == ("regressed", 5)
    assert [row[f"difference{bound}"] for bound in ("", "_lo", "_hi")] == pytest.approx(
        [0.022, 0.020037, 0.023963], abs=1e-6
    )
    assert row["ratio"] == pytest.approx(1 + 0.022 / 1.058)
    out = tmp_path / "out"
    code, _ = bitbench(tmp_path, "gate", before, after, "--out", out)
    assert code == 1
    (told, _) = json.loads((out / "verdict.json").read_text())["verdicts"]
    assert (told["word"], told["allowed"], told["comparison"]["difference"]["units"]) == ("regressed", 0.01, 5)
    assert "0.01 bit/B is tolerated" in told["reason"]
    assert (
        "+0.0220 \\[+0.0200" in (out / "verdict.md").read_text()
        or "+0.0220 [+0.0200" in (out / "verdict.md").read_text()
    )
    assert "bits_per_byte" in (out / "junit.xml").read_text()


def test_explain_and_report_tell_it_unit_by_unit(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PLOTS", {})  # the figures are of the project's own metrics, and take long to draw
    before, after = rewritten(base, tmp_path / "base"), rewritten(base, tmp_path / "head", WORSE)
    _, text = bitbench(tmp_path, "explain", "full", before, after)
    assert "bits_per_byte regressed: +0.0220 [+0.0200, +0.0240] bit/B over 5 units" in text, text
    page = tmp_path / "report.html"
    assert bitbench(tmp_path, "report", before, after, "-o", page)[0] == 0
    content = page.read_text()
    assert re.search(r"bits/byte.{0,200}bit/B.{0,80}±", content, re.DOTALL)
    assert "±0.20" in content
    assert "other metrics regressed: 1" in content


def test_two_cases_of_one_run_are_held_against_each_other(base: Path) -> None:
    results = of_run(store.load(base))
    full, coarse = results[FULL], results[COARSE]
    found = stands(full, coarse, "bits_per_byte")
    assert found.word == "worse"
    assert found.comparison is not None
    assert found.comparison.difference is not None
    assert found.comparison.difference.centre == pytest.approx(0.2)
    assert stands(coarse, full, "bits_per_byte").word == "better"
    assert stands(full, full, "bits_per_byte").word == "ok"
    assert stands(full, coarse, "bits_per_byte", Rules(tolerances={"bits_per_byte": 0.3})).word == "ok"
    assert stands(full, coarse, "recall").word == "worse"
    with pytest.raises(ValueError, match="latency is no paired metric of this run"):
        stands(full, coarse, "latency")


def test_odd_units_never_pass_and_are_told(tmp_path: Path) -> None:
    run = tmp_path / "odd"
    assert cli.main(["run", "odd", "--suites", MODULE, "--out", str(run)]) == 0
    text = bitbench(tmp_path, "show", run)[1]
    assert "bits_per_byte: 1 of 3 units are not a number, so that the mean is none" in text
    assert "bits_per_byte: 1 of 3 units are infinite, so that the mean is" in text
    assert "bits_per_byte has no value at all: there was nothing to measure it on" in text
    results = of_run(store.load(run))
    nan, inf, one, none = (results[f"odd/implementation=odd/texts={name}"] for name in ("nan", "inf", "one", "none"))
    assert stands(nan, nan, "bits_per_byte").word == "not_measured"
    assert stands(inf, inf, "bits_per_byte").word == "ok"
    assert stands(none, none, "bits_per_byte").word == "not_measured"
    assert stands(one, inf, "bits_per_byte").word == "incomparable"


SUITE = """
from harness import Axis, Budget, Catalogue, Check, Paired, Prepared, Suite, Workload
from marks import MARKS


class Marked(Prepared):
    def __call__(self):
        return sum(range(100))

    def check(self, metrics):
        return Check({"mark": MARKS})


class Marking(Workload):
    def build(self):
        return Marked()


def catalogue():
    return Catalogue({"pupil": "is marked"}, lambda name, device: None)


MARK = Paired(name="mark", better="higher", tolerance=0.1)
SUITES = (
    Suite(
        name="exam",
        summary="marks of a pupil",
        axes=(Axis("year", (1,), int),),
        metrics=("latency", MARK),
        budget=Budget(rounds=2, seconds=0.02, sample=0.001),
        workload="exam:Marking",
        resolve=dict,
        facts=lambda params: {"units": "four papers"},
    ),
)
CATALOGUE = "exam:catalogue"
"""


def test_a_live_gate_measures_units_once_a_side(tmp_path: Path) -> None:
    """Marks fall by 1 in each of four papers; the code that is timed is the same."""
    repositories.git(tmp_path, "init", "-q")
    files = {"exam.py": SUITE, "marks.py": "MARKS = (5.0, 3.0, 4.0, 2.0)\n", ".gitignore": "out\n"}
    repositories.commit(tmp_path, files)
    (tmp_path / "marks.py").write_text("MARKS = (4.0, 2.1, 3.0, 0.9)\n")
    words = ("gate", "exam", "--suites", "exam", "--base", "HEAD", "--out", "out", "--metric", "mark")
    done = users_code.bitbench(tmp_path, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"regressed +pupil +mark +-1\.00 \[-1\.13, -0\.87\] over 4 units, 3\.5 became 2\.5", done.stdout)
    head = store.load(tmp_path / "out" / "head")
    assert [(record.round, record.values("mark")) for record in head.records] == [(0, (4.0, 2.1, 3.0, 0.9))]
    again, text = bitbench(tmp_path, "gate", tmp_path / "out" / "base", tmp_path / "out" / "head")
    assert (again, "0.1 is tolerated" in text) == (1, True)
