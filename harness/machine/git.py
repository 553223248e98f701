"""How git is started: always in the repository of a folder, whatever git started this program.

Git tells its hooks by environment variables which repository and index it works on. They bind every git that inherits
them, in whatever folder: it would write into the index of the commit that is being made.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from harness.errors import UsageError

CONFIGURATION = frozenset({"GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT"})
"""What `git -c` was told. Git itself hands these two on when it goes into another repository, a submodule."""
PATHSPECS = frozenset(f"GIT_{kind}_PATHSPECS" for kind in ("LITERAL", "GLOB", "NOGLOB", "ICASE"))
"""What `git --literal-pathspecs` and the like tell hooks; other paths would be meant by our own."""
OWN_TEMPORARY = ("bitbench-*/**", "new-bitbench-*/**")
"""Names of the temporary folders that a gate or a run makes, as git's patterns."""
_OURS = (
    *("-c", f"core.hooksPath={os.devnull}"),  # hooks are for what the user does, and may do anything
    *("-c", "core.fsmonitor=false"),  # a program of the user's, and a daemon would stay behind
)


@cache
def bound() -> frozenset[str]:
    """The variables that bind git to one repository, as the git that is installed names them; none without git."""
    # This one cannot know them yet, and needs none but where its programs are.
    plain = {name: text for name, text in os.environ.items() if not name.startswith("GIT_") or name == "GIT_EXEC_PATH"}
    words = ("git", "rev-parse", "--local-env-vars")
    try:
        asked = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True, env=plain)
    except (OSError, subprocess.SubprocessError):
        return PATHSPECS
    return (frozenset(asked.stdout.split()) | PATHSPECS) - CONFIGURATION


def environment(added: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for whatever is started: less what binds git to the repository of somebody else, and `added`."""
    return {**{name: value for name, value in os.environ.items() if name not in bound()}, **(added or {})}


def start(
    folder: Path,
    words: Sequence[str],
    added: Mapping[str, str] | None = None,
    given: str | None = None,
    limit: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `git WORDS` in `folder`, without the user's hooks; `given` is its input, `limit` the seconds that it has.

    Names of files may be any bytes: what is no UTF-8 is surrogates, here and back. Raises OSError where git cannot be
    started, subprocess.TimeoutExpired beyond the limit.
    """
    return subprocess.run(
        ("git", "-C", str(folder), *_OURS, *words),
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=limit,
        check=False,
        env=environment(added),
    )


def ask(folder: Path, *words: str, why: str, added: Mapping[str, str] | None = None, given: str | None = None) -> str:
    """What git prints. Raises UsageError that says `why` of the folder when git fails or cannot be started."""
    try:
        done = start(folder, words, added, given)
    except OSError as error:
        raise UsageError(f"cannot run git: {error.strerror}; install it, or give two stored runs") from error
    if done.returncode:
        said = " ".join(done.stderr.split())[:200]
        raise UsageError(f"{folder} {why}{f' (git: {said})' if said else ''}")
    return done.stdout


def not_temporary(folder: Path) -> tuple[str, ...]:
    """Pathspecs for files in `folder` that git does not know, less those that programs have put there for a while.

    The folder of temporary files may lie in a repository. If it is the whole of it, only our own can be told.
    """
    here, temporary = folder.resolve(), Path(tempfile.gettempdir()).resolve()
    if temporary == here:
        return (".", *(f":(exclude,glob){name}" for name in OWN_TEMPORARY))
    if not temporary.is_relative_to(here):
        return (".",)
    inside = temporary.relative_to(here)
    within = (here / parent for parent in (inside, *inside.parents[:-1]))
    if any((place / ".git").exists() for place in within):  # of a repository in it, and that one passes over it
        return (".",)
    return (".", f":(exclude,literal){inside}")


def parts(output: str) -> list[str]:
    """The entries of what git prints under -z."""
    return [part for part in output.split("\0") if part]
