"""A suite's own metrics: from its declaration to tables, frames, report and gate, also where no such suite is."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from harness import cli, frames, store
from harness.errors import StoreError, UsageError
from harness.model import Exact, Measurement, Metric, Record, Sampled, known_metrics
from harness.model.metrics import METRICS, in_kinds, select_metrics
from harness.model.suite import Registry
from harness.show import report
from tests.harness.fakes import command_line
from tests.harness.fakes.thrifty import ENERGY, PAGES, SUITES

MODULE = "tests.harness.fakes.thrifty"
WIDE = {"COLUMNS": "200"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run by the real command line and real workers."""
    directory = tmp_path_factory.mktemp("thrifty") / "base"
    assert cli.main(["run", "thrifty", "--suites", MODULE, "--out", str(directory)]) == 0
    return directory


def rewritten(base: Path, place: Path, factors: dict[str, float], metrics: Iterable[Metric] | None = None) -> Path:
    """The run again, as if the values of some metrics had been so many times as large."""
    stored = store.load(base)
    declared = stored.run.metrics if metrics is None else tuple(metrics)
    header = msgspec.structs.replace(stored.run, id=f"{stored.run.id}-{place.name}", metrics=declared)
    with store.create(place, header) as writer:
        writer.append_all([times(record, factors) for record in stored.records])
    return place


def times(record: Record, factors: dict[str, float]) -> Record:
    def scaled(taken: Measurement) -> Measurement:
        factor = factors.get(taken.metric, 1.0)
        return msgspec.structs.replace(taken, values=tuple(factor * value for value in taken.values))

    return msgspec.structs.replace(record, measurements=tuple(map(scaled, record.measurements)))


def bitbench(folder: Path, *words: str | Path) -> tuple[int, str]:
    """The command line where no such suite can be imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, MODULE, None)
        done = command_line.bitbench(*words, folder=folder, environment=WIDE)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_run_declares_what_it_measures_and_nothing_else(base: Path) -> None:
    stored = store.load(base)
    assert {metric.name: metric for metric in stored.run.metrics} == {
        "weight_bytes": METRICS["weight_bytes"],
        "energy": ENERGY,
        "pages_served": PAGES,
    }
    rounds = {
        record.round: {taken.metric for taken in record.measurements}
        for record in stored.records
        if record.case.implementation == "lamp"
    }
    assert rounds == {0: {"weight_bytes", "energy", "pages_served"}, 1: {"energy"}, 2: {"energy"}}
    assert stored.warnings == ()


def test_tables_and_frames_show_them_without_the_suite(base: Path) -> None:
    command = (sys.executable, "-m", "harness.cli", "show", str(base))
    text = subprocess.run(
        command, cwd=base.parent, env={**os.environ, **WIDE}, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    assert re.search(r"pages *\n.* served +energy", text)
    assert re.search(r"lamp .*100 pages +2 J ±0\.0%", text)
    assert re.search(r"stove .* 900 J", text)
    _, rows = bitbench(base.parent, "show", base, "--metric", "energy", "--format", "csv")
    assert ",energy,J,2.0," in rows
    assert "pages" not in rows
    assert bitbench(base.parent, "show", base, "--metric", "enrgy")[1].endswith("did you mean energy?\n")
    frame = frames.summary(base).set_index(["metric", "implementation"])
    assert list(frame.loc[("energy", "lamp"), ["centre", "unit", "rounds"]]) == [2.0, "J", 3]
    assert list(frame.loc[("pages_served", "stove"), ["centre", "unit"]]) == [100.0, "pages"]
    assert frames.samples(base, metric="energy")["value"].max() == 905
    assert frames.load(base).query("metric == 'energy'")["unit"].unique().tolist() == ["J"]
    assert frames.wide(frames.summary(base), "pages_served")["pages_served"].tolist() == [100, 100]


@pytest.mark.parametrize(
    ("factors", "code", "said"),
    [
        ({"energy": 1.05}, 0, "4 ok"),  # within its own tolerance, beyond the gate's margin
        ({"energy": 1.5}, 1, r"regressed .*energy +\+50\.0 % .*the margin is 10 %"),
        ({"energy": 0.5}, 0, r"improved .*energy +-50\.0 %"),
        ({"pages_served": 0.98}, 0, "4 ok"),
        ({"pages_served": 0.9}, 1, r"regressed .*pages_served +100 pages became 90 pages \(-10(\.0)? %\)"),
        ({"pages_served": 1.1}, 0, r"improved .*pages_served +100 pages became 110 pages \(\+10(\.0)? %\)"),
    ],
)
def test_a_gate_judges_them_by_their_own_direction_and_tolerance(
    base: Path, tmp_path: Path, factors: dict[str, float], code: int, said: str
) -> None:
    head = rewritten(base, tmp_path / "head", factors)
    found, text = bitbench(tmp_path, "gate", base, head, "--metric", "energy", "--metric", "pages_served")
    assert re.search(said, text), text
    assert found == code


def test_the_words_for_several_metrics_and_the_rules_know_them(base: Path, tmp_path: Path) -> None:
    head = rewritten(base, tmp_path / "head", {"pages_served": 0.9})
    known = known_metrics(store.load(head).run)
    assert in_kinds(known)["portable"] >= {"pages_served", "weight_bytes"}
    assert "energy" in select_metrics(("sampled",), known) > select_metrics(("sampled",))
    rules = tmp_path / "rules.toml"
    rules.write_text("[tolerances]\npages_served = 10.0\n")
    assert bitbench(tmp_path, "gate", base, head, "--metric", "exact", "--rules", rules)[0] == 0
    rules.write_text("[tolerances]\nenergy = 10.0\n")
    code, text = bitbench(tmp_path, "gate", base, head, "--rules", rules)
    assert code == 2
    assert "'energy' is no exact or paired metric; choose from: " in text
    assert "pages_served" in text


def test_the_report_shows_them(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "PLOTS", {})  # the figures are of the project's own metrics, and take long to draw
    head = rewritten(base, tmp_path / "head", {"energy": 1.5, "pages_served": 0.9})
    page = tmp_path / "report.html"
    assert bitbench(tmp_path, "report", base, head, "-o", page)[0] == 0
    text = page.read_text()
    for heading in (r"energy\b.{0,80}\bJ\b.{0,80}±", r"pages served\b.{0,80}\bpages\b"):
        assert re.search(heading, text, re.DOTALL), heading
    assert re.search(r"energy.{0,200}\+50", text, re.DOTALL)
    assert "90 pages" in text


def test_of_two_declarations_the_heads_counts_and_is_named(base: Path, tmp_path: Path) -> None:
    laxer = (METRICS["weight_bytes"], ENERGY, msgspec.structs.replace(PAGES, tolerance=15.0, title="served"))
    head = rewritten(base, tmp_path / "head", {"pages_served": 0.9}, laxer)
    code, text = bitbench(tmp_path, "gate", base, head, "--metric", "pages_served")
    assert code == 0, text
    assert "base declares pages_served otherwise than head, whose declaration counts: tolerance 2 and not 15" in text
    code, text = bitbench(tmp_path, "gate", head, base, "--metric", "pages_served")
    assert (code, "tolerance 15 and not 2" in text) == (0, True), "more pages are better"
    same = rewritten(base, tmp_path / "same", {}, (*laxer[:2], msgspec.structs.replace(PAGES, title="served")))
    assert "otherwise" not in bitbench(tmp_path, "gate", base, same)[1], "a title judges nothing"


def test_values_in_two_units_are_not_compared(base: Path, tmp_path: Path) -> None:
    metrics = (METRICS["weight_bytes"], msgspec.structs.replace(ENERGY, unit="mJ"), PAGES)
    head = rewritten(base, tmp_path / "head", {"energy": 1000.0}, metrics)
    code, text = bitbench(tmp_path, "gate", base, head, "--metric", "energy")
    assert code == 2, text
    assert "base and head have it in unlike units (J vs mJ); measure both anew" in text
    assert re.search(r"energy +2 J .*2000 mJ", bitbench(tmp_path, "compare", base, head)[1])
    assert ",energy,mJ,incomparable" in bitbench(tmp_path, "compare", base, head, "--format", "csv")[1]


def registry(*metrics: str | Metric, declared: tuple[Metric, ...] = ()) -> Registry:
    suite = replace(SUITES[0], metrics=metrics)
    return Registry("mine", {"s": suite}, "", declared=declared)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (registry("latnecy"), "suite thrifty measures the unknown metric 'latnecy'; .* did you mean latency?"),
        (
            registry(Exact(name="latency", better="lower")),
            "the metric latency is the project's own; give yours another",
        ),
        (registry(PAGES, declared=(Exact(name="pages_served", better="lower"),)), "declared in another way too"),
    ],
)
def test_a_declaration_that_cannot_be_is_one_line(found: Registry, said: str) -> None:
    with pytest.raises(UsageError, match=f"^mine: .*{said}"):
        _ = found.metrics


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: Exact(name="Energy", better="lower"), "'Energy' is no name of a metric"),
        (lambda: Exact(name="exact", better="lower"), "'exact' is no name of a metric"),
        (lambda: Sampled(name="energy", unit="kilo watt", better="lower"), "unit 'kilo watt'; give a short one"),
        (lambda: Sampled(name="energy", better="smaller"), "better='smaller'; give 'lower' or 'higher'"),  # type: ignore[arg-type]  # that is the point
        (lambda: Sampled(name="energy", unit="dB", better="lower"), "decibels have no ratios; declare it Exact"),
        (lambda: Exact(name="pages", better="lower", tolerance=-1), "tolerance=-1; give a number, 0 or more"),
    ],
)
def test_a_metric_says_what_is_wrong_with_its_declaration(declare: Callable[[], Metric], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        declare()


def test_a_header_with_an_impossible_metric_is_corrupt(base: Path, tmp_path: Path) -> None:
    text = (base / store.FILE_NAME).read_text()
    file = tmp_path / store.FILE_NAME
    file.write_text(text.replace('"name":"energy"', '"name":"En ergy"', 1))
    with pytest.raises(StoreError, match=r"line 1 is corrupt .*no name of a metric"):
        store.load(file)


def test_a_run_goes_on_only_with_the_metrics_that_it_declared(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = rewritten(base, tmp_path / "run", {}, (METRICS["weight_bytes"], PAGES))
    assert cli.main(["run", "--resume", "--out", str(begun), "--rounds", "4"]) == 2
    assert "was begun when energy was declared not at all: begin a new run" in capsys.readouterr().err
