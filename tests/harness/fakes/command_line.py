"""`bitbench` as a call: the same output and the same exit code as of a process, without an interpreter's start."""

import contextlib
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import cli


@dataclass(frozen=True)
class Done:
    """As `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def bitbench(*words: str | Path, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Done:
    """Called in `folder`, with `environment` added to what there is."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    given = [*map(str, words)]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["bitbench", *given])
        patch.chdir(folder or Path.cwd())
        for name, value in (environment or {}).items():
            patch.setenv(name, value)
        code = cli.main(given)
    return Done(code, *(written(stream) for stream in (out, err)))


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()
