"""The controller's end of a worker: a process that answers one question at a time or is lost."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import TypeVar

from harness.errors import InvalidEnvironmentError
from harness.model import Outcome, decode, encode
from harness.protocol import Answer, Describe, Description, Question

START_LIMIT = 120.0
"""Seconds that a worker may take to import torch and describe itself."""

DYING_LIMIT = 5.0
"""Seconds that a worker which hung up may take to end, so that its own exit status can be told."""

Reply = TypeVar("Reply")


class WorkerLostError(Exception):
    """The worker died or was killed for taking too long; says which, and why."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class WorkerProcess:
    """A real worker. The controller sleeps in `ask` while it computes."""

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker; the system deletes it
        self._heard = 0
        self._buffer = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.worker", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **(environment or {})},
            start_new_session=True,  # Ctrl-C is for the controller, which then ends the worker
            bufsize=0,
        )

    def describe(self) -> Description:
        """What the worker sees. Raises InvalidEnvironmentError when it does not start."""
        try:
            return self._exchange(Describe(), Description, START_LIMIT)
        except WorkerLostError as lost:
            raise InvalidEnvironmentError(
                f"the worker does not start: {lost.reason}; try: {sys.executable} -c 'import torch'"
            ) from lost

    def ask(self, question: Question, limit: float) -> Answer:
        """The answer to `question`. Raises WorkerLostError when there is none within `limit` seconds."""
        return self._exchange(question, Answer, limit)

    def _exchange(self, question: Question, kind: type[Reply], limit: float) -> Reply:
        assert self._process.stdin is not None
        self._heard = os.fstat(self._errors.fileno()).st_size
        try:
            self._process.stdin.write(encode(question) + b"\n")
        except BrokenPipeError:
            raise self._lost() from None
        return decode(self._read_line(limit), kind)

    def _read_line(self, limit: float) -> bytes:
        assert self._process.stdout is not None
        deadline = time.monotonic() + limit
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.close()
                    raise WorkerLostError("timed_out", f"no answer within its time limit of {limit:g} s")
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise self._lost()
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _lost(self) -> WorkerLostError:
        with contextlib.suppress(subprocess.TimeoutExpired):  # then it is ended all the same
            self._process.wait(DYING_LIMIT)
        self.close()
        return WorkerLostError("crashed", f"the worker {_ending(self._process.returncode)}{self._last_words()}")

    def _last_words(self) -> str:
        """The last line on stderr since the last question: for a traceback, the exception."""
        self._errors.seek(max(self._heard, os.fstat(self._errors.fileno()).st_size - 2000))
        lines = self._errors.read().decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip() and not line.startswith("USDT:")]
        return f"; its last words: {said[-1][:300]}" if said else ""

    def close(self) -> None:
        """End the worker and everything it started. Safe to call twice."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"exited with status {code}"


def describe_torch(module: str = "suites") -> dict[str, str | int | float]:
    """The part of the environment that only a process with torch can tell."""
    worker = WorkerProcess(module)
    try:
        return worker.describe().environment
    finally:
        worker.close()
