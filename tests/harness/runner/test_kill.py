"""Runs that are killed at random instants, and what is left of them. Real processes, the real command line."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pytest

from harness import store
from harness.errors import StoreError
from harness.store import FILE_NAME
from tests.harness.fakes.killable_runs import Turn, acknowledged, finish, start, turns, wait_for
from tests.harness.fakes.steadfast import NAMES, WORDS

VICTIMS = ("controller", "worker", "both")


@dataclass(frozen=True)
class Undisturbed:
    """What a run is when nothing happens to it."""

    turns: frozenset[Turn]
    seconds: float
    """From its first byte on the disk to its end."""


@cache
def undisturbed(worker: str, parent: Path) -> Undisturbed:
    directory = parent / worker
    process = start(worker, parent / "log", *WORDS, "--out", str(directory))
    begun = wait_for(directory / FILE_NAME, process)
    finish(process)
    assert process.returncode == 0
    seconds = time.monotonic() - begun
    return Undisturbed(frozenset(turns(directory)), seconds)


def kill(process: subprocess.Popen[str], victim: str) -> None:
    with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):  # it was done already
        children = psutil.Process(process.pid).children()
        if victim != "worker":
            os.kill(process.pid, signal.SIGKILL)
        for child in children if victim != "controller" else []:
            child.kill()


def strike(process: subprocess.Popen[str], directory: Path, victim: str, whole: float, rng: random.Random) -> None:
    """Kill at an instant of the run: one in ten while it starts, the others once it has begun to write."""
    if rng.random() < 0.1:
        time.sleep(rng.uniform(0, 0.5))
    else:
        wait_for(directory / FILE_NAME, process)
        time.sleep(rng.uniform(0, whole))
    kill(process, victim)


def assert_nothing_is_lost(worker: str, instant: int, tmp_path: Path, parent: Path) -> None:
    rng = random.Random(instant)
    victim = VICTIMS[instant % 3]
    whole = undisturbed(worker, parent)
    directory, log = tmp_path / "run", tmp_path / "log"
    process = start(worker, log, *WORDS, "--out", str(directory))
    strike(process, directory, victim, whole.seconds, rng)
    said = finish(process)
    kept = acknowledged(log)
    if victim == "worker" and process.returncode >= 0:
        check_survivor(process.returncode, said, directory, whole)
    elif kept or (directory / FILE_NAME).exists():
        check_remains(worker, directory, log, kept, whole)


def check_survivor(code: int, said: str, directory: Path, whole: Undisturbed) -> None:
    """A run whose worker was killed goes on without it, and says so in the row of the case that was in hand."""
    if code == 4:
        assert "the worker does not start: the worker was killed by SIGKILL" in said
        return
    records = store.load(directory).records
    assert {record.case.name for record in records} == {name for name, _ in whole.turns}
    crashes = [record for record in records if record.outcome == "crashed"]
    assert code == bool(crashes)
    assert len(crashes) <= 1
    assert all("killed by SIGKILL" in record.reason for record in crashes)
    ended = {record.case.name for record in crashes}
    assert {turn for turn in whole.turns if turn[0] not in ended} <= {(r.case.name, r.round) for r in records}


def check_remains(worker: str, directory: Path, log: Path, kept: list[Turn], whole: Undisturbed) -> None:
    """What the store acknowledged is there, at most the contest in hand is not, and `--resume` makes up the rest."""
    path = directory / FILE_NAME
    before = path.read_bytes()
    if b"\n" not in before:
        assert not kept
        with pytest.raises(StoreError):
            store.load(directory)
        return
    there = turns(directory)
    assert set(kept) <= set(there) <= whole.turns
    assert len(there) - len(kept) <= len(NAMES)
    log.unlink(missing_ok=True)
    process = start(worker, log, "--resume", "--out", str(directory))
    finish(process)
    assert process.returncode == 0
    assert not set(acknowledged(log)) & set(there)
    assert path.read_bytes().startswith(before[: before.rindex(b"\n") + 1])
    stored = store.load(directory)
    assert stored.warnings == ()
    assert Counter(turns(directory)) == Counter(whole.turns)


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("undisturbed")


@pytest.mark.parametrize("instant", range(6))
def test_a_killed_run_loses_nothing_that_was_finished(instant: int, tmp_path: Path, parent: Path) -> None:
    assert_nothing_is_lost("swift", instant, tmp_path, parent)


@pytest.mark.slow
@pytest.mark.parametrize("instant", range(6, 176))
def test_a_killed_run_loses_nothing_at_any_instant(instant: int, tmp_path: Path, parent: Path) -> None:
    assert_nothing_is_lost("swift", instant, tmp_path, parent)


@pytest.mark.slow
@pytest.mark.parametrize("instant", range(1000, 1024))
def test_a_killed_run_with_real_workers_loses_nothing(instant: int, tmp_path: Path, parent: Path) -> None:
    assert_nothing_is_lost("real", instant, tmp_path, parent)
