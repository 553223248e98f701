"""Runs into a history: read, given the time of their commit, written."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from subprocess import TimeoutExpired

from harness.analysis.history.rows import identity, rows
from harness.gate.runs import is_gate, sides
from harness.machine import git
from harness.store import load
from harness.store.history import add

_LIMIT = 10.0
"""Seconds for git to tell the time of a commit."""


def add_runs(runs: Sequence[Path], folder: Path) -> Iterator[str]:
    """Add each, the two of a gate where one is given; yields a line a run, once it is there."""
    for path in [side for run in runs for side in (sides(run) if is_gate(run) else (run,))]:
        stored = load(path)
        run = stored.run
        committed = commit_time(run.revision.commit, Path.cwd())
        state = add(folder, run.id, identity(run), len(stored.records), rows(stored, committed))
        yield f"{run.id}: {state}"


@cache
def commit_time(commit: str, folder: Path) -> datetime | None:
    """When `commit` was made, as the repository of `folder` knows it; None where it does not."""
    if not commit.isalnum():
        return None
    try:
        done = git.start(folder, ("show", "-s", "--format=%cI", f"{commit}^{{commit}}"), limit=_LIMIT)
        return None if done.returncode else datetime.fromisoformat(done.stdout.strip())
    except (OSError, TimeoutExpired, ValueError):  # without git, or in no repository, runs stand by their own time
        return None
