"""Which core each thread of a worker runs on, where that can be said."""

import os


def bound() -> dict[str, str]:
    """The environment in which OpenMP binds its threads to the cores that may be used, one each, in order.

    A process that was stopped finds its threads where the scheduler wakes them, at times two on one core: they then
    wait for each other by spinning, and a call takes ten to a hundred times as long until they are parted. Empty where
    the system does not tell which cores may be used.
    """
    if not hasattr(os, "sched_getaffinity"):
        return {}
    places = ",".join(f"{{{core}}}" for core in sorted(os.sched_getaffinity(0)))
    return {"OMP_PROC_BIND": "true", "OMP_PLACES": places}
