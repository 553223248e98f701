"""What the working tree has and a worktree has not: repositories within it, contents behind pointers, ignored files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness import HOME
from harness.errors import UsageError
from harness.gate.checkouts import Checkouts
from harness.gate.named_files import missing
from harness.model.codec import encode
from harness.model.messages import Fingerprint, Sources
from harness.runner.process import BEGIN
from tests.harness.fakes.repositories import SAME, commit, gate, git, worktrees


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "top"
    place.mkdir()
    git(place, "init", "-b", "main")
    commit(place, {"a.py": "one\n", ".gitignore": "ignored*\n"})
    return place


@pytest.fixture
def kern(tmp_path: Path, repository: Path) -> Path:
    """A submodule of it with a repository within, in two commits of both."""
    source, inner = tmp_path / "source", tmp_path / "inner"
    for place in (inner, source):
        place.mkdir()
        git(place, "init", "-b", "main")
        commit(place, {"code.py": "one\n"})
    git(source, "-c", "protocol.file.allow=always", "submodule", "add", str(inner), "deep")
    commit(source, {})
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "--name", "a name", str(source), "kern")
    git(repository / "kern", "-c", "protocol.file.allow=always", "submodule", "update", "--init")
    commit(repository, {})
    commit(repository / "kern" / "deep", {"code.py": "two\n"})
    commit(repository / "kern", {"code.py": "two\n"})
    commit(repository, {})
    return repository / "kern"


def codes(root: Path) -> list[str]:
    return [(root / "kern" / path).read_text() for path in ("code.py", "deep/code.py")]


def test_submodules_are_those_of_their_revisions(repository: Path, kern: Path) -> None:
    before = [git(place, "status", "--porcelain", "--branch") for place in (repository, kern, kern / "deep")]
    update = "git submodule update --init --recursive"
    with Checkouts("HEAD~1", "HEAD", update, start=repository) as sides:
        assert codes(sides.base.root) == ["one\n", "one\n"]
        assert codes(sides.head.root) == ["two\n", "two\n"]
        assert sides.changed == ("kern/code.py", "kern/deep/code.py")
        assert not sides.empty
        assert git(sides.base.root, "status", "--porcelain") == ""
    assert [git(place, "status", "--porcelain", "--branch") for place in (repository, kern, kern / "deep")] == before
    assert not sides.base.root.exists()


def test_changes_in_a_submodule_are_part_of_the_working_tree(repository: Path, kern: Path) -> None:
    with Checkouts("HEAD", ".", start=repository) as sides:
        assert not sides.head.revision.dirty
    (kern / "deep" / "code.py").write_text("three\n")
    (kern / "new.py").write_text("new\n")
    before = git(repository, "status", "--porcelain")
    with Checkouts("HEAD", ".", start=repository) as sides:
        assert codes(sides.head.root) == ["two\n", "three\n"]
        assert (sides.head.root / "kern" / "new.py").exists()
        assert codes(sides.base.root) == ["two\n", "two\n"]
        assert sides.changed == ("kern/deep/code.py", "kern/new.py")
        assert sides.head.revision.dirty
    assert git(repository, "status", "--porcelain") == before


def test_a_submodule_that_head_has_removed_is_still_there_in_base(repository: Path, kern: Path) -> None:
    git(repository, "rm", "--force", "kern")
    commit(repository, {"b.py": ""})
    assert not kern.exists()
    with Checkouts("HEAD~1", ".", start=repository) as sides:
        assert codes(sides.base.root) == ["two\n", "two\n"]
        assert not (sides.head.root / "kern").exists()


def test_in_a_linked_worktree_the_submodules_of_the_first_serve(repository: Path, kern: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", str(tmp_path / "linked"))
    with Checkouts("HEAD~1", ".", start=tmp_path / "linked") as sides:
        assert codes(sides.base.root) == ["one\n", "one\n"]
        assert codes(sides.head.root) == ["two\n", "two\n"]


def test_a_repository_that_no_file_declares_is_taken_from_the_working_tree(repository: Path) -> None:
    nested = repository / "nested"
    nested.mkdir()
    git(nested, "init", "-b", "main")
    commit(nested, {"code.py": "one\n"})
    with Checkouts("HEAD", ".", start=repository) as sides:
        assert (sides.head.root / "nested" / "code.py").read_text() == "one\n"
        assert not (sides.base.root / "nested").exists()
        assert sides.head.revision.dirty


def test_a_commit_that_is_not_here_is_refused_and_a_repository_that_is_not_here_is_said(
    repository: Path, kern: Path, tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "-c", "protocol.file.allow=always", "clone", str(repository), str(clone))
    with Checkouts("HEAD~1", ".", start=clone) as sides:
        assert sides.empty == ("kern",)
        assert not list((sides.base.root / "kern").iterdir())
    lacking = git(kern, "rev-parse", "HEAD~1")
    shutil.rmtree(clone / "kern")
    git(tmp_path, "clone", "--depth", "1", f"file://{kern}", str(clone / "kern"))
    with pytest.raises(UsageError, match=rf"base needs commit {lacking[:12]} .* in kern, .*git fetch origin {lacking}"):
        Checkouts("HEAD~1", ".", start=clone)
    assert worktrees(clone) == 1


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12\n"


def test_a_pointer_in_place_of_contents_is_refused(repository: Path) -> None:
    """Without the filter of git-lfs, git checks out what it has: the pointer."""
    commit(repository, {".gitattributes": "*.bin filter=lfs\n", "table.bin": POINTER, "other.bin": POINTER})
    with Checkouts("HEAD", ".", start=repository) as sides:
        assert (sides.base.root / "table.bin").read_text() == POINTER, "the working tree has no more than that"
    (repository / "table.bin").write_text("the contents")
    with pytest.raises(UsageError, match=r"base has a git-lfs pointer in place of table.bin, .*git lfs fetch"):
        Checkouts("HEAD", ".", start=repository)
    assert worktrees(repository) == 1


SAYS = """
import sys
from harness.worker.fingerprint import loaded
from harness.model.messages import TakeFingerprint
from harness.model.codec import encode
from harness.gate.named_files import missing
{code}
print(encode(loaded(TakeFingerprint({root!r}, {repository!r}, {references!r}, {changed!r}))).decode())
"""


def started(
    repository: Path,
    root: Path,
    code: str,
    references: tuple[str, ...] = (),
    changed: tuple[str, ...] = (),
    path: str = "",
) -> Fingerprint:
    """What a process that begins as a worker in `root` has loaded after `code`."""
    told = root.parent / "program"
    told.mkdir(exist_ok=True)
    words = {"root": str(root), "repository": str(repository), "references": references, "changed": changed}
    (told / "says.py").write_text(SAYS.format(code=code, **words))
    places = encode(Sources((str(root), str(told)), str(repository), str(root))).decode()
    done = subprocess.run(
        [sys.executable, "-P", "-c", BEGIN, str(HOME), places, "says", "suites", "0"],
        env={**os.environ, "PYTHONPATH": path},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return msgspec.json.decode(done.stdout, type=Fingerprint)


@pytest.fixture
def sides(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A repository, a checkout of it, and a folder of installed packages."""
    repository, root, site = (tmp_path / name for name in ("repository", "root", "site"))
    for place in (repository, root, site):
        (place / "own").mkdir(parents=True)
        (place / "own" / "__init__.py").write_text("")
    return repository, root, site


def test_who_defines_a_contestant_decides_where_it_comes_from(sides: tuple[Path, Path, Path]) -> None:
    repository, root, site = sides
    (site / "kern.py").write_text("def Mine(layer): ...\n")
    (root / "own" / "wrapped.py").write_text(
        "import functools, torch_like, kern\nfrom kern import Mine as Copied\nMade = functools.partial(kern.Mine)\n"
        "def Mine(layer): return kern.Mine(layer)\n"
    )
    (root / "torch_like.py").write_text("")
    asked = (*(f"own.wrapped:{name}" for name in ("Mine", "Made", "Copied", "Missing")), "kern:Mine", "never:Mine")
    found = started(repository, root, "import own.wrapped", asked, path=str(site))
    assert found.mine
    assert found.elsewhere == {"kern": str(site / "kern.py")}
    assert not started(repository, root, "import own.wrapped", asked[:2], path=str(site)).elsewhere


def test_a_copy_in_place_of_a_changed_file_is_found(sides: tuple[Path, Path, Path]) -> None:
    repository, root, site = sides
    (root / "python" / "lib" / "deep").mkdir(parents=True)
    (site / "lib" / "deep").mkdir(parents=True)
    for place in (root / "python" / "lib", site / "lib"):
        (place / "__init__.py").write_text("")
        (place / "deep" / "__init__.py").write_text("")
        (place / "deep" / "math.py").write_text("")
    changed = ("python/lib/deep/math.py", "python/lib/deep/__init__.py", "python/lib/unused.py", "own/__init__.py")
    found = started(repository, root, "import lib.deep.math, own, math", changed=changed, path=str(site))
    assert set(found.copies) == set(changed[:2])
    (root / "tools").mkdir()
    for innocent in (others := ("tools/json.py", "setup.py")):
        (root / innocent).write_text("")
    not_here = ("own/engines/lib/__init__.py",)  # a package inside another, which only the other side has
    assert not started(repository, root, "import json, lib", changed=(*others, *not_here), path=str(site)).copies


def test_what_was_asked_for_and_lies_in_the_repository_alone_is_told(sides: tuple[Path, Path, Path]) -> None:
    repository, root, _ = sides
    for name in ("ignored_fast.py", "never_asked_for.py", "found_later.py"):
        (repository / "own" / name).write_text("")
    (repository / "ignored_top").mkdir()
    (repository / "ignored_top" / "__init__.py").write_text("")
    asked = ("from own import ignored_fast", "import own.nowhere", "import ignored_top", "from own import found_later")
    code = "".join(f"try:\n    {what}\nexcept ImportError:\n    pass\n" for what in asked)
    code += "import types; sys.modules['own.found_later'] = types.ModuleType('own.found_later')"
    found = started(repository, root, code)
    assert found.absent == ("own/ignored_fast.py", "ignored_top/__init__.py")


def test_files_that_code_names_and_the_checkout_lacks(sides: tuple[Path, Path, Path]) -> None:
    repository, root, _ = sides
    for place in (repository, root):
        (place / "both.bin").write_text("")
    for name in ("table.bin", "own/lib.so", "own/deep.json", "other.bin", "own/code.py"):
        (repository / name).write_text("")
    (root / "own" / "code.py").write_text(
        "TABLES = ['table.bin', 'both.bin', 'nowhere.bin', '../table.bin']\nLIBRARY = Path(__file__) / f'lib.so'\n"
        "# other.bin\nTEXT = 'see other.bin for more'\nDEEP = 'own/deep.json'\n"
    )
    assert set(missing(["own/code.py", "own/gone.py"], root, repository)) == {
        "table.bin",
        "own/lib.so",
        "own/deep.json",
    }


def test_relative_paths_begin_in_the_checkout(sides: tuple[Path, Path, Path]) -> None:
    repository, root, _ = sides
    (root / "part").mkdir()
    (root / "part" / "relative.py").write_text("")
    found = started(repository, root, "import os, relative; assert os.path.exists('part')", path="part")
    assert "part/relative.py" in found.files


@pytest.mark.parametrize(
    ("base", "head", "of", "code", "told"),
    [
        ({}, {"b.py": ""}, "copied:build", 2, "took the contestant's module copied from "),
        (
            {"own/layer.py": "try:\n    from own import ignored\nexcept ImportError: pass\n" + SAME},
            {"b.py": ""},
            "own.layer:build",
            2,
            "asked for own/ignored.py, which git ignores, so that neither checkout has it: make it in both by --build",
        ),
        (
            {"own/layer.py": "import os\nFAST = os.path.exists(__file__[:-8] + 'ignored.bin')\n" + SAME},
            {"b.py": ""},
            "own.layer:build",
            2,
            "asked for own/ignored.bin, which git ignores",
        ),
        (
            {"python/lib.py": "x = 1\n", "own/layer.py": "import lib\n" + SAME},
            {"python/lib.py": "x = 2\n"},
            "own.layer:build",
            2,
            "lib.py",
        ),
        ({}, {"b.py": ""}, "native", 5, "was measured, only what is installed"),
        ({}, {"b.py": ""}, "absent.layer:build", 5, "absent.layer:build could not be loaded on either side"),
    ],
)
def test_a_gate_of_anything_but_its_checkouts_is_not_green(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    base: dict[str, str | None],
    head: dict[str, str | None],
    of: str,
    code: int,
    told: str,
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "copied.py").write_text(SAME)
    (site / "lib.py").write_text("x = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(site))
    commit(repository, {"c.py": "", **base})
    commit(repository, head)
    (repository / "own").mkdir(exist_ok=True)
    for name in ("ignored.py", "ignored.bin"):
        (repository / "own" / name).write_text("")
    assert gate(repository, monkeypatch, "--metric", "weight_bytes", of=of) == code
    assert told in capsys.readouterr().err.splitlines()[-1]
    assert worktrees(repository) == 1
    if code == 5:  # all of it is on the disk, and going on measures nothing anew
        assert gate(repository, monkeypatch, "--metric", "weight_bytes", "--resume", of=of) == code
