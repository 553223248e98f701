"""Git as it is started by a program that git may have started itself, as a hook."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.gate.checkouts import Checkouts
from harness.machine import git
from harness.machine.revision import revision
from harness.model.messages import Fingerprint, Sources, TakeFingerprint
from harness.runner.process import WorkerProcess
from tests.harness.fakes.repositories import commit, worktrees
from tests.harness.fakes.repositories import git as run


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    place.mkdir()
    run(place, "init", "-b", "main")
    commit(place, {"a.py": "one\n"})
    commit(place, {"a.py": "two\n"})
    return place


@pytest.fixture
def in_a_hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What git tells the hooks of another repository, which is returned."""
    other = tmp_path / "other"
    other.mkdir()
    run(other, "init")
    commit(other, {"other.py": ""})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    monkeypatch.setenv("GIT_PREFIX", "")
    monkeypatch.setenv("GIT_LITERAL_PATHSPECS", "1")
    return other


def test_the_index_of_a_commit_that_is_being_made_is_left_alone(repository: Path, in_a_hook: Path) -> None:
    (repository / "key.pem").write_text("not staged\n")
    before = (in_a_hook / ".git" / "index").read_bytes()
    with Checkouts("HEAD~1", ".", "git rev-parse --show-toplevel", start=repository) as sides:
        assert (sides.base.root / "a.py").read_text() == "one\n"
        assert sides.changed == ("a.py", "key.pem")
    assert (in_a_hook / ".git" / "index").read_bytes() == before
    assert not (in_a_hook / ".git" / "worktrees").exists()


def test_a_revision_is_that_of_the_files_and_not_of_the_users_commit(repository: Path, in_a_hook: Path) -> None:
    (repository / "results").mkdir()
    (repository / "results" / "new.jsonl").write_text("measured\n")
    found = revision(repository)
    assert not found.dirty
    with pytest.MonkeyPatch.context() as outside:
        for name in git.bound():
            outside.delenv(name, raising=False)
        assert found.commit == run(repository, "rev-parse", "HEAD")


@pytest.mark.usefixtures("started_workers")
def test_builds_and_workers_are_told_of_no_repository(
    repository: Path, in_a_hook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "0")
    with Checkouts("HEAD", ".", """sh -c 'env > variables'""", start=repository) as sides:
        told = {line.partition("=")[0] for line in (sides.head.root / "variables").read_text().splitlines()}
    assert not told & git.bound()
    assert "GIT_CONFIG_COUNT" in told, "git hands it on to submodules, too"
    sources = Sources((str(Path(__file__).parents[3]),))
    worker = WorkerProcess("none", program="tests.harness.fakes.tells_variables", sources=sources)
    try:
        said = worker.loaded(TakeFingerprint("", ""))
    finally:
        worker.close()
    assert isinstance(said, Fingerprint)
    assert "PATH" in said.files
    assert not said.files.keys() & git.bound()


def test_every_git_that_is_started_is_free(
    repository: Path, tmp_path: Path, in_a_hook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the first, which is asked what binds one."""
    told, programs = tmp_path / "told", tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(f'#!/bin/sh\nenv >> {told}\nexec {shutil.which("git")} "$@"\n')
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    git.bound.cache_clear()
    with Checkouts("HEAD~1", ".", start=repository) as sides:
        assert sides.changed
    revision(repository)
    names = {line.partition("=")[0] for line in told.read_text().splitlines()}
    # Its own git hands GIT_DIR on, which it found for itself; the other repository's is in none of them.
    assert str(in_a_hook) not in told.read_text()
    assert "GIT_LITERAL_PATHSPECS" not in names


def test_hooks_and_monitors_of_the_user_do_not_run(repository: Path, tmp_path: Path) -> None:
    told = tmp_path / "told"
    hook = f"#!/bin/sh\necho $0 >> {told}\n"
    for name in ("post-checkout", "post-index-change", "reference-transaction", "monitor"):
        path = repository / ".git" / "hooks" / name
        path.write_text(hook)
        path.chmod(0o755)
    run(repository, "config", "core.fsmonitor", str(repository / ".git" / "hooks" / "monitor"))
    run(repository, "status")
    assert told.exists(), "they are hooks that run"
    told.unlink()
    with Checkouts("HEAD~1", ".", start=repository):
        revision(repository)
    assert not told.exists()
    assert worktrees(repository) == 1


def test_a_repository_that_only_variables_name_is_not_meant(tmp_path: Path, in_a_hook: Path) -> None:
    with pytest.raises(UsageError, match=r"is in no git repository \(GIT_DIR is not heeded: go there\)"):
        Checkouts("HEAD", ".", start=tmp_path)


def test_without_git_nothing_is_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    git.bound.cache_clear()
    try:
        monkeypatch.setattr(subprocess, "run", missing)
        assert git.bound() == git.PATHSPECS
    finally:
        git.bound.cache_clear()


@pytest.mark.parametrize("place", ["tmp", ".", "deep/kept"])
def test_temporary_files_in_the_repository_are_no_change_of_it(
    repository: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """What git knows there counts as anywhere else."""
    commit(repository, {"deep/kept/known.py": "one\n"})
    temporary = repository / place
    temporary.mkdir(exist_ok=True)
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    (temporary / "bitbench-abc").mkdir()
    (temporary / "bitbench-abc" / "file").write_text("")
    with Checkouts("HEAD", ".", start=repository) as other, Checkouts("HEAD", ".", start=repository) as sides:
        assert other.head.root.is_relative_to(repository)
        assert not sides.head.revision.dirty
        assert sides.changed == ()
        assert not revision(repository).dirty
    (repository / "deep" / "kept" / "known.py").write_text("two\n")
    (repository / "deep" / "new.py").write_text("")
    with Checkouts("HEAD", ".", start=repository) as sides:
        assert sides.changed == ("deep/kept/known.py", "deep/new.py")
    assert revision(repository).dirty
    run(repository, "checkout", ".")
    assert revision(repository).dirty, "for the new file alone"
    assert worktrees(repository) == 1
