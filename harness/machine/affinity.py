"""Which core each thread of a worker runs on, where that can be said."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

CORES = "BITBENCH_CORES"
"""Names the cores among which `pinned` has spread a worker's threads. OMP_PLACES may be anything of the user's."""


def pinned() -> dict[str, str]:
    """The environment in which OpenMP binds its threads to the cores that may be used, one each, in order.

    A process that was stopped finds its threads where the scheduler wakes them, at times two on one core: they then
    wait for each other by spinning, and a call takes ten to a hundred times as long until they are parted. Empty where
    the system does not tell which cores may be used.
    """
    if not hasattr(os, "sched_getaffinity"):
        return {}
    cores = [str(core) for core in sorted(os.sched_getaffinity(0))]
    return {
        "OMP_PROC_BIND": "true",
        "OMP_PLACES": ",".join(f"{{{core}}}" for core in cores),
        CORES: ",".join(cores),
    }


@contextmanager
def unpinned(environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Inside, this thread may run on every core that `pinned` has named, and back to where it was at the end.

    For what is not timed: the main threads of two workers that build at the same time are bound to the same core.
    """
    cores = environment.get(CORES)
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
