"""Three machines as processes: a scheduler, workers whose runs are swift, and clients, each to be killed and started.

A machine is a worker with an identity and a cache of its own. Port and folders are new for every rig.
"""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from harness.machine.parent import PARENT
from harness.runner.fleet import quiet
from tests.harness.fakes.killable_runs import ROOT
from tests.harness.fakes.steadfast import WORDS

Process = subprocess.Popen[bytes]
PRELOAD = ("--preload", "tests.harness.fakes.swift_fleet")
LONG = 600.0
"""Seconds after which something hangs, even where everything is stopped for minutes now and then."""


class Rig:
    """What a fleet needs, kept alive: whoever is killed is started again by `tend`. A context manager."""

    def __init__(self, folder: Path, names: Iterable[str] = ("a", "b"), words: Iterable[str] = ()) -> None:
        self.folder, self.hub = folder, folder / "hub"
        self._words = ("run", *WORDS, *words)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        folder.mkdir(parents=True, exist_ok=True)
        self._port = int(self.address.rpartition(":")[2])
        self.scheduler = self._begin_scheduler()
        self.workers = {name: self.begin_worker(name) for name in names}

    def _begin_scheduler(self) -> Process:
        return self._begin("scheduler", quiet.scheduler_words("127.0.0.1", self._port), {})

    def begin_worker(self, name: str, preload: Iterable[str] = PRELOAD, **variables: str) -> Process:
        own = {"BITBENCH_MACHINE": f"{self.folder} {name}", "BITBENCH_LABELS": f"name={name}"}
        own |= {"XDG_CACHE_HOME": str(self.folder / "cache" / name)} | variables
        return self._begin(name, quiet.worker_words([self.address], [*preload, "--death-timeout", "60"]), own)

    def _begin(self, name: str, words: list[str], own: dict[str, str]) -> Process:
        environment = os.environ | quiet.as_variables(quiet.QUIET, quiet.STRICT) | own
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def client(self, *more: str, machines: int = 0) -> Process:
        """`bitbench fleet run ...`, which says what happens in client.log."""
        where = ("--cluster", self.address, "--out", str(self.hub), "--machines", str(machines or len(self.workers)))
        environment = os.environ | {PARENT: "", "XDG_CACHE_HOME": str(self.folder / "cache" / "client")}
        with (self.folder / "client.log").open("ab") as log:
            words = quiet.bitbench("fleet", *self._words, *where, *more)
            return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log)

    def tend(self) -> None:
        """What a supervisor of services does."""
        if self.scheduler.poll() is not None:
            self.scheduler = self._begin_scheduler()
        for name, worker in self.workers.items():
            if worker.poll() is not None:
                self.workers[name] = self.begin_worker(name)

    def finished(self, client: Process, *, tending: bool = True) -> tuple[int, str]:
        """The exit code of a client, and all that clients have said."""
        self.wait(lambda: client.poll() is not None, tending)
        return client.returncode, (self.folder / "client.log").read_text()

    def wait(self, until: Callable[[], object], tending: bool = False) -> None:
        deadline = time.monotonic() + LONG
        while not until():
            assert time.monotonic() < deadline, (self.folder / "client.log").read_text()
            if tending:
                self.tend()
            time.sleep(0.02)

    def lines(self, name: str = "") -> list[bytes]:
        """The whole lines of the runs that are in the hub now, or of one."""
        files = [path for path in sorted(self.hub.glob("*/run.jsonl")) if name in path.parent.name]
        return [line for path in files for line in path.read_bytes().split(b"\n")[:-1]]

    def __enter__(self) -> "Rig":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (*self.workers.values(), self.scheduler):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait()
