"""Two revisions of a git repository side by side on the disk, each as git knows it, or as it lies there now."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.claimed import abandoned, claim
from harness.errors import UsageError
from harness.model import Revision
from harness.paired_run import SIDES
from harness.start import folders

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

    def folders(self, below: Path) -> tuple[str, ...]:
        """Where its packages are searched for: in the folder that the command was given in, and in `src` there."""
        return folders(self.root / below)


class Checkouts:
    """Both sides, in folders whose paths are equally long. A context manager: they are gone when it ends."""

    def __init__(self, base: str, head: str, build: str = "", start: Path | None = None) -> None:
        """Raises UsageError for what is no repository or no revision in it, or when `build` fails."""
        here = start or Path.cwd()
        self.repository = Path(_git(here, "rev-parse", "--show-toplevel", why="is in no git repository"))
        self.below = here.resolve().relative_to(self.repository.resolve())
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
        _git(self.repository, "worktree", "add", "--quiet", "--detach", str(root), commit, why="cannot be checked out")
        return Checkout(name, commit, revision, root)

    @property
    def changed(self) -> tuple[str, ...]:
        """Files that differ between the two commits."""
        listed = _git(
            self.repository, "diff", "--name-only", self.base.commit, self.head.commit, why="cannot be compared"
        )
        return tuple(listed.splitlines())

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
        root = str(folder / side)
        asked = ("git", "-C", root, "rev-parse", "--path-format=absolute", "--git-common-dir")
        found = subprocess.run(asked, capture_output=True, text=True, check=False)
        if found.returncode == 0:  # else it was never made
            removal = ("git", "--git-dir", found.stdout.strip(), "worktree", "remove", "--force", root)
            subprocess.run(removal, capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def locks_among(files: Sequence[str]) -> tuple[str, ...]:
    """Those that say what is installed."""
    return tuple(file for file in files if any(word in Path(file).name for word in LOCKS))


def _resolve(repository: Path, name: str) -> tuple[str, Revision]:
    """The commit to check out, and what it is to be called in a record."""
    if name != HERE:
        commit = _git(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", why=_unknown(name))
        return commit, Revision(commit)
    head = _git(repository, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", why="has no commit yet")
    tree = _tree_of_what_lies_there(repository)
    if tree == _git(repository, "rev-parse", f"{head}^{{tree}}", why="has no tree"):
        return head, Revision(head)
    snapshot = _git(
        repository,
        *("-c", "user.name=bitbench", "-c", "user.email=bitbench@localhost"),
        *("commit-tree", tree, "-p", head, "-m", "the working tree as bitbench gate found it"),
        why="cannot be written to",
    )
    return snapshot, Revision(head, dirty=True)


def _tree_of_what_lies_there(repository: Path) -> str:
    """Written with an index of its own, so that the user's is left as it is."""
    with tempfile.TemporaryDirectory() as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
        _git(repository, "read-tree", "HEAD", why="cannot be read", environment=index)
        _git(repository, "add", "--all", ".", why="cannot be read", environment=index)
        return _git(repository, "write-tree", why="cannot be written to", environment=index)


def _unknown(name: str) -> str:
    return f"has no revision {name!r}; give a branch, a tag or a commit (in CI, fetch the whole history)"


def _build(side: Checkout, command: str) -> None:
    if not command:
        return
    try:
        done = subprocess.run(
            shlex.split(command), cwd=side.root, capture_output=True, text=True, timeout=BUILD_LIMIT, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:  # ValueError: a quotation that never ends
        raise UsageError(f"--build {command!r} cannot be run in {side.name}: {error}") from error
    if done.returncode:
        said = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        last = said[-1][:300] if said else "it says nothing"
        raise UsageError(f"--build {command!r} fails in {side.name} with status {done.returncode}: {last}")


def _git(repository: Path, *arguments: str, why: str, environment: dict[str, str] | None = None) -> str:
    """What git prints. Raises UsageError that says `why` of the repository when git fails."""
    try:
        done = subprocess.run(
            ("git", "-C", str(repository), *arguments),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except OSError as error:
        raise UsageError(f"cannot run git: {error.strerror}; install it, or give two stored runs") from error
    if done.returncode:
        said = " ".join(done.stderr.split())[:200]
        raise UsageError(f"{repository} {why}{f' (git: {said})' if said else ''}")
    return done.stdout.strip()
