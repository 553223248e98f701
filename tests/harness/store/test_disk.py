"""Disks that are full or may not be written, and several runs at once: a clear line, and nothing finished is lost."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import pytest

from harness import store
from harness.errors import StoreError
from tests.harness.data.factories import make_record, make_run
from tests.harness.fakes.killable_runs import ROOT, acknowledged, turns
from tests.harness.fakes.steadfast import WORDS

ALL = 28
"""Records of an undisturbed run: three contestants twice and one that is skipped, at four sizes."""


def bitbench(log: Path, *arguments: str, cwd: Path = ROOT, largest: int = 0) -> subprocess.Popen[str]:
    def limit() -> None:
        if largest:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    return subprocess.Popen(
        [sys.executable, "-m", "tests.harness.fakes.killable", "swift", str(log), "run", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def last_words(process: subprocess.Popen[str]) -> str:
    said = process.communicate(timeout=120)[1]
    assert "Traceback" not in said
    return said.strip().split("\n")[-1]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two pages, where this process may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_ends_the_run_in_one_line_and_it_can_be_gone_on_with(small_disk: Path, tmp_path: Path) -> None:
    out, log = small_disk / "run", tmp_path / "log"
    process = bitbench(log, *WORDS, "--out", str(out))
    line = last_words(process)
    assert process.returncode == 2
    assert "No space left on device; free some space" in line
    assert line.endswith("what was finished is kept: go on with it by --resume")
    kept = acknowledged(log)
    assert 0 < len(kept) < ALL
    assert turns(out)[: len(kept)] == kept, "and perhaps some whole lines of the contest that was being written"
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    assert bitbench(log, "--resume", "--out", str(out)).wait() == 0
    assert len(set(turns(out))) == ALL
    assert store.load(out).warnings == ()


def test_a_limit_on_the_size_of_files_is_as_a_full_disk(tmp_path: Path) -> None:
    out, log = tmp_path / "run", tmp_path / "log"
    process = bitbench(log, *WORDS, "--out", str(out), "--memory-limit", "4GiB", largest=6000)
    line = last_words(process)
    assert process.returncode == 2
    assert "File too large; raise the limit on the size of files (ulimit -f)" in line
    kept = acknowledged(log)
    assert 0 < len(kept) < ALL
    assert turns(out)[: len(kept)] == kept, "and perhaps some whole lines of the contest that was being written"
    assert bitbench(log, "--resume", "--out", str(out)).wait() == 0
    assert len(set(turns(out))) == ALL
    assert store.load(out).run.request.memory_limit == 2**32


def test_a_disk_too_full_for_the_first_line_leaves_nothing_behind(tmp_path: Path) -> None:
    process = bitbench(tmp_path / "log", *WORDS, "--out", str(tmp_path / "run"), largest=100)
    assert "cannot write" in last_words(process)
    assert process.returncode == 2
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_a_device_that_is_full_is_said(tmp_path: Path) -> None:
    writer = store.Writer(FileIO("/dev/full", "w"), tmp_path)
    with pytest.raises(StoreError, match=r"No space left on device; free some space .* --resume"):
        writer.append(make_record())


def test_a_directory_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    if os.geteuid() == 0:  # whom no permission stops
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", closed], capture_output=True).returncode:
            pytest.skip("root without the right to mount can write everywhere")
    else:
        closed.chmod(0o500)
    try:
        with pytest.raises(
            StoreError, match=r"cannot write .*(Read-only file system|Permission denied); (choose|check)"
        ):
            store.create(closed / "run", make_run())
        assert list(closed.iterdir()) == []
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", closed], check=True)


def test_of_runs_into_one_directory_at_once_one_writes_and_the_others_say_so(tmp_path: Path) -> None:
    out = tmp_path / "run"
    started = [bitbench(tmp_path / "log", *WORDS, "--out", str(out)) for _ in range(3)]
    lines = {process: last_words(process) for process in started}
    refused = [line for process, line in lines.items() if process.returncode == 2]
    assert sorted(process.returncode for process in started) == [0, 2, 2]
    assert all("holds a run already" in line or "another run is writing" in line for line in refused)
    assert len(turns(out)) == ALL
    assert store.load(out).warnings == ()


def test_runs_that_name_no_directory_get_one_each(tmp_path: Path) -> None:
    started = [bitbench(tmp_path / "log", *WORDS, cwd=tmp_path) for _ in range(3)]
    assert [process.wait(120) for process in started] == [0, 0, 0]
    runs = [path for path in (tmp_path / "results" / "runs").iterdir() if path.is_dir()]
    assert [len(turns(run)) for run in runs] == [ALL] * 3
    assert {store.load(run).run.id for run in runs} == {run.name for run in runs}
