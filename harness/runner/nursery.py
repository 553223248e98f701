"""Workers that need not import torch: ordered from a process that has, and that forks one an order.

Linux only. Whatever a process gets when it is started, a fork gets as well (`harness/worker/forking`); what it shares
with its siblings is where torch's own libraries lie in memory and Python's hash seed, so a template has a short life.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import msgspec

from harness import HOME
from harness.model.messages import Answer, Birth

BEGIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from harness.worker.forking.template import main; main()"
READY = b"\n"
"""What a template says once it has imported torch."""
LIFE = 16
"""Forks of one template, after which the next worker has another: the layout of its libraries is then drawn anew."""
PATIENCE = 120.0
"""Seconds that a template may take to import torch and its compiler."""


class Fork:
    """A worker that was ordered: as much of a `subprocess.Popen` as its controller uses.

    Its id remains its own until `wait` has returned.
    """

    def __init__(self, pipes: Sequence[int], fate: socket.socket) -> None:
        self.stdin, self.stdout, self.stderr = (
            open(pipe, mode, buffering=0)  # noqa: PTH123, SIM115 - a file descriptor, which its user closes
            for pipe, mode in zip(pipes, ("wb", "rb", "rb"), strict=True)
        )
        self.returncode: int | None = None
        self._fate = fate
        self._told = b""
        fate.settimeout(PATIENCE)

    @property
    def has_come_to_be(self) -> bool:
        """Whether it was forked: waits until the template has told, or has died."""
        self._listen(1)
        return b"\n" in self._told

    def forget(self) -> None:
        """Let go of one that never came to be."""
        self.wait()
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()

    @property
    def pid(self) -> int:
        """Its process, and the group of that. Raises ProcessLookupError when it never came to be."""
        if not self.has_come_to_be:
            raise ProcessLookupError("the worker was not forked")
        return int(self._told.split(b"\n")[0])

    def poll(self) -> int | None:
        """How it ended, as `Popen.poll`."""
        if self.returncode is None:
            self._fate.settimeout(0)
            self._listen(2)
            self._fate.settimeout(PATIENCE)
        return self.returncode

    def wait(self) -> int:
        """Wait until it has ended, and let it be collected. One that never came to be is not waited for."""
        self._listen(1)
        self._fate.settimeout(None if b"\n" in self._told else 0)
        self._listen(2)
        self._fate.close()
        self.returncode = -signal.SIGKILL if self.returncode is None else self.returncode
        return self.returncode

    def _listen(self, lines: int) -> None:
        """Read until the template has told so many lines: the id, and how it ended. One that died tells nothing more,
        and the kernel has killed what it forked.
        """
        while self.returncode is None and self._told.count(b"\n") < lines:
            try:
                told = self._fate.recv(64)
            except (TimeoutError, BlockingIOError):
                return
            self._told += told
            if not told:
                self.returncode = -signal.SIGKILL
            elif self._told.count(b"\n") == 2:
                self.returncode = int(self._told.split(b"\n")[1])


def started(words: Sequence[str], environment: Mapping[str, str], current: str) -> subprocess.Popen[bytes]:
    """The process that the command `words` starts, with pipes for standard streams. Raises OSError."""
    return subprocess.Popen(
        words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=current,
        start_new_session=True,  # Ctrl-C is for the controller, which then ends the worker
        bufsize=0,
    )


Begin: TypeAlias = Callable[[Sequence[str], Mapping[str, str], str], subprocess.Popen[bytes] | Fork]
"""(words of a command, environment, current folder) -> the process"""


class Nursery:
    """Templates, one at a time, from which workers are forked. The first is started when it is needed."""

    def __init__(self) -> None:
        self.compiles = False
        """Whether a contestant has compiled: a template then imports torch's compiler, once for all."""
        self._template: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._forks = 0
        self._is_importing = False
        self._retired: list[subprocess.Popen[bytes]] = []
        """Those that end with the last of their forks."""

    def fork(self, words: Sequence[str], environment: Mapping[str, str], current: str) -> Fork:
        """What `started` does, by a fork; of another template if this one dies of it. Raises OSError as the system."""
        worker = self._ordered(words, environment, current)
        if not worker.has_come_to_be:
            worker.forget()
            self.renew()
            worker = self._ordered(words, environment, current)
        return worker

    def _ordered(self, words: Sequence[str], environment: Mapping[str, str], current: str) -> Fork:
        order = Birth(tuple(words), dict(environment), current, self.compiles)
        told = json.dumps(msgspec.to_builtins(order)).encode()
        channel = self._open(environment)
        with contextlib.ExitStack() as theirs:
            ours, pipes = [], []
            for is_input in (True, False, False):
                read, write = os.pipe()
                ours.append(write if is_input else read)
                pipes.append(read if is_input else write)
                theirs.callback(os.close, pipes[-1])
            fate, end = socket.socketpair()
            worker = Fork(ours, fate)
            theirs.enter_context(end)
            with contextlib.suppress(ConnectionError):  # it has died: nobody will come to be
                socket.send_fds(channel, [len(told).to_bytes(8, "big")], [*pipes, end.fileno()])
                channel.sendall(told)
        self._forks += 1
        return worker

    def open(self, environment: Mapping[str, str]) -> None:
        """Have a template import torch, while the caller waits for something else. Raises OSError."""
        self._open(environment)

    def wait(self) -> None:
        """Wait until the template that was opened computes no more: something is timed soon."""
        if self._channel is not None and self._is_importing:
            self._is_importing = False
            self._channel.settimeout(PATIENCE)
            with contextlib.suppress(OSError):  # it has died, or hangs: it is replaced when it is needed
                self._channel.recv(len(READY))
            self._channel.settimeout(None)

    def learn(self, answer: Answer) -> None:
        """Take in what an answer says about what later workers will need."""
        self.compiles |= any(answer.values.get("graphs", ()))

    def _open(self, environment: Mapping[str, str]) -> socket.socket:
        """The way to a template that lives: the one there is, or else a new one."""
        if self._template is not None and (self._forks == LIFE or self._template.poll() is not None):
            self.renew()
        if self._channel is None:
            self._channel, theirs = socket.socketpair()
            self._is_importing = True
            with theirs:
                self._template = subprocess.Popen(
                    [sys.executable, "-P", "-c", BEGIN, str(HOME), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env=environment,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        return self._channel

    def renew(self) -> None:
        """Order nothing more of the template that there is: the next fork is of another."""
        if self._template is not None and self._channel is not None:
            self._channel.close()
            self._retired.append(self._template)
        self._template = self._channel = None
        self._forks = 0

    def close(self) -> None:
        """End the templates, and with them every fork that there still is. Safe to call twice."""
        self.renew()
        for template in self._retired:
            template.kill()
            template.wait()
        self._retired.clear()


def can_fork() -> bool:
    """Whether this system tells a process that its parent has died, and has handles of processes."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:  # an old kernel, or a sandbox
        return False
    return True
