"""One side of a gate of tests: a process of its checkout that runs a test whenever it is asked to."""

import time
from contextlib import suppress

from harness.gate.pytest_benchmark.project import Command
from harness.gate.pytest_benchmark.wire import Collect, Collected, Leave, Visit, Visited
from harness.model.messages import Sources
from harness.runner.process import WorkerLostError, WorkerProcess

COLLECTING = 300.0
"""Seconds that pytest may take to import and to collect."""
LEAVING = 30.0
"""Seconds that its fixtures may take to be taken down at the end."""


class SideProcess(WorkerProcess):
    """pytest on one side, with all tests collected and none run."""

    def __init__(self, command: Command, hash_seed: int) -> None:
        """`hash_seed` orders Python's sets; the same for both sides, or it would be a difference between them.

        Raises InvalidEnvironmentError where no process can be started.
        """
        environment = {"PYTHONHASHSEED": str(hash_seed)}
        super().__init__("", environment, sources=Sources((), current=command.current), begin=command.start)

    def collect(self) -> None:
        """Have it collect, and wait for nothing: `collected` has the answer. Raises WorkerLostError when it is gone."""
        self._send(Collect())

    def collected(self) -> Collected:
        """What it found. Raises WorkerLostError when pytest ended instead."""
        return self._receive(Collected, COLLECTING)

    def visit(self, test: str, limit: float) -> Visited:
        """What came of one visit to a test. Raises WorkerLostError when there is no answer within `limit` seconds."""
        return self._exchange(Visit(test), Visited, limit)

    def leave(self) -> None:
        """Let it take down its fixtures, and wait for nothing: `wait` does."""
        with suppress(WorkerLostError):
            self._send(Leave())

    def wait(self) -> None:
        """Wait until it has left by itself, and end it if it does not."""
        deadline = time.monotonic() + LEAVING
        while not self._hung_up and not self._requests.closed and (left := deadline - time.monotonic()) > 0:
            self._listen(left)
        self.close()
