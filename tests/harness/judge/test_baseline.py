"""Which run is a baseline: accepted with a reason, whole or not at all."""

from pathlib import Path

import msgspec
import pytest

from harness import cli
from harness.judge.baseline import accepted
from harness.store import FILE_NAME, files, load
from tests.harness.data.factories import make_case, make_record, make_run, write_run

VALUES = {"weight_bytes": 640, "error_sqnr": 8.0}


def write(directory: Path, *, dirty: bool = False, **values: float) -> Path:
    record = make_record(make_case(), 0, VALUES | values)
    return write_run(directory, make_run(run_id=directory.name, dirty=dirty), [record])


def accept(*arguments: object) -> int:
    return cli.main(["baseline", "accept", *map(str, arguments)])


def test_accepting_copies_the_run_and_says_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "baselines" / "quick"
    first, second = write(tmp_path / "first"), write(tmp_path / "second", weight_bytes=600, agreement_sqnr=90)
    (second / "report.html").write_text("derived")
    assert accept(first, "--as", place, "--reason", "the beginning") == 0
    assert accept(second, "--as", place, "--reason", "packed\n  tighter") == 0
    assert f"{place}: accepted second against first: 1 improved, 1 new, 1 ok" in capsys.readouterr().out
    assert sorted(path.name for path in place.iterdir()) == ["accepted.jsonl", FILE_NAME]
    assert (place / FILE_NAME).read_bytes() == (second / FILE_NAME).read_bytes()
    old, new = accepted(place)
    assert (old.run, old.previous, old.changes) == ("first", "", {})
    assert (new.reason, new.run, new.previous) == ("packed tighter", "second", "first")
    assert new.changes == {"improved": 1, "new": 1, "ok": 1}
    assert new.revision == load(second).run.revision


def test_the_place_is_named_after_the_suites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert accept(write(tmp_path / "run"), "--reason", "new") == 0
    assert load(Path("results/baselines/quick")).run.id == "run"


CRASHED = [make_record(values=VALUES), make_record(make_case("int8"), reason="signal 11", outcome="crashed")]


def test_what_is_no_baseline_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "place"
    good = write(tmp_path / "good")
    assert accept(good, "--as", place, "--reason", "good") == 0
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    cut = write(tmp_path / "cut")
    (cut / FILE_NAME).write_bytes((good / FILE_NAME).read_bytes() + b'{"case":')
    refusals = (
        (2, "--reason is empty", write(tmp_path / "silent"), " "),
        (2, "signal 11", write_run(tmp_path / "crashed", make_run(run_id="crashed"), CRASHED), "because"),
        (5, "measured nothing", write_run(tmp_path / "none", make_run(run_id="none"), [make_record(reason="no")]), "b"),
        (2, "not committed", write(tmp_path / "dirty", dirty=True), "because"),
        (2, "cut short", cut, "because"),
        (2, "already", good, "because"),
        (2, "cannot read", tmp_path / "nowhere", "because"),
    )
    capsys.readouterr()
    for code, words, run, reason in refusals:
        assert accept(run, "--as", place, "--reason", reason) == code, words
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert accept(tmp_path / "dirty", "--as", place, "--reason", "because", "--allow-dirty") == 0
    assert accepted(place)[-1].revision.dirty


def test_a_disk_that_fills_up_leaves_the_previous_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write(tmp_path / "place")
    before = (place / FILE_NAME).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    assert accept(write(tmp_path / "run"), "--as", place, "--reason", "because") == 2
    assert "No space left on device" in capsys.readouterr().err
    assert [path.name for path in place.iterdir()] == [FILE_NAME]
    assert (place / FILE_NAME).read_bytes() == before


def test_show_tells_what_it_is_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = write(tmp_path / "place")

    def shown(form: str = "text") -> str:
        assert cli.main(["baseline", "show", str(place), "--format", form]) == 0
        return capsys.readouterr().out

    assert "nobody wrote down why" in shown()
    accept(write(tmp_path / "run"), "--as", place, "--reason", "tidier")
    capsys.readouterr()
    assert "run run, started" in shown()
    assert shown().rstrip().endswith("2 ok                    tidier")
    assert "wrote down" not in shown()
    assert msgspec.json.decode(shown("json"))["accepted"][0]["reason"] == "tidier"
    (place / FILE_NAME).write_bytes((write(tmp_path / "other") / FILE_NAME).read_bytes())
    assert "warning: the last one accepted is run" in shown()
    (place / "accepted.jsonl").write_text("{}\n")
    assert cli.main(["baseline", "show", str(place)]) == 2
    assert "is no log of baselines" in capsys.readouterr().err
