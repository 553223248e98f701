"""The fleet at work: runs are given to machines, lost ones are gone on with, and each has its end.

A run belongs to its machine. If the machine's worker dies, the run goes on there once a worker is back. If none is back
in time, another machine of the same kind begins the run anew: no run is half of one machine and half of another.
"""

import contextlib
import math
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from harness.errors import InvalidEnvironmentError, UsageError
from harness.machine.revision import revision
from harness.runner.fleet import machines, on_machine
from harness.runner.fleet.cluster import Cluster
from harness.runner.fleet.hub import Hub, Job, State
from harness.runner.fleet.machines import Machine
from harness.runner.fleet.on_machine import Ending, Piece
from harness.runner.fleet.roster import (
    Roster,
    SchedulerLostError,
    in_words,
    is_killed_worker,
    require_strict,
    submit_to,
)
from harness.runner.fleet.same_code import Code, digest_of_sources

if TYPE_CHECKING:
    from distributed import Client, Future

PAUSE = 0.5
"""Seconds between two looks at what has changed."""
MOST_STEP = 5.0
"""Seconds that a look may seem to take: if it is more, this machine has stood still."""
CONNECT_LIMIT = 10.0
"""Seconds that a scheduler may take to answer."""
IN_VAIN = 3
"""Attempts of one run that may end without a new record, one after another."""
COMPLETE = (0, 1)
"""Exit codes of a run of which every case has its end."""
INTERRUPTED = 130
"""That of a run that was told to end, by Ctrl-C or SIGTERM."""


@dataclass
class Attempt:
    """A run that is being made on a machine."""

    job: Job
    machine: Machine
    name: str
    future: "Future[bytes]"
    held: int
    """Bytes that were there before."""


class Fleet:
    """Makes the runs of a hub on the machines of a cluster. `say` is told in one line of all that happens."""

    def __init__(self, cluster: Cluster, hub: Hub, patience: float, say: Callable[[str], None], least: int = 1) -> None:
        """`patience`, in seconds, is how long a machine, or a scheduler, may be gone before it counts as missing.

        A new fleet waits as long for `least` machines.
        """
        self._cluster = cluster
        self._hub = hub
        self._patience = patience
        self._least = max(least, cluster.workers)
        self._say = say
        self._code = Code(revision(), digest_of_sources(), {})
        self._attempts: dict[str, Attempt] = {}
        """By the name of the attempt."""
        self._in_vain: dict[str, int] = {}
        self._absent: dict[str, float] = {}
        """By machine: for how many seconds there has been no worker of it, while this process could see that."""
        self._stepped = time.monotonic()

    def carry_out(self) -> None:
        """Until every run is done or cannot be.

        Raises UsageError where no machine is meant, InvalidEnvironmentError where a machine is not fit or no scheduler
        answers.
        """
        since = time.monotonic() if self._hub.plan.jobs else -math.inf
        while True:
            try:
                with self._connected() as client:
                    since = time.monotonic()
                    roster = self._mustered(client)
                    while self._hub.plan.left():
                        self._step(client, roster)
                        since = time.monotonic()
                        time.sleep(PAUSE)
                return
            except SchedulerLostError as lost:
                if time.monotonic() - since > self._patience:
                    raise InvalidEnvironmentError(
                        f"the scheduler cannot be reached ({lost}): start it, and give the same command again, with"
                        " --go-on if the fleet has begun"
                    ) from lost
                self._cluster.tend()
                time.sleep(PAUSE)

    @contextlib.contextmanager
    def _connected(self) -> Iterator["Client"]:
        """A client of the scheduler. Raises SchedulerLostError where it does not answer, then or later."""
        from distributed import Client

        self._attempts = {}
        try:
            client = Client(self._cluster.address, timeout=CONNECT_LIMIT, set_as_default=False)
        except (OSError, TimeoutError) as error:
            raise SchedulerLostError(in_words(error)) from error
        try:
            require_strict(client)
            client.subscribe_topic(on_machine.topic_of(self._hub.plan.fleet), self._take)
            yield client
        except (OSError, TimeoutError) as error:
            raise SchedulerLostError(in_words(error)) from error
        finally:
            with contextlib.suppress(Exception):  # the scheduler is gone: nothing is left to be closed
                client.close(timeout=1)

    def _mustered(self, client: "Client") -> Roster:
        """What machines there are. A new fleet is made of those that are meant."""
        roster = Roster(client, self._code, self._refuse)
        deadline = time.monotonic() + self._patience
        least = 1 if self._hub.plan.jobs else self._least
        while (there := roster.look()) < least or roster.is_asking:
            if time.monotonic() > deadline and not roster.is_asking:
                raise InvalidEnvironmentError(
                    f"{there} of {least} workers are at the scheduler after {self._patience:g} s: start"
                    " `bitbench fleet worker` on each machine"
                )
            self._cluster.tend()
            time.sleep(PAUSE / 5)
        machines.require_apart(roster.machines.values())
        if not self._hub.plan.jobs:
            self._found(list(roster.machines.values()))
        self._absent, self._stepped = {}, time.monotonic()
        return roster

    def _refuse(self, why: str) -> None:
        """Before a fleet begins a machine that is not fit is an error; later, a newcomer is passed over."""
        if not self._hub.plan.jobs:
            raise InvalidEnvironmentError(why)
        self._say(why)

    def _found(self, there: list[Machine]) -> None:
        on = self._hub.plan.on
        machines.require_known(on, [one.environment for one in there])
        meant = [one for one in there if machines.is_meant(one.environment, on)]
        if not meant:
            asked = ", ".join(f"{name}={value}" for name, value in on.items())
            raise UsageError(
                f"--on {asked}: no machine is like that; there are {'; '.join(one.words for one in there)}"
            )
        for one in sorted(meant, key=lambda machine: machine.identity):
            self._hub.add(one.identity, one.kind, one.words)
        self._hub.save()

    def _step(self, client: "Client", roster: Roster) -> None:
        self._cluster.tend()
        roster.look()
        self._count_absence({one.identity for one in roster.machines.values()})
        for attempt in list(self._attempts.values()):
            if attempt.future.status == "cancelled":  # Dask has connected anew by itself, and knows of nothing before
                raise SchedulerLostError("the connection was lost")
            if attempt.future.done() or attempt.machine.address not in roster.machines:
                self._end(client, attempt)
        for job in self._hub.plan.left():
            if not any(attempt.job is job for attempt in self._attempts.values()):
                self._place(client, roster, job)

    def _count_absence(self, here: set[str]) -> None:
        """A machine was not missing while this one was suspended, and could not have seen it come back."""
        now = time.monotonic()
        passed, self._stepped = min(now - self._stepped, MOST_STEP), now
        gone = {job.machine for job in self._hub.plan.left()} - here
        self._absent = {machine: self._absent.get(machine, 0.0) + passed for machine in gone}

    def _place(self, client: "Client", roster: Roster, job: Job) -> None:
        """Give a run to its machine; if that has been gone for too long, to another of its kind."""
        here = list(roster.machines.values())
        if at_home := [one for one in here if one.identity == job.machine]:
            if free := [one for one in at_home if not self._is_busy(one)]:
                self._give(client, job, free[0])
            return
        if self._absent.get(job.machine, 0.0) <= self._patience:
            return
        on, homes = self._hub.plan.on, {other.machine for other in self._hub.plan.left()}
        alike = [one for one in here if one.kind == job.kind and machines.is_meant(one.environment, on)]
        ready = [one for one in alike if one.identity not in homes and not self._is_busy(one)]
        if ready:
            moved = self._hub.move(job, ready[0].identity, ready[0].words)
            self._hub.save()
            self._say(f"machine {job.words} is gone: its run begins anew on {ready[0].words}")
            self._give(client, moved, ready[0])
        elif not alike:
            missing = f"machine {job.words} is missing, and no other of its kind is here"
            self._conclude(job, "unplaced", f"{missing}: start its worker, and go on with --go-on")

    def _is_busy(self, machine: Machine) -> bool:
        return any(attempt.machine.address == machine.address for attempt in self._attempts.values())

    def _give(self, client: "Client", job: Job, machine: Machine) -> None:
        file, name = self._hub.file(job), secrets.token_hex(4)
        given = (self._hub.plan.fleet, job.name, name, list(self._hub.plan.words), file.content())
        future = submit_to(machine.address, client, "run", on_machine.measure, *given)
        self._attempts[name] = Attempt(job, machine, name, future, file.size)
        self._say(f"{job.name}: {'resumed' if file.size else 'begun'} on {machine.words}")

    def _take(self, event: tuple[float, bytes]) -> None:
        """Write what a machine has sent, unless the fleet waits for it no more. Called by Dask's own thread."""
        piece = msgspec.json.decode(event[1], type=Piece)
        attempt = self._attempts.get(piece.attempt)
        if attempt is not None:
            self._hub.file(attempt.job).take(piece.offset, piece.data)

    def _end(self, client: "Client", attempt: Attempt) -> None:
        """Take in how an attempt ended, and whether the run is gone on with."""
        job, future = attempt.job, attempt.future
        ending = Ending(code=-signal.SIGKILL, said="its worker is gone")
        if future.status == "finished":
            ending = msgspec.json.decode(future.result(), type=Ending)
        elif future.status == "error" and not is_killed_worker(error := future.exception()):
            ending = msgspec.structs.replace(ending, said=in_words(error))
        is_complete = ending.code in COMPLETE and self._is_fetched(client, attempt, ending)
        del self._attempts[attempt.name]  # from here on nothing that it sends is taken
        future.release()  # a result that is held would be made again if its worker died
        has_grown = self._hub.file(job).size > attempt.held
        self._in_vain[job.name] = 0 if has_grown else self._in_vain.get(job.name, 0) + 1
        if is_complete:
            self._hub.file(job).close()
            self._conclude(job, "done", "", ending.code)
        elif ending.code > max(COMPLETE) and ending.code != INTERRUPTED:
            self._conclude(job, "failed", ending.said, ending.code)
        elif self._in_vain[job.name] >= IN_VAIN:
            self._conclude(job, "failed", f"it ended {IN_VAIN} times without a new record; {ending.said}")
        else:
            self._say(f"{job.name}: cut off on {attempt.machine.words} ({ending.said})")

    def _is_fetched(self, client: "Client", attempt: Attempt, ending: Ending) -> bool:
        """Whether the hub has what the machine has of a run that has ended, when what was missing is fetched."""
        file, fleet, address = self._hub.file(attempt.job), self._hub.plan.fleet, attempt.machine.address
        try:
            for _ in range(2):
                while file.size < ending.size:
                    (data,) = client.run(
                        on_machine.rest, fleet, attempt.job.name, file.size, workers=[address]
                    ).values()
                    if not data or not file.take(file.size, data):
                        break
                if file.digest() == ending.digest:
                    client.run(on_machine.forget, fleet, attempt.job.name, workers=[address])
                    return True
                file.empty()  # they differ: once more from the first byte
        except (OSError, ValueError) as error:  # the worker has gone meanwhile: the run is gone on with
            self._say(f"{attempt.job.name}: not all of it came ({in_words(error)})")
        return False

    def _conclude(self, job: Job, state: State, reason: str, code: int = 0) -> None:
        job.state, job.reason, job.code = state, reason, code
        self._hub.save()
        self._say(f"{job.name}: {state}{f': {reason}' if reason else ''}")
