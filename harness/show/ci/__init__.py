"""What a gate leaves for people and machines that did not see the terminal: files, and what GitHub Actions reads.

All of it is made of one `VerdictFile`, also where an error has ended the gate. Only a gate that came to a verdict
replaces the one before: what a refused command was told is no reason to lose what was found.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from harness.errors import INTERNAL_ERROR, BitbenchError, StoreError
from harness.judge.policy import Policy
from harness.show.ci import github, junit, pull_request
from harness.show.ci.verdict_file import VerdictFile, encoded, failed, read
from harness.store import files

JSON = "verdict.json"
FILES: Mapping[str, Callable[[VerdictFile], bytes]] = {
    JSON: encoded,
    "verdict.md": lambda verdict: pull_request.page(verdict).encode(),
    "junit.xml": junit.document,
}
"""By name: what makes the content."""


def write(verdict: VerdictFile, directory: Path | None, environment: Mapping[str, str] = os.environ) -> None:
    """Write every file into `directory`, which is made when missing, and tell GitHub Actions where that runs this.

    Without a directory only the latter. Raises StoreError for what cannot be written.
    """
    if directory is not None:
        for name, content in FILES.items():
            _write(directory / name, content(verdict))
    if summary := environment.get("GITHUB_STEP_SUMMARY"):
        with _explained(Path(summary)):
            github.add_summary(Path(summary), verdict)
    if outputs := environment.get("GITHUB_OUTPUT"):
        with _explained(Path(outputs)):
            github.add_outputs(Path(outputs), verdict, directory)
    if github.is_here(environment):
        for line in github.annotations(verdict):
            click.echo(line, err=True)  # GitHub reads both, and stdout may be CSV or JSON


@contextmanager
def errors_told(directory: Path | None, policy: Policy) -> Iterator[None]:
    """Should an error end this gate, write that into `directory`, unless it holds the verdict of an earlier one.

    GitHub Actions is told in any case. The error goes on.
    """
    try:
        yield
    except Exception as error:  # a bug of ours must be seen where the verdict would have been, too
        kept = directory is not None and holds_verdict(directory)
        with suppress(StoreError):  # the first error says more
            write(failed(*_reason(error), policy), None if kept else directory)
        raise


def holds_verdict(directory: Path) -> bool:
    """Whether a gate has left its verdict there: anything but that an error has ended it."""
    path = directory / JSON
    try:
        return path.exists() and read(path).answer != "error"
    except StoreError:  # of another version, say: it was somebody's verdict
        return True


def _reason(error: Exception) -> tuple[str, int]:
    if isinstance(error, BitbenchError):
        return str(error), error.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    return f"internal error: {error!r}", INTERNAL_ERROR


def _write(path: Path, content: bytes) -> None:
    """The whole file, or none."""
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path, content)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}; give a directory that can be written") from error
