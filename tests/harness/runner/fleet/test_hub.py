"""Where runs come together: the bytes of each machine, once and in order, whatever comes twice or late."""

import random
from pathlib import Path

import pytest

from harness.errors import StoreError, UsageError
from harness.runner.fleet.hub import Hub, RunFile
from harness.runner.fleet.on_machine import _give_back, whole_lines

LINES = [b'{"line":%d,"text":"%s"}\n' % (number, b"x" * (number % 7)) for number in range(50)]
WHOLE = b"".join(LINES)


def pieces(rng: random.Random) -> list[tuple[int, bytes]]:
    """As one attempt sends them, from the first byte on, until something ends it."""
    cuts = sorted(rng.sample(range(1, len(LINES)), 6))
    sent, at = [], 0
    for start, end in zip([0, *cuts], [*cuts, len(LINES)], strict=True):
        data = b"".join(LINES[start:end])
        sent.append((at, data))
        at += len(data)
    return sent[: rng.randrange(1, len(sent) + 1)]


@pytest.mark.parametrize("seed", range(20))
def test_what_comes_twice_or_after_a_gap_changes_nothing(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    file = RunFile(tmp_path / "run.jsonl")
    for _ in range(4):
        for offset, data in pieces(rng):
            if rng.random() < 0.8:  # the others are lost on the way
                file.take(offset, data)
    assert WHOLE.startswith(file.content())
    for offset, data in [(0, b"".join(LINES[:20])), (len(b"".join(LINES[:20])), b"".join(LINES[20:]))]:
        assert file.take(offset, data)
    assert file.content() == WHOLE
    file.close()
    assert not file.take(len(WHOLE), b"late\n")
    assert (tmp_path / "run.jsonl").read_bytes() == WHOLE


def test_a_hub_that_was_killed_while_it_wrote_a_line_has_it_again(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"".join(LINES[:3]) + LINES[3][:5])
    file = RunFile(path)
    assert file.content() == b"".join(LINES[:3])
    assert file.take(file.size, LINES[3])


def test_only_whole_lines_are_sent_in_pieces_of_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.jsonl"
    assert whole_lines(path, 0) == []
    path.write_bytes(WHOLE + b'{"torn')
    assert whole_lines(path, 0) == [WHOLE]
    monkeypatch.setattr("harness.runner.fleet.on_machine.PIECE", 30)
    sent = whole_lines(path, len(LINES[0]))
    assert b"".join(sent) == WHOLE[len(LINES[0]) :]
    assert all(piece.endswith(b"\n") for piece in sent)
    assert len(sent) > 10


@pytest.mark.parametrize("here", [None, b"", LINES[0], b"".join(LINES[:4]) + b'{"torn'])
def test_a_machine_that_lost_its_disk_is_given_back_what_the_hub_has(here: bytes | None, tmp_path: Path) -> None:
    path, held = tmp_path / "run" / "run.jsonl", b"".join(LINES[:10])
    if here is not None:
        path.parent.mkdir()
        path.write_bytes(here)
    _give_back(path, held)
    assert path.read_bytes() == held
    path.write_bytes(WHOLE)
    _give_back(path, held)
    assert path.read_bytes() == WHOLE


def test_a_hub_is_of_one_question_and_of_one_process(tmp_path: Path) -> None:
    asked = (tmp_path / "hub", ("quick",), {"cpu": "EPYC"})
    with Hub(*asked, go_on=False) as hub:
        hub.add("aaaa", ("kind",), "aaaa (EPYC)")
        again = hub.add("aaaa", ("kind",), "aaaa (EPYC)")
        hub.save()
        assert again.name == "aaaa-2"
        with pytest.raises(StoreError, match="another fleet fills"):
            Hub(*asked, go_on=True)
    with pytest.raises(StoreError, match="--go-on"):
        Hub(*asked, go_on=False)
    with pytest.raises(UsageError, match=r"was asked for quick --on cpu=EPYC: repeat that"):
        Hub(asked[0], ("error",), {"cpu": "EPYC"}, go_on=True)
    with Hub(*asked, go_on=True) as hub:
        assert [job.name for job in hub.plan.left()] == ["aaaa", "aaaa-2"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(StoreError, match=r"holds mine.txt and no fleet"):
        Hub(tmp_path / "other", (), {}, go_on=True)


def test_a_run_that_moves_leaves_nothing_where_runs_are_counted(tmp_path: Path) -> None:
    with Hub(tmp_path / "hub", ("quick",), {}, go_on=False) as hub:
        job = hub.add("aaaa", ("kind",), "aaaa")
        hub.file(job).take(0, LINES[0])
        moved = hub.move(job, "bbbb", "bbbb")
        assert hub.file(moved).content() == b""
        assert (hub.directory / "unfinished" / "aaaa" / "run.jsonl").read_bytes() == LINES[0]
        assert [path.parent.name for path in hub.directory.glob("*/run.jsonl")] == ["bbbb"]
        assert hub.plan.left() == [moved]
