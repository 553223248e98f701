"""Two revisions of real repositories side by side, and a gate of them by real processes."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness import cli
from harness.errors import UsageError
from harness.gate.checkouts import Checkouts, locks_among
from harness.gate.progress import Narrator
from tests.harness.fakes.repositories import FORWARD, SAME, commit, gate, git, worktrees


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    place.mkdir()
    git(place, "init", "-b", "main")
    commit(place, {"a.py": "one\n", ".gitignore": "ignored\n"})
    return place


def test_a_working_tree_is_taken_as_it_lies_there_and_left_alone(repository: Path) -> None:
    (repository / "a.py").write_text("staged\n")
    git(repository, "add", "a.py")
    (repository / "a.py").write_text("two\n")
    (repository / "new.py").write_text("new\n")
    (repository / "ignored").write_text("secret\n")
    before = git(repository, "status", "--porcelain")
    with Checkouts("HEAD", ".", start=repository) as sides:
        assert (sides.base.root / "a.py").read_text() == "one\n"
        assert (sides.head.root / "a.py").read_text() == "two\n"
        assert (sides.head.root / "new.py").read_text() == "new\n"
        assert not (sides.head.root / "ignored").exists()
        assert len(str(sides.base.root)) == len(str(sides.head.root))
        assert sides.changed == ("a.py", "new.py")
        assert not sides.base.revision.dirty
        assert sides.head.revision.dirty
        assert sides.head.revision.commit == sides.base.revision.commit
    assert git(repository, "status", "--porcelain") == before
    assert worktrees(repository) == 1
    assert not sides.base.root.exists()


def test_a_clean_working_tree_is_its_commit(repository: Path) -> None:
    with Checkouts("HEAD", ".", start=repository) as sides:
        assert sides.head.commit == sides.base.commit
        assert not sides.head.revision.dirty
        assert sides.changed == ()


def test_packages_are_found_below_the_folder_that_the_command_is_given_in(repository: Path) -> None:
    commit(repository, {"part/src/p.py": "", "part/q.py": ""})
    with Checkouts("HEAD", ".", start=repository / "part") as sides:
        root = sides.base.root
        assert sides.base.folders(sides.below) == (str(root / "part/src"), str(root / "part"))


@pytest.mark.parametrize(
    ("base", "build", "told"),
    [
        ("nowhere", "", "has no revision 'nowhere'"),
        ("HEAD", "false", "fails in HEAD with status 1: it says nothing"),
        ("HEAD", "cat missing", "cat: missing: No such file"),
        ("HEAD", "no-such-command", "cannot be run in HEAD"),
        ("HEAD", "echo 'unclosed", "cannot be run in HEAD: No closing quotation"),
    ],
)
def test_what_cannot_be_checked_out_or_built_is_one_line(repository: Path, base: str, build: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        Checkouts(base, ".", build, start=repository)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert worktrees(repository) == 1


def test_no_repository_and_no_commit(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is in no git repository"):
        Checkouts("HEAD", ".", start=tmp_path)
    git(tmp_path, "init")
    with pytest.raises(UsageError, match="has no revision 'HEAD'"):
        Checkouts("HEAD", ".", start=tmp_path)


def test_a_build_runs_in_both(repository: Path) -> None:
    with Checkouts("HEAD", ".", "touch built", start=repository) as sides:
        assert all((side.root / "built").exists() for side in (sides.base, sides.head))


def test_lock_files_are_known_by_name() -> None:
    assert locks_among(["uv.lock", "a/requirements-dev.txt", "clock_tower.py", "pyproject.toml"]) == (
        "uv.lock",
        "a/requirements-dev.txt",
        "pyproject.toml",
    )


BROKEN = "raise RuntimeError('out of order')\n"


@pytest.mark.parametrize(
    ("base", "head", "code", "told"),
    [
        (SAME, BROKEN, 1, "head is broken"),
        (BROKEN, SAME, 2, "base is broken"),
        (None, SAME, 2, "base is broken"),
    ],
)
def test_a_side_that_does_not_import_ends_the_gate(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    base: str | None,
    head: str,
    code: int,
    told: str,
) -> None:
    """A base without the package must not take it from the working tree."""
    commit(repository, {"own/layer.py": base} if base else {"b.py": ""})
    commit(repository, {"own/layer.py": head})
    assert gate(repository, monkeypatch, "--metric", "weight_bytes") == code
    error = capsys.readouterr().err.splitlines()[-1]
    assert told in error
    assert worktrees(repository) == 1


def test_each_side_is_its_own_code(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Head keeps another buffer: that is seen exactly. Its latency is anybody's guess on a busy machine.

    What the gate leaves behind is no change of the working tree.
    """
    commit(repository, {"own/layer.py": SAME})
    bigger = SAME.replace(
        "self.layer = layer", "self.layer = layer\n        self.extra = nn.Parameter(torch.zeros(999))"
    )
    commit(repository, {"own/layer.py": bigger})
    assert gate(repository, monkeypatch, "--metric", "weight_bytes", "--metric", "resident_bytes", out="") == 1
    out = capsys.readouterr().out
    assert re.search(r"1 of the \d+ files that either side loaded differs: own/layer\.py\n", out)
    (left,) = (repository / "results" / "gates").glob("*/verdict.json")
    assert str(left.parent.relative_to(repository)) in out
    assert git(repository, "status", "--porcelain") == ""


KILLED = """
import os, signal, sys
from harness.gate.checkouts import Checkouts

Checkouts("HEAD", "HEAD")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_gate_leaves_behind_is_removed_by_the_next(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    environment = {**os.environ, "TMPDIR": str(place)}
    done = subprocess.run([sys.executable, "-c", KILLED], cwd=repository, env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert worktrees(repository) == 3
    with Checkouts("HEAD", "HEAD", start=repository) as alive:
        assert worktrees(repository) == 3, "the killed one's are gone"
        with Checkouts("HEAD", "HEAD", start=repository):
            assert alive.head.root.is_dir(), "it is held"
            assert worktrees(repository) == 5
    assert worktrees(repository) == 1
    assert not list(place.iterdir())


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_gate_that_was_interrupted_or_killed_goes_on(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it has on the disk is not measured again, and another gate's is left alone."""
    commit(repository, {"own/layer.py": SAME})
    commit(repository, {"own/layer.py": SAME + "\n\n# changed\n"})
    words = ("--metric", "weight_bytes")
    monkeypatch.setattr(sys, "argv", ["bitbench", "gate", *words, "--out", "out"])
    with monkeypatch.context() as early:
        early.setattr(Narrator, "measured", interrupt)
        assert gate(repository, monkeypatch, *words) == cli.INTERRUPTED
    assert "go on by the same command with --resume --out out" in capsys.readouterr().err
    assert gate(repository, monkeypatch, *words, "--resume") == 0
    whole = (repository / "out" / "head" / "run.jsonl").read_bytes()
    lines = whole.splitlines(keepends=True)
    (repository / "out" / "head" / "run.jsonl").write_bytes(b"".join(lines[:-1]) + lines[-1][:50])
    (repository / "out" / "verdict.json").unlink()
    assert gate(repository, monkeypatch, *words, "--resume") == 0
    again = (repository / "out" / "head" / "run.jsonl").read_bytes()
    assert again.startswith(b"".join(lines[:-1]))
    assert len(again.splitlines()) == len(lines)
    assert (repository / "out" / "verdict.json").exists()
    capsys.readouterr()
    monkeypatch.setattr(sys, "argv", ["bitbench", "gate", "--metric", "exact", "--resume"])
    assert gate(repository, monkeypatch, "--metric", "exact", "--resume") == 2
    assert "was begun by `bitbench gate --metric weight_bytes`" in capsys.readouterr().err
    commit(repository, {"own/layer.py": SAME})
    monkeypatch.setattr(sys, "argv", ["bitbench", "gate", *words, "--resume"])
    assert gate(repository, monkeypatch, *words, "--resume") == 2
    assert "choose another --out" in capsys.readouterr().err
    assert (repository / "out" / "head" / "run.jsonl").read_bytes() == again


BUILT = """
import ctypes, hashlib, subprocess
from pathlib import Path

source = Path(__file__).with_name("kernel.c").read_bytes()
library = Path("{cache}") / f"kernel-{{hashlib.sha256(source).hexdigest()[:8]}}.so"
if not library.exists():
    subprocess.run(["cc", "-shared", "-x", "c", "-", "-o", str(library)], input=source, check=True)
KERNEL = ctypes.CDLL(str(library))
"""


def test_a_kernel_that_was_compiled_into_a_cache_is_told_apart(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No Python file differs, and yet not the same code ran."""
    layer = BUILT.format(cache=tmp_path) + SAME
    commit(repository, {"own/layer.py": layer, "own/kernel.c": "int answer(void) { return 41; }"})
    commit(repository, {"own/kernel.c": "int answer(void) { return 42; }"})
    assert gate(repository, monkeypatch, "--metric", "weight_bytes") == 0
    out = capsys.readouterr().out
    assert re.search(r"2 of the \d+ files that either side loaded differ: kernel-", out)
    assert "loaded the same" not in out


HOOK = """
import sys
from importlib.util import spec_from_file_location


class Editable:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] != "own":
            return None
        file = "{place}/" + name.replace(".", "/")
        package = name == "own"
        return spec_from_file_location(name, file + ("/__init__.py" if package else ".py"),
                                       submodule_search_locations=[file] if package else None)


sys.meta_path.insert(0, Editable())
"""


@pytest.mark.usefixtures("started_workers")
def test_an_editable_install_that_serves_both_sides_the_same_files_ends_the_gate(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both would be the working tree, and any change would be called equal."""
    commit(repository, {"own/__init__.py": "", "own/layer.py": SAME})
    commit(repository, {"own/layer.py": SAME + "\n\n# changed\n"})
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(HOOK.format(place=repository))
    monkeypatch.setenv("PYTHONPATH", str(hooks))
    assert gate(repository, monkeypatch, "--metric", "weight_bytes") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "both sides would run the same code" in error
    assert worktrees(repository) == 1


@pytest.mark.slow
def test_a_head_that_works_twice_is_red(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(repository, {"own/layer.py": SAME})
    commit(repository, {"own/layer.py": FORWARD.format(work="self.layer(x)")})
    assert gate(repository, monkeypatch, "--metric", "latency") == 1
    assert "regressed" in capsys.readouterr().out
