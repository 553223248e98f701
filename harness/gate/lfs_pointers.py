"""Files that git keeps as a pointer to their contents (git-lfs), where the pointer was checked out in their place."""

from pathlib import Path

from harness.errors import UsageError
from harness.machine import git

POINTER, LONGEST = b"version https://git-lfs.github.com/spec/v1\n", 1024
"""How a pointer begins, and the bytes that it has at most (git-lfs, docs/spec.md)."""


def require_contents(side: str, root: Path, tree: Path) -> None:
    """Raise UsageError where a file of the checkout in `root` is a pointer, and has its contents in the working `tree`.

    A file that is a pointer there, too, is none that a contestant can need.
    """
    named = git.parts(git.ask(root, "ls-files", "-z", "--", ":(attr:filter=lfs)", why="cannot be read"))
    missing = [name for name in named if _is_pointer(root / name) and _has_contents(tree / name)]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UsageError(
            f"{side} has a git-lfs pointer in place of {missing[0]}{more}, and its contents are not in place:"
            " run `git lfs install` and `git lfs fetch --all`, unset GIT_LFS_SKIP_SMUDGE, and gate again"
        )


def _is_pointer(path: Path) -> bool:
    return path.is_file() and path.stat().st_size <= LONGEST and path.read_bytes().startswith(POINTER)


def _has_contents(path: Path) -> bool:
    return path.is_file() and not _is_pointer(path)
