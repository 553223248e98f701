import errno
import os
from pathlib import Path

import pytest

from harness import store
from harness.errors import StoreError
from harness.model.codec import encode
from tests.harness.data.factories import make_case, make_record, make_records, make_run, write_run

GOLDEN = Path(__file__).parents[1] / "data" / "golden_runs"


def one_line(error: pytest.ExceptionInfo[StoreError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    run, records = make_run(), make_records(rounds=1)
    with store.create(tmp_path / "run", run) as writer:
        for record in records:
            writer.append(record)
    stored = store.load(tmp_path / "run")
    assert (stored.run, list(stored.records), stored.warnings) == (run, records, ())
    assert store.load(tmp_path / "run" / store.FILE_NAME) == stored


def test_specials_survive(tmp_path: Path) -> None:
    record = make_record(values={"error_sqnr": float("inf"), "latency": [1e-9, 0.1 + 0.2]})
    (stored,) = store.load(write_run(tmp_path, records=[record])).records
    assert stored.values("error_sqnr") == (float("inf"),)
    assert stored.values("latency") == (1e-9, 0.1 + 0.2)


def test_every_record_is_on_the_disk_when_append_returns(tmp_path: Path) -> None:
    writer = store.create(tmp_path, make_run())
    for number in range(3):
        writer.append(make_record(round=number, values={"latency": 1.0}))
        assert len(store.load(tmp_path).records) == number + 1


def test_a_last_line_cut_anywhere_costs_only_itself(tmp_path: Path) -> None:
    records = [make_record(round=number, values={"latency": 1e-3}) for number in range(2)]
    path = write_run(tmp_path, records=records) / store.FILE_NAME
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for end in range(start, len(whole) + 1):
        path.write_bytes(whole[:end])
        complete = end >= len(whole) - 1
        stored = store.load(tmp_path)
        assert list(stored.records) == records[: 2 if complete else 1]
        assert bool(stored.warnings) == (start < end < len(whole) - 1)
        if start + 10 < end < len(whole) - 10:
            continue  # writing is slow, and the middle of a line is all alike
        with store.resume(tmp_path)[2] as writer:
            writer.append(make_record(round=7, values={"latency": 1e-3}))
        assert [record.round for record in store.load(tmp_path).records] == ([0, 1, 7] if complete else [0, 7])
        assert store.load(tmp_path).warnings == ()


def test_a_header_cut_anywhere_is_no_run(tmp_path: Path) -> None:
    path = write_run(tmp_path, records=[]) / store.FILE_NAME
    whole = path.read_bytes()
    for end in range(len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(StoreError) as error:
            store.load(tmp_path)
        one_line(error)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"garbage", "line 2 is corrupt"),
        (b"", "line 2 is corrupt"),
        (b"\xff\xfe\x00", "line 2 is corrupt"),
        (b"{}", "missing required field"),
        (encode(make_run()), "line 2 is corrupt"),
        (encode(make_record(values={"latency": 1.0})).replace(b"[1.0]", b'["fast"]'), "Expected `float`, got `str`"),
        (encode(make_record(values={"latency": 1.0})).replace(b"[1.0]", b"[true]"), "Expected `float`, got `bool`"),
        (encode(make_record(values={"latency": 1.0})).replace(b"[1.0]", b"[null]"), "Expected `float`, got `null`"),
        (encode(make_record(round=-1, values={"latency": 1.0})), "Expected `int` >= 0"),
        (encode(make_record(reason="no")).replace(b'"skipped"', b'"measured"'), "only 'measured' has no reason"),
        (encode(make_record()).replace(b'"measured"', b'"won"'), "Invalid enum value"),
    ],
)
def test_a_line_that_does_not_read_back_is_an_error(tmp_path: Path, line: bytes, says: str) -> None:
    path = write_run(tmp_path, records=[]) / store.FILE_NAME
    path.write_bytes(path.read_bytes() + line + b"\n" + encode(make_record()) + b"\n")
    with pytest.raises(StoreError, match=r"run\.jsonl, line 2 is corrupt .* measure again") as error:
        store.load(tmp_path)
    assert says in one_line(error)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty: the run ended before it began"),
        (b"# Notes\n\nnot a run\n", "is not a run: its first line is not a whole line of JSON"),
        (b"\x89PNG\r\n\x1a\n\x00", "is not a run: its first line is not a whole line of JSON"),
        (b"[1, 2]\n", "is not a run: its first line has no schema number"),
        (b'{"benchmarks": []}\n', "is not a run: its first line has no schema number"),
        (b'{"schema": true}\n', "is not a run: its first line has no schema number"),
        (b'{"schema": 1}\n', "line 1 is corrupt (Object missing required field `id`)"),
        (b'{"schema": 999}\n', "upgrade bitlinear-bench"),
        (b'{"schema": 0}\n', "no longer reads: measure it again"),
    ],
)
def test_what_is_not_a_run_says_so(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    with pytest.raises(StoreError) as error:
        store.load(path)
    assert says in one_line(error)


def test_directories_without_a_run_say_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is an empty directory"):
        store.load(tmp_path)
    (tmp_path / "notes").touch()
    with pytest.raises(StoreError, match=r"holds no run\.jsonl"):
        store.load(tmp_path)
    with pytest.raises(StoreError, match=r"cannot read .* No such file .* check the spelling"):
        store.load(tmp_path / "missing")
    (tmp_path / store.FILE_NAME).mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        store.load(tmp_path)


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    with pytest.raises(StoreError, match="--resume"):
        store.create(tmp_path / "run", make_run())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(StoreError, match="not empty and holds no run"):
        store.create(tmp_path / "other", make_run())
    with pytest.raises(StoreError, match="a file is in the way"):
        store.create(tmp_path / "other" / "thesis.tex", make_run())
    with pytest.raises(StoreError, match="a file is in the way"):
        store.create(tmp_path / "other" / "thesis.tex" / "run", make_run())


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, in which nothing can be made")
def test_where_nothing_can_be_made_the_cure_is_no_spelling() -> None:
    with pytest.raises(StoreError, match="nothing can be made there: choose another directory"):
        store.create(Path("/proc/bitbench/run"), make_run())


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO])
def test_a_refusal_is_said_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("harness.store.runs.FileIO", refuse)
    with pytest.raises(StoreError, match=rf"cannot write .*{os.strerror(number)}; (check|choose|free)") as error:
        store.create(tmp_path / "run", make_run())
    one_line(error)


def test_a_full_disk_is_said_and_costs_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = store.create(tmp_path, make_run())
    writer.append(make_record(round=0, values={"latency": 1.0}))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(StoreError, match="No space left on device; free some space"):
            writer.append(make_record(round=1, values={"latency": 1.0}))
    with pytest.raises(ValueError, match="closed file"):
        writer.append(make_record(round=2, values={"latency": 1.0}))
    assert store.load(tmp_path).records[0].round == 0


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with (
        store.create(tmp_path, make_run()),
        pytest.raises(StoreError, match="another run is writing"),
    ):
        store.resume(tmp_path)
    store.resume(tmp_path)[2].close()


def test_a_case_measured_again_counts_once(tmp_path: Path) -> None:
    case = make_case("int8")
    crash = make_record(case, 0, outcome="crashed", reason="the worker ended by signal 9")
    again = make_record(case, 0, {"latency": 1.0})
    stored = store.load(write_run(tmp_path, records=[crash, again]))
    assert stored.records == (again,)
    assert "measured again" in stored.warnings[0]


def test_metrics_of_the_future_are_named(tmp_path: Path) -> None:
    stored = store.load(write_run(tmp_path, records=[make_record(values={"watts": 3.0})]))
    assert "unknown metrics are ignored: watts" in stored.warnings[0]


def test_records_of_one_contest_are_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    sync = os.fsync
    records = [make_record(round=number, values={"latency": 1.0}) for number in range(3)]
    with store.create(tmp_path, make_run()) as writer, monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: (synced.append(number), sync(number)))
        writer.append_all(records)
    assert list(store.load(tmp_path).records) == records
    assert len(synced) == 1


def test_a_run_without_a_name_of_its_own_never_takes_anothers(tmp_path: Path) -> None:
    """Two runs in one second, or a clock that was set back, give the same id."""
    made = []
    for _ in range(3):
        directory, writer = store.create_in(tmp_path / "runs", make_run())
        writer.close()
        made.append((directory.name, store.load(directory).run.id))
    first = make_run().id
    assert made == [(name, name) for name in (first, f"{first}-2", f"{first}-3")]


@pytest.mark.parametrize("rules", [None, "", "*.tmp\n"])
def test_git_passes_over_the_directory_of_runs_unless_its_owner_will_have_it_seen(
    tmp_path: Path, rules: str | None
) -> None:
    parent = tmp_path / "results" / "runs"
    if rules is not None:
        parent.mkdir(parents=True)
        (parent / ".gitignore").write_text(rules)
    store.create_in(parent, make_run())[1].close()
    assert (parent / ".gitignore").read_text() == ("*\n" if rules is None else rules)


def test_a_run_of_an_earlier_version_is_read_but_not_gone_on_with(tmp_path: Path) -> None:
    content = (GOLDEN / "schema-1.jsonl").read_bytes()
    (tmp_path / store.FILE_NAME).write_bytes(content)
    assert store.load(tmp_path).records
    with pytest.raises(StoreError, match=r"begun by an earlier bitlinear-bench .* begin a new run") as error:
        store.resume(tmp_path)
    one_line(error)
    assert (tmp_path / store.FILE_NAME).read_bytes() == content


def test_records_of_one_case_share_it_and_nothing_else(tmp_path: Path) -> None:
    """Whatever only equals it, as 1 equals 1.0, stays what the line says."""
    one, like = make_case(m=1), make_case(m=1)
    like.params["m"] = 1.0
    facts = ({"groups": 1}, {"groups": 1}, {"groups": 1.0})
    records = [
        make_record(case, turn, {"latency": 1.0}, facts=said)
        for turn, (case, said) in enumerate(zip((one, one, like), facts, strict=True))
    ]
    first, second, third = store.load(write_run(tmp_path, records=records)).records
    assert first.case is second.case
    assert first.facts is second.facts
    assert [type(record.case.params["m"]) for record in (second, third)] == [int, float]
    assert [type(record.facts["groups"]) for record in (second, third)] == [int, float]
