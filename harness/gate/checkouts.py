"""Two revisions of a git repository side by side on the disk, each as git knows it, or as it lies there now."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from harness.errors import UsageError
from harness.gate.lfs_pointers import require_contents
from harness.gate.pair_controller import SIDES
from harness.gate.snapshot import snapshot
from harness.gate.submodules import Nested, Origin, check_out
from harness.machine import git
from harness.model import Revision
from harness.store.files import lock
from harness.user_code.folders import folders

HERE = "."
"""Stands for the working tree as it is, with what is not committed and not ignored."""
PREFIX = "bitbench-gate-"
LOCKS = ("constraints", "requirements", ".lock", "-lock", "pyproject.toml", "setup.cfg", "setup.py", "environment.y")
"""Parts of the names of files that say what is installed."""
BUILD_LIMIT = 1800.0
"""Seconds that building one side may take."""


@dataclass(frozen=True)
class Checkout:
    """One side."""

    name: str
    """As it was asked for."""
    commit: str
    """What was checked out. For a working tree with changes a commit that is on no branch."""
    revision: Revision
    root: Path
    nested: tuple[Nested, ...] = ()
    """Repositories in it: submodules, and those that are recorded by a commit alone."""

    def current(self, below: Path) -> str:
        """The folder that stands for the one that the command was given in; the top where this side has none."""
        here = self.root / below
        return str(here if here.is_dir() else self.root)

    def folders(self, below: Path) -> tuple[str, ...]:
        """Where its packages are searched for: in the folder that the command was given in, and in `src` there."""
        return folders(self.root / below)


class Checkouts:
    """Both sides, in folders whose paths are equally long. A context manager: they are gone when it ends."""

    def __init__(self, base: str, head: str, build: str = "", start: Path | None = None) -> None:
        """Raises UsageError for what is no repository or no revision in it, or when `build` fails."""
        here = start or Path.cwd()
        self.repository = Path(git.ask(here, "rev-parse", "--show-toplevel", why=_nowhere()).rstrip("\n"))
        self.below = here.resolve().relative_to(self.repository.resolve())
        self._origin = Origin.of(self.repository)
        commits = [_resolve(self.repository, name) for name in (base, head)]
        _sweep()
        self._folder, self._held = claim(PREFIX)
        try:
            sides = zip(SIDES, (base, head), commits, strict=True)
            self.base, self.head = (self._check_out(side, name, *commit) for side, name, commit in sides)
            for side in (self.base, self.head):
                _build(side, build)
        except BaseException:  # Ctrl-C too leaves nothing behind
            self.close()
            raise

    def _check_out(self, side: str, name: str, commit: str, revision: Revision) -> Checkout:
        root = self._folder / side
        adding = ("worktree", "add", "--quiet", "--detach", str(root), commit)
        git.ask(self.repository, *adding, why="cannot be checked out")
        nested = tuple(check_out(side, root, commit, self._origin))
        require_contents(side, root, self.repository)
        for one in nested:
            if one.origin.objects and one.origin.tree:
                require_contents(side, one.root, one.origin.tree)
        return Checkout(name, commit, revision, root, nested)

    @property
    def changed(self) -> tuple[str, ...]:
        """Files that differ between the two commits, also within repositories that both have."""
        files = _differing(self.repository, self.base.commit, self.head.commit)
        before = {one.path: one for one in self.base.nested if one.origin.objects}
        for one in self.head.nested:
            if one.path in before and one.origin.objects and one.commit != before[one.path].commit:
                inner = _differing(one.root, before[one.path].commit, one.commit)
                files = [file for file in files if file != one.path] + [f"{one.path}/{file}" for file in inner]
        return tuple(sorted(files))

    @property
    def empty(self) -> tuple[str, ...]:
        """Folders of repositories that are not on this disk, and so in neither checkout."""
        return tuple(
            sorted({one.path for side in (self.base, self.head) for one in side.nested if not one.origin.objects})
        )

    def ignored(self, file: str) -> bool:
        """Whether `file`, a path in the repository, lies in the working tree and git passes over it."""
        there = self.repository / file
        if not there.is_file():
            return False
        asked = ((self.repository, file), (there.parent, there.name))  # the second where it is in a repository within
        return any(git.start(here, ("check-ignore", "--quiet", "--", name)).returncode == 0 for here, name in asked)

    def close(self) -> None:
        """Remove both. Safe to call twice."""
        _remove(self._folder)
        self._held.close()

    def __enter__(self) -> "Checkouts":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _sweep() -> None:
    """Remove the checkouts of gates that were killed, whatever repositories they are of."""
    for folder in abandoned(PREFIX):
        _remove(folder)


def _remove(folder: Path) -> None:
    """The worktrees, which their repositories forget, and what is left of the folder."""
    for side in SIDES:
        root = folder / side
        if (root / ".git").is_file():  # else it was never made, and git would find what lies around it
            asked = ("rev-parse", "--path-format=absolute", "--git-common-dir")
            found = git.start(root, asked)
            if found.returncode == 0:
                store = found.stdout.rstrip("\n")
                git.start(folder, ("--git-dir", store, "worktree", "remove", "--force", str(root)))
    shutil.rmtree(folder, ignore_errors=True)


def locks_among(files: Sequence[str]) -> tuple[str, ...]:
    """Those that say what is installed."""
    return tuple(file for file in files if any(word in Path(file).name for word in LOCKS))


def _nowhere() -> str:
    named = [name for name in ("GIT_DIR", "GIT_WORK_TREE") if name in os.environ]
    return f"is in no git repository{f' ({named[0]} is not heeded: go there)' if named else ''}"


def _resolve(repository: Path, name: str) -> tuple[str, Revision]:
    """The commit to check out, and what it is to be called in a record."""
    if name == HERE:
        head, commit = snapshot(repository)
        return commit, Revision(head, dirty=commit != head)
    asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    commit = git.ask(repository, *asked, why=_unknown(name)).rstrip("\n")
    return commit, Revision(commit)


def _differing(repository: Path, base: str, head: str) -> list[str]:
    asked = ("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--ignore-submodules=none", base, head)
    return git.parts(git.ask(repository, *asked, why="cannot be compared"))


def _unknown(name: str) -> str:
    return f"has no revision {name!r}; give a branch, a tag or a commit (in CI, fetch the whole history)"


def _build(side: Checkout, command: str) -> None:
    if not command:
        return
    try:
        done = subprocess.run(
            shlex.split(command),
            cwd=side.root,
            env=git.environment(),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_LIMIT,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:  # ValueError: a quotation that never ends
        raise UsageError(f"--build {command!r} cannot be run in {side.name}: {error}") from error
    if done.returncode:
        said = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        last = said[-1][:300] if said else "it says nothing"
        raise UsageError(f"--build {command!r} fails in {side.name} with status {done.returncode}: {last}")


LOCK = "held"
UNHELD = "new-"
"""How a folder is called until its lock is held, so that nobody takes it for abandoned."""


def claim(prefix: str) -> tuple[Path, FileIO]:
    """A new folder, and the file that holds it for as long as it is open. It gets its name when it is held."""
    made = Path(tempfile.mkdtemp(prefix=f"{UNHELD}{prefix}"))
    file = FileIO(made / LOCK, "w")
    _is_free(file)
    return made.rename(made.with_name(made.name.removeprefix(UNHELD))), file


def abandoned(prefix: str) -> Iterator[Path]:
    """The folders of that prefix whose processes are gone. Other people's cannot be opened and are left out."""
    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError), FileIO(folder / LOCK, "r+") as file:
            if _is_free(file):
                yield folder


def _is_free(file: FileIO) -> bool:
    """Whether nobody else holds it; it is held from now on.

    Where there are no locks nothing can be told, and nothing is called abandoned.
    """
    if sys.platform == "win32":
        return False
    try:
        lock(file)
    except OSError:
        return False
    return True
