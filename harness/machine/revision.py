"""The commit that measured code comes from, and whether files differ from it."""

import re
import subprocess
from pathlib import Path

from harness import HOME
from harness.machine import git
from harness.machine.shell import LIMIT
from harness.model import Revision


def revision(directory: Path = HOME) -> Revision:
    """The commit that the files in `directory` come from; dirty when they differ from it or some are not in it.

    A folder `results` in it does not count: it holds what was measured, not what ran. Empty where the files come from
    no commit: outside git, without git, or when git does not track them, like an installed copy in a virtual
    environment inside somebody's checkout.
    """
    if not _git(directory, "ls-files", "--", "."):
        return Revision()
    results = ":(exclude)results"
    status = _git(
        directory, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", ".", results
    ).splitlines()
    unknown = _git(
        directory, "ls-files", "--others", "--exclude-standard", "--", *git.not_temporary(directory), results
    )
    commits = (re.fullmatch(r"# branch\.oid ([0-9a-f]+)", line) for line in status)
    commit = next((found[1] for found in commits if found), "")
    return Revision(commit, dirty=bool(commit) and (bool(unknown) or any(not line.startswith("#") for line in status)))


def _git(directory: Path, *arguments: str) -> str:
    """What git prints; empty as of `_output`."""
    try:
        done = git.start(directory, ("--no-optional-locks", *arguments), limit=LIMIT)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "" if done.returncode else done.stdout
