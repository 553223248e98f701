"""The process that workers are forked from: it has imported torch, and nothing of any contestant.

`BEGIN HOME CHANNEL`, where CHANNEL is a socket by which the controller orders workers (`harness.runner.nursery`). It
computes nothing and starts no thread of its own, so that a fork of it is as good as a process that has just begun.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import warnings
from dataclasses import dataclass

import msgspec

from harness.machine.parent import die_with_parent
from harness.model.messages import Birth
from harness.worker import bootstrap
from harness.worker.forking import compiler
from harness.worker.forking.newborn import be_born, become

WHAT_EVERY_WORKER_IMPORTS = (
    "torch",
    "harness.worker.device.devices",
    "harness.worker.fingerprint",
    "harness.worker.guard.guard",
)
HEADER = 8
"""Bytes that say how long an order is."""
PIPES = 4
"""What comes with an order: stdin, stdout and stderr of the worker, and the socket that its fate is told by."""


@dataclass(frozen=True)
class Child:
    """A worker that was forked. It is collected once the controller has let go of it: until then its id is its own."""

    pid: int
    handle: int
    """A file descriptor that can be read once it has ended."""
    fate: socket.socket

    def tell(self) -> None:
        """Say how it ended, and leave it to be collected."""
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        self.say(code)

    def say(self, number: int) -> None:
        """Tell the controller, unless it has let go of it."""
        with contextlib.suppress(OSError):
            self.fate.sendall(b"%d\n" % number)

    def collect(self) -> None:
        """End it and everything that it started."""
        with contextlib.suppress(ProcessLookupError):  # it has been ended before it had a group
            os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.fate.close()


class Template:
    """Forks a worker an order, and tells the controller how each of them ends."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._is_needed = True
        self._compiles = False
        self._ends: dict[int, Child] = {}
        """Children by the descriptor that becomes ready: when it ends, and when the controller lets go of it."""

    def serve(self) -> Birth:
        """Returns in a fork only: its order. The template itself ends when the controller has hung up, with the last
        of its children.
        """
        while self._is_needed or self._ends:
            number, _ = self._poll.poll()[0]  # one at a time: what is done about it may give its number to another
            if number != self._channel.fileno():
                self._attend(self._ends[number], number)
                continue
            header, pipes = self._heard()
            if not header:
                self._is_needed = False
                self._poll.unregister(self._channel)
                continue
            order = self._read_order(int.from_bytes(header, "big"))
            if self._fork(*pipes):
                return order
        os._exit(0)

    def _heard(self) -> tuple[bytes, list[int]]:
        """How long the next order is, and what came with it; nothing when the controller has hung up."""
        try:
            header, pipes, _, _ = socket.recv_fds(self._channel, HEADER, PIPES)
        except ConnectionResetError:  # it did not wait to hear that this process is ready
            return b"", []
        return header, pipes

    def _attend(self, child: Child, number: int) -> None:
        if number == child.handle:
            child.tell()
        else:
            self._let_go(number)
            child.collect()
        if self._ends.get(child.handle) is child:  # the number of a handle that was closed may be another's
            self._let_go(child.handle)
            os.close(child.handle)

    def _let_go(self, number: int) -> None:
        self._poll.unregister(number)
        del self._ends[number]

    def _read_order(self, size: int) -> Birth:
        """The order; what it asks for is imported when it is here."""
        order = msgspec.convert(json.loads(_exactly(self._channel, size)), Birth)
        if order.compiles and not self._compiles:
            self._compiles = True
            compiler.load()
            _settle()
        return order

    def _fork(self, requests: int, replies: int, errors: int, fate: int) -> bool:
        """Whether this is the fork, which has then nothing of the template's but the three pipes of its own."""
        standard, template, (told, tells) = (requests, replies, errors), os.getpid(), os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # OpenBLAS has a thread, and ends it before a fork
            pid = os.fork()
        if pid == 0:
            be_born(standard, template)
            for number in (*standard, told, tells, fate, self._channel.detach(), *self._ends):
                os.close(number)
            return True
        for number in (*standard, tells):
            os.close(number)
        with open(told, "rb") as born:  # noqa: PTH123 - a file descriptor
            born.read()  # nothing: it is closed in the fork once that has a group of its own
        child = Child(pid, os.pidfd_open(pid), socket.socket(fileno=fate))
        child.say(pid)
        for number in (child.handle, fate):
            self._ends[number] = child
            self._poll.register(number, select.POLLIN)
        return False


def _exactly(channel: socket.socket, size: int) -> bytes:
    """The next `size` bytes."""
    with channel.makefile("rb", buffering=0) as stream:
        parts = []
        while size and (part := stream.read(size)):
            parts.append(part)
            size -= len(part)
    return b"".join(parts)


def _settle() -> None:
    """What was imported is exempt from garbage collection: forks then go on sharing its memory."""
    gc.collect()
    gc.freeze()


def main() -> None:
    """Import, and serve one controller, whose end is its own end."""
    die_with_parent()
    channel = socket.socket(fileno=int(sys.argv.pop(1)))
    sys.path.pop(0)  # the folder of the harness, as in `bootstrap`
    sys.meta_path.append(bootstrap.MISSED)
    for name in WHAT_EVERY_WORKER_IMPORTS:
        importlib.import_module(name)
    _settle()
    channel.sendall(b"\n")  # it is ready
    become(Template(channel).serve())
