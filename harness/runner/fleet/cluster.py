"""What --cluster names: a scheduler that somebody started, hosts by ssh, or processes here for trying."""

import contextlib
import logging
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from harness.errors import InvalidEnvironmentError, UsageError
from harness.machine import identity
from harness.machine.parent import PARENT
from harness.model.units import parse_whole
from harness.runner.fleet import quiet

if TYPE_CHECKING:
    from distributed import SpecCluster

FORMS = "tcp://host:port, ssh:host1,host2 or local:N"
MOST_LOCAL = 64
START_LIMIT = 120.0
"""Seconds that processes here may take until their scheduler can be reached."""


class Cluster(Protocol):
    """Where a scheduler of Dask is to be reached."""

    @property
    def address(self) -> str:
        """Of the scheduler, as it is now."""

    @property
    def workers(self) -> int:
        """How many it is known to have, at least."""

    def tend(self) -> None:
        """Start again what is ours and has ended."""


@contextlib.contextmanager
def opened(spec: str) -> Iterator[Cluster]:
    """The cluster that is named; what was started for it has ended afterwards.

    Raises UsageError for what names none, InvalidEnvironmentError for one that cannot be started.
    """
    kind, _, rest = spec.partition(":")
    require_dask()
    import dask

    for name in [one for one in logging.root.manager.loggerDict if one.partition(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the fleet says itself, in a line, what it lost
    with dask.config.set({**quiet.QUIET, **quiet.STRICT}):
        match kind:
            case "tcp" | "tls" if rest.startswith("//") and rest.rpartition(":")[2].isdecimal():
                yield Given(spec, 1)
            case "local":
                with Local(_number(spec, rest)) as local:
                    yield local
            case "ssh" if hosts := [host.strip() for host in rest.split(",") if host.strip()]:
                with _by_ssh(hosts) as there:
                    yield Given(there.scheduler_address, len(hosts))
            case "slurm":
                raise UsageError(
                    "--cluster slurm: is not to be had; start `bitbench fleet worker` in a job of your own"
                    " (sbatch --exclusive --no-requeue), and give the address of its scheduler, tcp://host:port"
                )
            case _:
                raise UsageError(f"--cluster {spec[:100]!r} names no cluster: write {FORMS}")


def require_dask() -> None:
    """Raise UsageError where Dask is not installed."""
    try:
        import distributed  # noqa: F401 - whether it is there
    except ImportError as error:
        raise UsageError(
            f"a fleet needs Dask, which cannot be imported here ({error}): pip install bitlinear-bench[fleet]"
        ) from error


def _number(spec: str, text: str) -> int:
    try:
        return parse_whole(text, 1, MOST_LOCAL)
    except UsageError as error:
        raise UsageError(f"--cluster {spec[:100]!r}: {error}") from error


class Given:
    """A scheduler that is there already."""

    def __init__(self, address: str, workers: int) -> None:
        self.address = address
        self.workers = workers

    def tend(self) -> None:
        """Nothing: it is not ours."""


class Local:
    """A scheduler and workers on this machine, for trying: they disturb each other. A context manager."""

    def __init__(self, workers: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bitbench-fleet-", ignore_cleanup_errors=True)
        self._file = Path(self._folder.name) / "scheduler.json"
        self._scheduler = self._start("scheduler", "--port", "0", "--file", str(self._file))
        self.workers = workers
        self._workers = {number: self._worker(number) for number in range(workers)}

    @property
    def address(self) -> str:
        """Of the scheduler. Raises InvalidEnvironmentError where it does not start."""
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and self._scheduler.poll() is None:
            try:
                return str(msgspec.json.decode(self._file.read_bytes())["address"])
            except (FileNotFoundError, msgspec.DecodeError):  # it has not written it yet
                time.sleep(0.1)
        raise InvalidEnvironmentError("the scheduler of --cluster local does not start: try `bitbench fleet scheduler`")

    def tend(self) -> None:
        """Start again what has ended; the workers of a scheduler end with it."""
        if self._scheduler.poll() is not None:
            self._file.unlink(missing_ok=True)
            self._scheduler = self._start("scheduler", "--port", "0", "--file", str(self._file))
        for number, worker in self._workers.items():
            if worker.poll() is not None:
                self._workers[number] = self._worker(number)

    def _worker(self, number: int) -> "subprocess.Popen[bytes]":
        own = {identity.NAMED: f"{identity.identity()} local {number}"} if self.workers > 1 else {}
        return self._start("worker", "--scheduler-file", str(self._file), **own)

    def _start(self, *words: str, **variables: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            quiet.bitbench("fleet", *words, "--die-with-parent"),
            env=os.environ | {PARENT: str(os.getpid())} | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the fleet, which then ends them
        )

    def __enter__(self) -> "Local":
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self._workers.values(), self._scheduler):
            process.kill()
            process.wait()
        self._folder.cleanup()


def _by_ssh(hosts: list[str]) -> "SpecCluster":
    """A worker on each host by Dask's own ssh, with the scheduler in this process: it ends with it, and so do they."""
    try:
        import asyncssh  # noqa: F401 - Dask imports it when it is too late for one clear line
    except ImportError as error:
        raise UsageError("--cluster ssh: needs asyncssh: pip install asyncssh") from error
    from distributed import Scheduler, SpecCluster
    from distributed.deploy import ssh

    kwargs = {"nthreads": 1, "memory_limit": 0, "resources": {quiet.RESOURCE: 1}, "dashboard": False}
    workers = {
        number: {
            "cls": ssh.Worker,
            "options": {"connect_options": _login(host), "address": _name(host), "kwargs": kwargs}
            | {"worker_class": "distributed.Worker"},
        }
        for number, host in enumerate(hosts)
    }
    own = {"host": _address_towards(_name(hosts[0])), "port": 0, "dashboard": False, "dashboard_address": ":0"}
    try:
        return SpecCluster(workers, {"cls": Scheduler, "options": own}, name="bitbench-fleet", silence_logs=False)
    except Exception as error:  # asyncssh and Dask raise what they like, one class a cause
        words = " ".join(str(error).split())[:200]
        raise InvalidEnvironmentError(
            f"--cluster ssh: no worker starts on {', '.join(hosts)} ({words}): try `ssh HOST python -m distributed.cli"
            ".dask_worker --version`"
        ) from error


def _name(host: str) -> str:
    return host.rpartition("@")[2].partition(":")[0]


def _login(host: str) -> dict[str, object]:
    """What asyncssh is told besides the host, from user@host:port."""
    user, _, rest = host.rpartition("@")
    port = rest.partition(":")[2]
    return {**({"username": user} if user else {}), **({"port": int(port)} if port.isdecimal() else {})}


def _address_towards(host: str) -> str:
    """The address of this machine as `host` would see it: an isolated net has no route to guess by."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anybody:
            anybody.connect((host, 22))
            return str(anybody.getsockname()[0])
    except OSError as error:
        raise UsageError(f"--cluster ssh: {host} cannot be reached: {error.strerror}; check its name") from error
