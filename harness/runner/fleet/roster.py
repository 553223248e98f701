"""Who is there: the workers at a scheduler, each asked once what its machine is, and whether it is fit for a fleet."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from harness.errors import BitbenchError, UsageError
from harness.runner.fleet import machines, on_machine, quiet
from harness.runner.fleet.machines import Machine
from harness.runner.fleet.on_machine import Survey
from harness.runner.fleet.same_code import Code

if TYPE_CHECKING:
    from distributed import Client, Future

MOST_TTL = 30.0
"""Seconds after which a worker that says nothing has to count as gone."""


class SchedulerLostError(Exception):
    """The scheduler does not answer any more."""


def submit_to(address: str, client: "Client", key: str, function: Callable[..., bytes], *given: Any) -> "Future[bytes]":
    """A task for one worker: never shared with an equal one, never tried again, and alone on its machine."""
    pinned: dict[str, Any] = {"workers": [address], "resources": {quiet.RESOURCE: 1}, "retries": 0, "pure": False}
    return client.submit(function, *given, key=f"bitbench-{key}-{secrets.token_hex(4)}", **pinned)


def require_strict(client: "Client") -> None:
    """Raise UsageError for a scheduler that would begin a run again by itself, or that cannot import this program."""
    cure = "start it by `bitbench fleet scheduler`"
    try:
        failures, ttl = client.run_on_scheduler(settings_of)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"the scheduler cannot import this bitbench ({in_words(error)}): {cure}") from error
    if failures:
        raise UsageError(f"the scheduler would begin a run again whose worker has died, {failures} times: {cure}")
    if not ttl or ttl > MOST_TTL:
        raise UsageError(f"the scheduler would notice late that a machine is gone (worker-ttl {ttl}): {cure}")


def settings_of(dask_scheduler: Any) -> tuple[int, float | None]:
    """How often a scheduler tries a task again whose worker has died, and after how long a silent worker is gone."""
    return dask_scheduler.allowed_failures, dask_scheduler.worker_ttl


class Roster:
    """The machines at the scheduler of `client`. `refuse` is told in one line of each that is not fit, and may raise.

    All must run `ours`, and have the packages of the first that answers.
    """

    def __init__(self, client: "Client", ours: Code, refuse: Callable[[str], None]) -> None:
        self._client = client
        self._code = ours
        self._refuse = refuse
        self._asked: dict[str, Future[bytes]] = {}
        self._unfit: set[str] = set()
        self.machines: dict[str, Machine] = {}
        """By the address of the worker."""

    @property
    def is_asking(self) -> bool:
        """Whether somebody has yet to answer."""
        return bool(self._asked)

    def look(self) -> int:
        """Ask new workers what they are, and take in what they answer; how many workers there are.

        Raises SchedulerLostError.
        """
        if self._client.status != "running":
            raise SchedulerLostError("the connection is lost")
        there = set(self._client.scheduler_info()["workers"])
        self.machines = {address: one for address, one in self.machines.items() if address in there}
        for address in there - self.machines.keys() - self._asked.keys() - self._unfit:
            self._asked[address] = submit_to(address, self._client, "survey", on_machine.survey)
        for address, future in list(self._asked.items()):
            if address not in there:
                self._asked.pop(address).release()
            elif future.done():
                self._learn(address, self._asked.pop(address))
        return len(there)

    def _learn(self, address: str, future: "Future[bytes]") -> None:
        if future.status != "finished":  # its worker went, which `look` sees next time, or it cannot import us
            error = future.exception() if future.status == "error" else None
            future.release()
            if error is not None and not is_killed_worker(error):
                self._unfit.add(address)
                self._refuse(f"a worker cannot answer ({in_words(error)}): start it by `bitbench fleet worker`")
            return
        survey = msgspec.json.decode(future.result(), type=Survey)
        future.release()
        if not self._code.packages:
            self._code = msgspec.structs.replace(self._code, packages=survey.code.packages)
        if why := machines.unfit(survey, self._code):
            self._unfit.add(address)
            self._refuse(f"machine {machines.in_words(survey.environment)} cannot be taken: {why}")
            return
        self.machines[address] = Machine(address, survey.environment)


def is_killed_worker(error: BaseException) -> bool:
    """Whether that is how Dask says that the worker of a task has gone."""
    from distributed import KilledWorker

    return isinstance(error, KilledWorker)


def in_words(error: BaseException) -> str:
    """An error of somebody else in one line."""
    if isinstance(error, BitbenchError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
