"""One command that may be given again and again, on one machine only, and that ends when it is told to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness import store
from harness.machine import identity
from harness.store import FILE_NAME
from tests.harness.fakes.killable_runs import ROOT, acknowledged, finish, start, turns, wait_for
from tests.harness.fakes.steadfast import WORDS

ALL = 4 * 4 * 2 - 4
"""Cases and rounds of `steadfast`; one implementation is skipped, and so has no second round."""


def go_on(directory: Path, *words: str) -> tuple[int, str]:
    process = start("swift", directory.parent / "log", *WORDS, "--go-on", "--out", str(directory), *words)
    said = finish(process)
    return process.returncode, said


@pytest.mark.parametrize(
    "left", [None, b"", b'{"schema":7,"id":"2026', "whole"], ids=["nothing", "empty", "cut", "run"]
)
def test_the_same_command_begins_a_run_or_goes_on_with_it(left: bytes | str | None, tmp_path: Path) -> None:
    directory = tmp_path / "run"
    if left == "whole":
        assert go_on(directory)[0] == 0
        path = directory / FILE_NAME
        path.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:9]) + b'\n{"case":{"sui')
    elif isinstance(left, bytes):
        directory.mkdir()
        (directory / FILE_NAME).write_bytes(left)
    before = (directory / FILE_NAME).read_bytes() if left == "whole" else b""
    assert go_on(directory)[0] == 0
    assert (directory / FILE_NAME).read_bytes().startswith(before[: before.rfind(b"\n") + 1])
    assert len(turns(directory)) == len(set(turns(directory))) == ALL
    assert store.load(directory).warnings == ()


def test_what_would_go_on_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "run"
    monkeypatch.setenv(identity.NAMED, "one")
    assert go_on(directory, "--label", "rack=3")[0] == 0
    assert store.load(directory).run.environment.labels == {"rack": "3"}
    code, said = go_on(directory, "--label", "rack=4")
    assert (code, said.count("\n")) == (2, 1)
    assert "--label cannot change what was begun" in said
    monkeypatch.setenv(identity.NAMED, "another of its kind")
    code, said = go_on(directory, "--label", "rack=3")
    assert (code, said.count("\n")) == (2, 1)
    assert "was begun on another machine of this kind" in said


def test_another_run_in_the_same_second_has_another_name(tmp_path: Path) -> None:
    begun = [start("swift", tmp_path / "log", *WORDS, "--out", str(tmp_path / name)) for name in ("one", "two")]
    assert all(finish(process) is not None for process in begun)
    one, two = (store.load(tmp_path / name).run.id for name in ("one", "two"))
    assert one != two


def test_sigterm_ends_a_run_as_ctrl_c_does(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    process = start("swift", tmp_path / "log", *WORDS, "--rounds", "2000", "--out", str(directory))
    wait_for(tmp_path / "log", process)
    while not acknowledged(tmp_path / "log") and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    said = finish(process)
    assert process.returncode == 130
    assert f"go on with: bitbench run --resume --out {directory}" in said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked for it")
def test_a_run_ends_with_its_parent(tmp_path: Path) -> None:
    """The parent is killed while the run is under way: neither it nor a worker of it is left."""
    words = [sys.executable, "-m", "tests.harness.fakes.killable", "swift", str(tmp_path / "log"), "run", *WORDS]
    words += ["--rounds", "2000", "--die-with-parent", "--out", str(tmp_path / "run")]
    code = f"import subprocess; print(subprocess.Popen({words!r}).pid, flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, text=True, **pipes) as parent:  # type: ignore[call-overload]  # keywords in a dict
        run = psutil.Process(int(parent.stdout.readline()))
        wait_for(tmp_path / "run" / FILE_NAME, parent)
        family = [run, *run.children(recursive=True)]
        parent.kill()
    _, left = psutil.wait_procs(family, timeout=10)
    assert [one for one in left if one.status() != psutil.STATUS_ZOMBIE] == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be asked for it")
def test_a_run_whose_parent_had_ended_before_it_could_ask_does_not_begin(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "harness.cli", "run", *WORDS, "--die-with-parent", "--out", str(tmp_path / "run")]
    done = subprocess.run(words, cwd=ROOT, env={**os.environ, "BITBENCH_PARENT": "1"}, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "run").exists()
