"""The history for people: its table, its figure, its page; and what the commands refuse."""

import csv
import io
import json
import math
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from harness.analysis.history.rows import identity, rows
from harness.cli import main
from harness.model import StoredRun
from harness.store import history
from tests.harness.data.factories import make_case, make_environment, make_record, make_run

pytest.importorskip("pyarrow")
pytest.importorskip("ruptures")

RUNS, STEP = 24, 15


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases on one machine; `int8` takes 10 % longer and 4 bytes more from one commit on. One run on another."""
    random, place = np.random.default_rng(0), tmp_path_factory.mktemp("history")
    for number in range(RUNS + 1):
        started = f"2026-01-{number + 1:02}T00:00:00Z"
        elsewhere = {"environment": make_environment(cpu_model="Other")} if number == RUNS else {}
        run = make_run(run_id=f"r{number:02}", commit=f"{number:07x}".ljust(40, "0"), **elsewhere)
        run = msgspec.structs.replace(run, started=started)
        is_after = number >= STEP
        records = []
        for name, factor in (("int8", 1.1 if is_after else 1.0), ("eager", 1.0)):
            values = {"latency": 1e-3 * factor * math.exp(0.01 * random.standard_normal())}
            values["weight_bytes"] = 104.0 if name == "int8" and is_after else 100.0
            records.append(make_record(make_case(name), values=values))
        history.add(place, run.id, identity(run), len(records), rows(StoredRun(run, tuple(records), ())))
    return place


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["history", *words]) == code
    said = capsys.readouterr()
    return said.err if code else said.out


def test_a_change_is_told_with_its_commits_size_and_interval(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = csv.DictReader(io.StringIO(told(capsys, "show", str(folder), "--changes", "--format", "csv")))
    assert (row["implementation"], row["metric"], row["verdict"]) == ("int8", "latency", "worse")
    assert row["commits"] == f"{STEP - 1:07x}..{STEP:07x}"
    lo, hi = map(float, re.findall(r"[+-][\d.]+", row["interval"]))
    size = float(row["change"].removesuffix(" %"))
    assert lo < 10 < hi
    assert lo < size < hi
    shown = told(capsys, "show", str(folder))
    assert shown.count("machine ") >= 2
    assert "1 changes in 4 series" in shown


def test_exact_metrics_and_machines_are_chosen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(told(capsys, "show", str(folder), "--metric", "weight_bytes", "-k", "int8", "--format", "json"))
    (change,) = said["changes"]
    assert (change["change"], change["interval"]) == ("+4.0 %", "")
    assert len(said["series"]) == 2
    kind = next(one["machine"] for one in said["series"] if one["runs"] == RUNS)
    of_one = json.loads(told(capsys, "show", str(folder), "--metric", "all", "--machine", kind, "--format", "json"))
    assert {(one["metric"], one["runs"]) for one in of_one["series"]} == {("latency", RUNS), ("weight_bytes", RUNS)}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--metric", "latenzy"), "did you mean latency"),
        (("--machine", "mine"), "choose from"),
        (("-k", "nothing-like-it"), "leave out -k"),
    ],
)
def test_what_is_not_there_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    code = 5 if "-k" in words else 2
    assert says in told(capsys, "show", str(folder), *words, code=code)


def test_the_page_holds_all_and_fetches_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    told(capsys, "report", str(folder), "-o", str(page))
    text = page.read_text()
    assert "1 for the worse" in text
    assert text.count("<svg") == 1
    assert f"{STEP - 1:07x}..{STEP:07x}" in text
    assert not re.search(r'(?:src|href)="(?!#)', text)
    again = tmp_path / "again.html"
    told(capsys, "report", str(folder), "-o", str(again))
    assert again.read_bytes() == page.read_bytes()


def test_the_figure_is_its_numbers(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("svg", "png", "csv"):
        told(capsys, "plot", str(folder), "-o", str(tmp_path / f"figure.{kind}"))
    drawn = list(csv.DictReader((tmp_path / "figure.csv").open()))
    assert len(drawn) == 2 * RUNS
    assert "figure.bmp" in told(capsys, "plot", str(folder), "-o", str(tmp_path / "figure.bmp"), code=2)
