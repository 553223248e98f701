"""A working tree as it lies there, made a commit that is on no branch."""

import tempfile
from pathlib import Path

from harness.gate.submodules import GITLINK, Link, is_top
from harness.machine import git

WHO = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "bitbench"), ("EMAIL", "bitbench@localhost"))
}


def snapshot(repository: Path) -> tuple[str, str]:
    """The commit that HEAD is, and the one of what lies there: what is not committed and not ignored is part of it.

    The two are the same where nothing was changed. Repositories within are taken as they lie there, too. Index, files
    and branches stay as they are. Raises UsageError for what has no commit yet or cannot be read.
    """
    head = _line(repository, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", why="has no commit yet")
    with tempfile.TemporaryDirectory(prefix="bitbench-") as folder:
        tree = _tree(repository, {"GIT_INDEX_FILE": str(Path(folder, "index"))})
    if tree == _line(repository, "rev-parse", f"{head}^{{tree}}", why="has no tree"):
        return head, head
    words = ("commit-tree", tree, "-p", head, "-m", "the working tree as bitbench gate found it")
    return head, _line(repository, *words, why="cannot be written to", added=WHO)


def _tree(repository: Path, index: dict[str, str]) -> str:
    """Written with an index of its own, so that the user's is left as it is."""
    git.ask(repository, "read-tree", "HEAD", why="cannot be read", added=index)
    git.ask(repository, "add", "--update", ".", why="cannot be read", added=index)
    unknown = git.not_temporary(repository)
    why = "cannot be taken as it lies there: commit or ignore what stands in the way, or give --head HEAD"
    git.ask(repository, "add", "--all", "--", *unknown, why=why, added=index)
    for link in _links(repository, index):
        there = repository / link.path
        if is_top(there):
            _, commit = snapshot(there)
            if commit != link.commit:
                entry = f"{GITLINK},{commit},{link.path}"
                git.ask(repository, "update-index", "--cacheinfo", entry, why="cannot be written to", added=index)
    return _line(repository, "write-tree", why="cannot be written to", added=index)


def _links(repository: Path, index: dict[str, str]) -> list[Link]:
    listed = git.parts(git.ask(repository, "ls-files", "--stage", "-z", why="cannot be read", added=index))
    entries = (entry.partition("\t") for entry in listed)
    return [Link(path, about.split()[1]) for about, _, path in entries if about.startswith(GITLINK)]


def _line(repository: Path, *words: str, why: str, added: dict[str, str] | None = None) -> str:
    return git.ask(repository, *words, why=why, added=added).rstrip("\n")
