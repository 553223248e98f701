"""Real workers that begin at once: forked from a process that has imported torch, in place of an import each.

They are processes of their own, with the pipes, signals, limits and exit codes of any other. For tests that promise
something of what a worker does; those that promise how it begins start a real one.
"""

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

PROGRAM = Path(__file__).with_name("torch_loaded.py")
READ_AT_THE_START = ("PYTHON", "OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "LD_", "TORCH_", "CUDA_", "TRITON_")
"""How variables begin that Python, torch or a library of its own read when they are loaded."""
OF_THE_TESTS = {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}


class Parent:
    """The process that has imported torch. It ends when this one does."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            subprocess.run(
                [sys.executable, "-P", str(PROGRAM), str(theirs.fileno())],
                env=environment,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                check=True,
            )
        self._channel = ours
        self._answers = ours.makefile("rb")

    def ask(self, request: Mapping[str, object], pipes: Sequence[int] = ()) -> int:
        socket.send_fds(self._channel, [json.dumps(request).encode()], pipes)
        return int(self._answers.readline())


PARENTS: dict[tuple[tuple[str, str], ...], Parent] = {}


def parent_for(environment: Mapping[str, str]) -> Parent:
    """One for whatever `PYTHONPATH` there is: children search it, though none runs a `sitecustomize` in it."""
    begun = {**environment, **OF_THE_TESTS}
    read = tuple(sorted(pair for pair in begun.items() if pair[0].startswith(READ_AT_THE_START)))
    if read not in PARENTS:
        PARENTS[read] = Parent(begun)
    return PARENTS[read]


class Forked:
    """As much of a `subprocess.Popen` as the controller uses."""

    def __init__(self, words: Sequence[str], *, env: Mapping[str, str], cwd: str | None, **_: object) -> None:
        self.returncode: int | None = None
        self._parent = parent_for(env)
        ends = [os.pipe(), os.pipe(), os.pipe()]
        theirs = [ends[0][0], ends[1][1], ends[2][1]]
        ours = [ends[0][1], ends[1][0], ends[2][0]]
        request = {
            "command": [hexadecimal(word) for word in words[words.index("-c") + 1 :]],
            "env": [(hexadecimal(name), hexadecimal(value)) for name, value in env.items()],
            "cwd": hexadecimal(cwd or str(Path.cwd())),
        }
        try:
            self.pid = self._parent.ask(request, theirs)
        finally:
            for end in theirs:
                os.close(end)
        self._handle = os.pidfd_open(self.pid)
        self.stdin, self.stdout, self.stderr = (
            open(end, mode, buffering=0)  # noqa: PTH123, SIM115 - a file descriptor, which its user closes
            for end, mode in zip(ours, ("wb", "rb", "rb"), strict=True)
        )

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._handle], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(self._parent.ask({"wait": self.pid}))
            os.close(self._handle)
        return self.returncode


def hexadecimal(text: str) -> str:
    """Of any bytes that a name of a file may have."""
    return os.fsencode(text).hex()


FORKING = SimpleNamespace(Popen=Forked, PIPE=subprocess.PIPE)
"""What `harness.runner.process` takes for `subprocess`."""
