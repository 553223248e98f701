"""Where the threads of a worker may run: real affinities of this process."""

import os

import pytest

from harness.machine.affinity import pinned, unpinned

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no threads")


def test_who_builds_may_use_every_core_and_is_bound_again_even_where_it_fails() -> None:
    cores = os.sched_getaffinity(0)
    environment = pinned()
    first = {min(cores)}
    seen = []

    def build() -> None:
        with unpinned(environment):
            seen.append(os.sched_getaffinity(0))
            raise OSError("no space left")

    os.sched_setaffinity(0, first)
    try:
        with pytest.raises(OSError, match="no space left"):
            build()
        assert seen == [cores]
        assert os.sched_getaffinity(0) == first
        with unpinned({"OMP_PLACES": "cores", "OMP_PROC_BIND": "close"}):
            assert os.sched_getaffinity(0) == first, "a worker that was not pinned stays where it is"
    finally:
        os.sched_setaffinity(0, cores)
