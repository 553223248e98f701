"""Where the runs of a fleet come together: `fleet.json` says what was asked of which machines, beside a folder a run.

The file of a run grows while its machine measures, and is what it is there, byte for byte: what comes is written at its
place, what comes twice is passed over, and what comes after a gap waits until the gap is filled.
"""

import hashlib
import os
import secrets
import threading
from io import FileIO
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from harness.errors import StoreError, UsageError
from harness.store import FILE_NAME, files

PLAN, UNFINISHED = "fleet.json", "unfinished"
State: TypeAlias = Literal["waiting", "done", "failed", "unplaced", "moved"]


class Job(msgspec.Struct, kw_only=True):
    """One whole run on one machine."""

    name: str
    """Of its folder."""
    machine: str
    """The identity of its machine."""
    kind: tuple[str, ...]
    """What is compared of the environment: equal of machines that may stand in for another."""
    words: str
    """Which machine that is, for people."""
    state: State = "waiting"
    reason: str = ""
    """Why it is not done, in words."""
    code: int = 0
    """The exit code of `bitbench run`, once it is done."""


class Plan(msgspec.Struct, kw_only=True):
    """What a fleet was asked for, and how far it has come. Holds no host name, user name or path."""

    fleet: str
    """A random name, under which its machines keep what they have not yet handed over."""
    words: tuple[str, ...]
    """What `bitbench run` is told on every machine."""
    on: dict[str, str]
    """What its machines must be like."""
    jobs: list[Job] = []

    def left(self) -> list[Job]:
        """Those that are to be made yet."""
        return [job for job in self.jobs if job.state == "waiting"]


class RunFile:
    """The file of one run in the hub, written at the offsets at which its machine has the same.

    Pieces come in a thread of Dask's, and what is missed at the end is fetched in another.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file = FileIO(path, "r+" if path.exists() else "x+")
        held = self._file.readall()
        self.size = held.rfind(b"\n") + 1  # a hub that was killed may have written part of a line
        self._file.truncate(self.size)

    def take(self, offset: int, data: bytes) -> bool:
        """Write what is new of `data`, whole lines that begin at byte `offset`.

        Whether it was: not after a gap, nor once the file is closed.
        """
        with self._lock:
            if offset > self.size or self._file.closed:
                return False
            new = memoryview(data)[self.size - offset :]
            self._file.seek(self.size)
            while new:
                written = self._file.write(new)
                self.size += written
                new = new[written:]
            return True

    def content(self) -> bytes:
        """All that is there."""
        with self._lock:
            self._file.seek(0)
            return self._file.read(self.size)

    def digest(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content()).hexdigest()

    def empty(self) -> None:
        """Forget all of it, so that it can be written anew."""
        with self._lock:
            self._file.truncate(0)
            self.size = 0

    def close(self) -> None:
        """Make it last, and let go of it. Safe to call twice."""
        with self._lock:
            if not self._file.closed:
                os.fsync(self._file.fileno())
                self._file.close()


class Hub:
    """The folder of a fleet, which one process at a time may fill. A context manager."""

    def __init__(self, directory: Path, words: tuple[str, ...], on: dict[str, str], go_on: bool) -> None:
        """Begin one, or go on with what is there if it was asked for the same.

        Raises StoreError where there is a fleet already, or another process fills it, UsageError where it was asked for
        something else.
        """
        self.directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = FileIO(directory / ".lock", "w")
            files.lock(self._lock)
        except BlockingIOError as error:
            raise StoreError(f"another fleet fills {directory}: wait for it to end, or choose another --out") from error
        except OSError as error:
            raise StoreError(f"cannot write {directory}: {error.strerror}; choose another --out") from error
        path = directory / PLAN
        if path.exists():
            self.plan = self._begun(path, words, on, go_on)
        elif left := [one.name for one in directory.iterdir() if one.name != ".lock"]:
            raise StoreError(f"{directory} holds {left[0]} and no fleet: choose another --out")
        else:
            self.plan = Plan(fleet=secrets.token_hex(8), words=words, on=on)
        self._files: dict[str, RunFile] = {}

    def _begun(self, path: Path, words: tuple[str, ...], on: dict[str, str], go_on: bool) -> Plan:
        if not go_on:
            raise StoreError(
                f"{self.directory} holds a fleet already: go on with it by --go-on, or choose another --out"
            )
        try:
            plan = msgspec.json.decode(path.read_bytes(), type=Plan)
        except msgspec.MsgspecError as error:
            raise StoreError(f"{path} is no plan of a fleet ({error}): choose another --out") from error
        if (plan.words, plan.on) != (words, on):
            asked = " ".join([*plan.words, *(f"--on {name}={value}" for name, value in plan.on.items())])
            raise UsageError(f"{self.directory} was asked for {asked}: repeat that, or choose another --out")
        for job in plan.jobs:
            if job.state in ("failed", "unplaced"):  # whoever goes on wants it tried again
                job.state, job.reason = "waiting", ""
        return plan

    def save(self) -> None:
        """Write down how far it has come."""
        files.replace(self.directory / PLAN, msgspec.json.format(msgspec.json.encode(self.plan), indent=1) + b"\n")

    def file(self, job: Job) -> RunFile:
        """The file of a run, open."""
        if job.name not in self._files:
            self._files[job.name] = RunFile(self.directory / job.name / FILE_NAME)
        return self._files[job.name]

    def add(self, machine: str, kind: tuple[str, ...], words: str) -> Job:
        """A run more, in a folder that bears the name of its machine, with a number where that is taken."""
        taken = {job.name for job in self.plan.jobs}
        names = (f"{machine}{f'-{number}' if number > 1 else ''}" for number in range(1, len(taken) + 2))
        job = Job(name=next(name for name in names if name not in taken), machine=machine, kind=kind, words=words)
        self.plan.jobs.append(job)
        return job

    def move(self, job: Job, machine: str, words: str) -> Job:
        """Begin the run of a machine that is gone on another one; what it had measured is put aside, and counts not."""
        if job.name in self._files:
            self._files.pop(job.name).close()
        there = self.directory / job.name
        if there.exists():
            (self.directory / UNFINISHED).mkdir(exist_ok=True)
            there.rename(self.directory / UNFINISHED / job.name)
        job.state, job.reason = "moved", f"given to {words}"
        return self.add(machine, job.kind, words)

    def close(self) -> None:
        """Let go of all files. Safe to call twice."""
        for file in self._files.values():
            file.close()
        self._lock.close()

    def __enter__(self) -> "Hub":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
