"""What a worker of Dask does on its machine: it says what machine this is, and makes one whole run there.

A run is a process of its own, in an environment without what Dask has put there, and dies with its worker. While it
goes on, its whole lines are sent as events, each with its place in the file, and the worker sleeps in between.
"""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from io import FileIO
from pathlib import Path

import msgspec

from harness.machine.parent import PARENT
from harness.model import Environment, Revision
from harness.runner.fleet import quiet
from harness.runner.fleet.same_code import Code, digest_of_sources, versions
from harness.store import FILE_NAME, files

PROGRAM = tuple(quiet.bitbench())
"""What is run; tests put another in its place."""
PAUSE = 0.5
"""Seconds between two looks at the file of a run: a look takes tens of microseconds."""
PIECE = 1 << 20
"""Bytes that are sent at once, but for a longer line."""
PATIENCE, DYING = 30.0, 10.0
"""Seconds that an earlier run on this machine may take to end, and those that a run may when it is asked to."""
SURVEY_LIMIT, TRIES = 300.0, 3
"""Seconds that a machine may take to import torch and say what it is, and how often it is asked if that is ended."""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of its machine and of itself."""

    environment: Environment = Environment()
    code: Code = Code(Revision(), "", {})
    has_nanny: bool = False
    threads: int = 1
    machines: float = 1.0
    """How many runs it would take at once."""
    loud: tuple[str, ...] = ()
    refusal: str = ""
    """Why it cannot be asked for a run; nothing else is known then."""


class Piece(msgspec.Struct, frozen=True):
    """Whole lines of the file of a run, and the byte at which they begin."""

    attempt: str
    offset: int
    data: bytes


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended, and what its file is then."""

    code: int
    """The exit code of `bitbench run`; the negative number of a signal."""
    said: str
    """The last line that it printed for people."""
    size: int = 0
    digest: str = ""
    abandoned: bool = False
    """It was ended because nobody wants it any more."""


def survey() -> bytes:
    """A `Survey` as JSON: a type of ours would have to be imported by whoever passes it on."""
    from distributed import get_worker

    worker = get_worker()
    words = [*PROGRAM, "env", "--format", "json"]
    environment = quiet.clean_environment()
    try:
        for _ in range(TRIES):
            done = subprocess.run(words, env=environment, capture_output=True, timeout=SURVEY_LIMIT, check=False)
            if done.returncode >= 0:  # else somebody has ended it, which says nothing of the machine
                break
    except subprocess.TimeoutExpired:
        return msgspec.json.encode(Survey(refusal=f"`bitbench env` took more than {SURVEY_LIMIT:.0f} s there"))
    if done.returncode:
        return msgspec.json.encode(Survey(refusal=_last_line(done.stderr) or f"it ended with status {done.returncode}"))
    told = json.loads(done.stdout)
    return msgspec.json.encode(
        Survey(
            environment=msgspec.convert(told["environment"], Environment),
            code=Code(msgspec.convert(told["revision"], Revision), digest_of_sources(), versions()),
            has_nanny=bool(worker.nanny),
            threads=worker.state.nthreads,
            machines=worker.state.total_resources.get(quiet.RESOURCE, 0.0),
            loud=tuple(quiet.loud_settings()),
        )
    )


def place_of(fleet: str, name: str) -> Path:
    """Where a run of a fleet lies on its machine until the fleet has all of it."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "bitlinear-bench" / "fleet" / fleet / name


def measure(fleet: str, name: str, attempt: str, words: list[str], held: bytes) -> bytes:
    """Make the run, or go on with what is there of it; an `Ending` as JSON. Sends each `Piece` under the fleet's topic.

    `held` are the lines that the fleet has: they are given back to a machine that has lost them.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    place = place_of(fleet, name)
    place.mkdir(parents=True, exist_ok=True)
    run = place / "run"
    if not _is_free(run / FILE_NAME):
        return msgspec.json.encode(Ending(code=-signal.SIGKILL, said="an earlier run on this machine does not end"))
    _give_back(run / FILE_NAME, held)
    sent = 0

    def send() -> None:
        nonlocal sent
        for data in whole_lines(run / FILE_NAME, sent):
            worker.log_event(topic_of(fleet), msgspec.json.encode(Piece(attempt, sent, data)))
            sent += len(data)

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return worker.status.name == "running" and task is not None and task.state == "executing"

    with (place / "said.txt").open("wb") as said:
        process = subprocess.Popen(
            [*PROGRAM, "run", *words, "--go-on", "--die-with-parent", "--out", str(run)],
            env=quiet.clean_environment() | {PARENT: str(os.getpid())},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        try:
            while process.poll() is None and is_wanted():
                time.sleep(PAUSE)
                send()
        finally:
            abandoned = process.poll() is None
            _end(process)
    if abandoned:
        return msgspec.json.encode(Ending(code=process.returncode, said="nobody wanted it any more", abandoned=True))
    send()
    data = (run / FILE_NAME).read_bytes() if (run / FILE_NAME).exists() else b""
    return msgspec.json.encode(
        Ending(
            code=process.returncode,
            said=_last_words(process.returncode, (place / "said.txt").read_bytes()),
            size=len(data),
            digest=hashlib.sha256(data).hexdigest(),
        )
    )


def topic_of(fleet: str) -> str:
    """Under which its pieces are sent."""
    return f"bitbench-{fleet}"


def whole_lines(path: Path, start: int) -> list[bytes]:
    """What is in a file from a byte on, up to its last whole line, in pieces of whole lines."""
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read()
    except FileNotFoundError:
        return []
    pieces = []
    data = data[: data.rfind(b"\n") + 1]
    while data:
        end = data.rfind(b"\n", 0, PIECE) + 1 or data.index(b"\n") + 1
        pieces.append(data[:end])
        data = data[end:]
    return pieces


def rest(fleet: str, name: str, start: int) -> bytes:
    """The run's file from a byte on, a piece at most."""
    with (place_of(fleet, name) / "run" / FILE_NAME).open("rb") as file:
        file.seek(start)
        return file.read(PIECE)


def forget(fleet: str, name: str) -> None:
    """Remove a run that the fleet has, and the fleet's folder with its last run."""
    place = place_of(fleet, name)
    shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(OSError):  # others lie there, or it is gone
        place.parent.rmdir()


def _is_free(path: Path) -> bool:
    """Whether nobody writes the file, or stops to: a run that outlives its worker for a moment holds it."""
    deadline = time.monotonic() + PATIENCE
    while path.exists():
        try:
            with FileIO(path, "r+") as file:
                files.lock(file)
                return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(PAUSE)
        except OSError:  # the file system has no locks, or it was removed meanwhile
            return True
    return True


def _give_back(path: Path, held: bytes) -> None:
    """Write what the fleet has where less is here, as after the loss of a disk."""
    here = path.read_bytes() if path.exists() else b""
    if len(here) < len(held) and held.startswith(here[: here.rfind(b"\n") + 1]):
        path.parent.mkdir(exist_ok=True)
        files.replace(path, held)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a run as Ctrl-C does, and at once if that takes too long."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(DYING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _last_words(code: int, said: bytes) -> str:
    return f"it was killed by signal {-code}" if code < 0 else _last_line(said)


def _last_line(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("bitbench: ")[:300] if lines else ""
