"""Hiring workers for a run, and asking the first one what the machine is and what it can do."""

import random
import tempfile
from collections.abc import Iterable, Mapping

from harness.errors import InvalidEnvironmentError, UsageError
from harness.machine import git
from harness.machine.affinity import pinned
from harness.machine.ceilings import recall, remember
from harness.model import Ceilings, Environment
from harness.model.ceilings import from_answer
from harness.model.messages import Answer, Find, MeasureCeilings, ModelReading, ReadModel, Sources
from harness.model.suite import Registry
from harness.model.whole_model import WholeModel
from harness.runner.nursery import Begin, Nursery, can_fork, started
from harness.runner.plan import Contest
from harness.runner.process import WorkerLostError, WorkerProcess
from harness.user_code.raised import innermost

CEILING_LIMIT = 60.0
"""Seconds that measuring ceilings may take."""
PADDING, BALLAST = 4096, 1 << 22
"""Bytes that the environment of a shuffled worker is longer, and that it allocates first, at most."""
READING_LIMIT = 120.0
"""Seconds that a model may take to be read: far more than any of transformers takes on the meta device."""
IMPORT_LIMIT = 120.0
"""Seconds that importing an implementation of the user's may take."""


class WorkerPool:
    """Hires workers with a private, empty compile cache, so that a first call in a run is a cold one.

    With `shuffle`, no two of them begin alike: their environment and what they allocate first are of random size,
    so that where stack and heap lie is luck that every worker draws anew. Their threads are bound to cores.

    The first worker is started, and tells what there is; later ones are forked where that is safe, in `nursery` if it
    is shared with another pool: both sides of a gate then lie alike in memory.
    """

    def __init__(
        self,
        registry: Registry,
        memory_limit: float,
        sources: Sources | None = None,
        shuffle: bool = False,
        environment: Mapping[str, str] | None = None,
        nursery: Nursery | None = None,
    ) -> None:
        self._module = registry.module
        self._memory_limit = memory_limit
        self._sources = sources
        self._shuffle = random.SystemRandom() if shuffle else None
        self._environment = dict(environment or {})
        self._shared = tempfile.TemporaryDirectory(prefix="bitbench-", ignore_cleanup_errors=True)
        self._nursery, self._closes_nursery = nursery or Nursery(), nursery is None
        self._begin: Begin = started
        self._first: WorkerProcess | None = self._start()
        if can_fork():
            self._nursery.open(git.environment(self._variables()))  # both import torch at the same time
        try:
            self.description = self._first.describe()
        except InvalidEnvironmentError:
            self.close()
            raise
        if can_fork():
            self._fork_from_now_on()

    def _fork_from_now_on(self) -> None:
        if any(name != "cpu" and not why_not for name, why_not in self.description.devices.items()):
            self._nursery.close()  # the driver of a GPU does not survive a fork
        else:
            self._nursery.wait()
            self._begin = self._nursery.fork

    def _start(self) -> WorkerProcess:
        return WorkerProcess(
            self._module,
            self._variables(),
            self._memory_limit,
            sources=self._sources,
            begin=self._begin,
            learn=self._nursery.learn,
        )

    def _variables(self) -> dict[str, str]:
        """What the environment of a worker has besides the controller's."""
        # One compile thread: Inductor's pool of compile workers would run beside what is being timed.
        environment = {"TORCHINDUCTOR_CACHE_DIR": f"{self._shared.name}/compiled", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        environment["BITBENCH_KEPT"] = self._shared.name
        if self._shuffle is not None:
            environment |= pinned()
            environment["BITBENCH_PADDING"] = "x" * self._shuffle.randrange(PADDING)
            environment["BITBENCH_BALLAST"] = str(self._shuffle.randrange(BALLAST))
        return environment | self._environment

    def start(self) -> WorkerProcess:
        """A fresh worker; the one that described the machine serves first."""
        worker, self._first = self._first or self._start(), None
        return worker

    def require(self, implementations: Iterable[str]) -> None:
        """Raise UsageError unless those of `implementations` that are the user's own can be imported.

        Asked of a worker that does nothing else: what an import changes in it touches nothing that is measured.
        """
        own = [name for name in implementations if ":" in name]
        if not own:
            return
        worker = self._start()
        try:
            for name in own:
                answer = worker.ask(Find(name), IMPORT_LIMIT)
                if answer.outcome != "measured":
                    raise UsageError(_of_import(answer))
        except WorkerLostError as lost:
            raise UsageError(f"cannot import {name!r}: {lost.reason}") from lost
        finally:
            worker.close()

    def models(self, sources: Iterable[str], schemes: Iterable[str]) -> tuple[WholeModel, ...]:
        """The models that `sources` name, with the bytes of their products by `schemes`.

        Raises UsageError for what is none. Asked of a worker that does nothing else, as in `require`.
        """
        named = tuple(sources)
        if not named:
            return ()
        worker = self._start()
        try:
            return tuple(_model(worker.read_model(ReadModel(one, tuple(schemes)), READING_LIMIT)) for one in named)
        except WorkerLostError as lost:
            raise UsageError(f"{' or '.join(named)} cannot be read: {lost.reason}") from lost
        finally:
            worker.close()

    def close(self) -> None:
        """Let go of what was not used, and of all that workers shared."""
        if self._first is not None:
            self._first.close()
        if self._closes_nursery:
            self._nursery.close()
        self._shared.cleanup()

    def ceilings(self, contests: Iterable[Contest], here: Environment) -> tuple[Ceilings, ...]:
        """What the machine can do at most on the devices and with the threads of `contests`: known, or measured now.

        A device that cannot be used here has none.

        Raises InvalidEnvironmentError when the machine cannot even do that.
        """
        timed = [contest for contest in contests if "latency" in contest.metrics and "operations" in contest.facts]
        params = [contest.cases[0].params for contest in timed]
        places = dict.fromkeys(
            (str(p["device"]), int(p["threads"]))
            for p in params
            if "device" in p and "threads" in p and not self.description.devices.get(str(p["device"]))
        )
        return tuple(recall(here, *place) or self._measured(here, *place) for place in places)

    def _measured(self, here: Environment, device: str, threads: int) -> Ceilings:
        if self._first is None:
            self._first = self._start()
        try:
            answer = self._first.ask(MeasureCeilings(device, threads), CEILING_LIMIT)
        except WorkerLostError as lost:
            raise InvalidEnvironmentError(f"the speed of this machine cannot be measured: {lost.reason}") from lost
        found = from_answer(device, answer.values)
        remember(here, found)
        return found


def _model(reading: ModelReading) -> WholeModel:
    if reading.model is None:
        raise UsageError(reading.refusal)
    return reading.model


def _of_import(answer: Answer) -> str:
    """Why an implementation cannot be had. A refusal has no trace: its sentence names the line itself."""
    where = innermost(answer.trace)
    return f"{answer.reason}; in {where}" if where else answer.reason
