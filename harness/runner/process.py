"""The controller's end of a worker: a process that answers one question at a time or is lost."""

import contextlib
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from harness import HOME
from harness.errors import InvalidEnvironmentError
from harness.machine import git
from harness.model import Outcome
from harness.model.codec import LineError, decode, encode
from harness.model.messages import (
    Answer,
    Describe,
    Description,
    Fingerprint,
    ModelReading,
    Question,
    ReadModel,
    Sources,
    TakeFingerprint,
)
from harness.model.units import amount
from harness.runner.nursery import Begin, started
from harness.user_code.folders import folders
from harness.user_code.plain_text import one_line

START_LIMIT = 120.0
"""Seconds that a worker may take to import torch and describe itself."""

DYING_LIMIT = 5.0
"""Seconds that a worker which hung up may take to end, so that its own exit status can be told."""

REPLY_LIMIT = 1 << 24
"""Bytes of one reply: far more than any real one has."""

OUTPUT_LIMIT = 1 << 26
"""Bytes that contestants may print while one question is answered. They are read and thrown away, but the last few."""

LAST_WORDS = 2000
"""Bytes of output that are kept to tell what a worker said last."""

SUSPENSION = 0.5
"""Seconds, well above the difference of two readings of two clocks and below any real suspension."""

BEGIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from harness.worker.bootstrap import main; main()"
"""What the interpreter is told: nothing is imported from the current folder before this has run."""
WORKER = "harness.worker.server"

STOP, CONTINUE = getattr(signal, "SIGSTOP", None), getattr(signal, "SIGCONT", None)
"""None where processes cannot be stopped."""

SIGNS_OF_NO_MEMORY = (
    "MemoryError",  # Python, and NumPy with a name of its own
    "DefaultCPUAllocator",
    "bad_alloc",
    "annot allocate memory",  # whatever asked the system itself; ENOMEM
)
"""Words with which a contestant ends for want of memory."""

ReplyT = TypeVar("ReplyT")


class WorkerLostError(Exception):
    """The worker died or had to be ended; says which, and why."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome
        self.reason = reason


class WorkerProcess:
    """A real worker. The controller sleeps in `ask` while it computes.

    `module` is the package of suites, `memory_limit` what `Request.memory_limit` says, `program` the module to run, and
    `sources` where its contestants come from: by default the current folder and `src` in it. `begin` makes
    the process, and `learn` sees every answer.
    """

    def __init__(
        self,
        module: str,
        environment: Mapping[str, str] | None = None,
        memory_limit: float = 0.0,
        program: str = WORKER,
        sources: Sources | None = None,
        begin: Begin = started,
        learn: Callable[[Answer], None] = lambda _: None,
    ) -> None:
        self._learn = learn
        self._memory_limit = memory_limit if sys.platform == "linux" else 0.0  # elsewhere nothing limits a worker
        self._asked = 0
        self._suspended = 0.0
        self._reply = b""
        self._hung_up = False
        self._resting = False
        self._said = b""
        self._output = 0
        sources = sources or Sources(folders(Path.cwd()))
        places = json.dumps(msgspec.to_builtins(sources))  # exact for any path
        words = [sys.executable, "-P", "-c", BEGIN, str(HOME), places, program, module, str(int(memory_limit))]
        try:
            self._process = begin(words, git.environment(environment), sources.current or str(Path.cwd()))
        except OSError as error:
            raise InvalidEnvironmentError(f"cannot start a worker: {error.strerror}; close other programs") from error
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._requests, self._replies, self._errors = self._process.stdin, self._process.stdout, self._process.stderr
        self._ears = selectors.DefaultSelector()
        for pipe in (self._replies, self._errors):
            os.set_blocking(pipe.fileno(), False)
            self._ears.register(pipe, selectors.EVENT_READ)

    def describe(self) -> Description:
        """What the worker sees. Raises InvalidEnvironmentError when it does not start."""
        try:
            return self._exchange(Describe(), Description, START_LIMIT)
        except WorkerLostError as lost:
            raise InvalidEnvironmentError(
                f"the worker does not start: {lost.reason}; try: {sys.executable} -c 'import torch'"
            ) from lost

    def loaded(self, question: TakeFingerprint) -> Fingerprint:
        """What it has loaded, and from where. Raises WorkerLostError as `ask`."""
        return self._exchange(question, Fingerprint, START_LIMIT)

    def read_model(self, question: ReadModel, limit: float) -> ModelReading:
        """What a model is made of. Raises WorkerLostError as `ask`."""
        return self._exchange(question, ModelReading, limit)

    def ask(self, question: Question, limit: float) -> Answer:
        """The answer to `question`. Raises WorkerLostError when there is none within `limit` seconds.

        The time that the machine is suspended does not count, but the answer then has a warning.
        """
        self.put(question)
        return self.reply(limit)

    def put(self, question: Question) -> None:
        """Put a question and wait for nothing: `reply` has the answer. Raises WorkerLostError when it is gone."""
        self._suspended = suspended()
        self._send(question)

    def reply(self, limit: float) -> Answer:
        """The answer to what was put, as of `ask`. The limit counts from here."""
        answer = self._receive(Answer, limit)
        self._learn(answer)
        if answer.outcome == "failed" and (why := self._short_of_memory(answer.reason)):
            answer = msgspec.structs.replace(answer, reason=why)
        if (asleep := suspended() - self._suspended) < SUSPENSION:
            return answer
        doubt = f"the machine was suspended for {asleep:.0f} s meanwhile: measure this case again"
        return msgspec.structs.replace(answer, warnings=(*answer.warnings, doubt))

    def rest(self) -> None:
        """Stop it and all that it started until it is asked again, so that it takes nothing from whoever computes.

        Without that, threads of a parallel region that has ended would spin for milliseconds, ready for the next one.
        """
        if STOP is not None and CONTINUE is not None and not self._resting and self._process.poll() is None:
            os.killpg(self._process.pid, STOP)
            self._resting = True

    def _wake(self) -> None:
        if self._resting and CONTINUE is not None:
            with contextlib.suppress(ProcessLookupError):  # somebody else has ended it meanwhile
                os.killpg(self._process.pid, CONTINUE)
        self._resting = False

    def _exchange(self, question: msgspec.Struct, kind: type[ReplyT], limit: float) -> ReplyT:
        self._send(question)
        return self._receive(kind, limit)

    def _send(self, question: msgspec.Struct) -> None:
        self._wake()
        self._listen(0)
        self._said, self._output = b"", 0
        self._asked += 1
        try:
            self._requests.write(b"%d %s\n" % (self._asked, encode(question)))
        except BrokenPipeError:
            raise self._lost() from None

    def _receive(self, kind: type[ReplyT], limit: float) -> ReplyT:
        line = self._read_line(limit)
        number, _, reply = line.partition(b" ")
        try:
            if number != b"%d" % self._asked:
                raise LineError("it does not bear the number of the question")
            return decode(reply, kind)
        except LineError as error:
            raise self._ended("crashed", f"something else than the worker wrote to its pipe: {line[:60]!r}") from error

    def _read_line(self, limit: float) -> bytes:
        deadline = time.monotonic() + limit  # which stands still while the machine is suspended
        while b"\n" not in self._reply:
            if self._hung_up:
                raise self._lost()
            self._listen(deadline - time.monotonic())
            if self._output > OUTPUT_LIMIT:
                raise self._ended("failed", f"it printed more than {OUTPUT_LIMIT >> 20} MiB without an answer")
            if len(self._reply) > REPLY_LIMIT:
                raise self._ended("crashed", f"a reply of more than {REPLY_LIMIT >> 20} MiB, which no worker writes")
            if time.monotonic() >= deadline and b"\n" not in self._reply and not self._hung_up:
                raise self._ended("timed_out", f"no answer within its time limit of {limit:g} s")
        line, _, self._reply = self._reply.partition(b"\n")
        return line

    def _listen(self, seconds: float) -> None:
        """Wait until the worker writes or hangs up, but not for longer, and take in what there is."""
        for key, _ in self._ears.select(max(0.0, seconds)):
            chunk = os.read(key.fd, 1 << 16)
            if key.fileobj is self._replies:
                self._reply += chunk
                self._hung_up = not chunk
            else:
                self._output += len(chunk)
                self._said = (self._said + chunk)[-LAST_WORDS:]
            if not chunk:
                self._ears.unregister(key.fileobj)

    def _lost(self) -> WorkerLostError:
        """The worker hung up: wait until it has ended and has said why."""
        deadline = time.monotonic() + DYING_LIMIT
        while self._process.poll() is None and time.monotonic() < deadline:
            self._listen(0.01)
        self._listen(0)
        code = self._process.returncode
        ending = "closed its pipe and went on" if code is None else _ending(code)
        memory = self._short_of_memory(self._said.decode(errors="replace"))
        return self._ended("crashed", f"the worker {ending}{self._last_words()}{memory and f'; {memory}'}")

    def _short_of_memory(self, words: str) -> str:
        """The sentence for a contestant that ended with these words for want of memory; empty for any other end."""
        if not self._memory_limit or not any(sign in words for sign in SIGNS_OF_NO_MEMORY):
            return ""
        return f"it took more than its memory limit of {amount(self._memory_limit, 'B')}; raise --memory-limit"

    def _ended(self, outcome: Outcome, reason: str) -> WorkerLostError:
        self.close()
        return WorkerLostError(outcome, reason)

    def _last_words(self) -> str:
        """The last line on stderr since the last question: for a traceback, the exception."""
        lines = self._said.decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip() and not line.startswith("USDT:")]
        return f"; its last words: {one_line(said[-1], 300)}" if said else ""

    def close(self) -> None:
        """End the worker and everything it started. Safe to call twice."""
        if self._requests.closed:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all of its group have ended
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._ears.close()
        for pipe in (self._requests, self._replies, self._errors):
            pipe.close()


def suspended() -> float:
    """Seconds since it was started that this machine has slept; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0.0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def _ending(code: int) -> str:
    if code == -signal.SIGKILL:
        return (
            "was killed by SIGKILL, which is often the system when memory is short:"
            " choose smaller cases, or a --memory-limit that is reached before"
        )
    if code < 0:
        return f"was killed by {next((known.name for known in signal.Signals if known == -code), f'signal {-code}')}"
    return f"exited with status {code}"


def describe_torch(module: str = "suites") -> dict[str, str | int | float]:
    """The part of the environment that only a process with torch can tell."""
    worker = WorkerProcess(module)
    try:
        return worker.describe().environment
    finally:
        worker.close()
