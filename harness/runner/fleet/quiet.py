"""How Dask is told to be quiet beside what is timed, and which variables of its processes no run may inherit.

By its defaults a worker and its nanny take 73 ms of CPU a second, half of it for a tick every 20 ms. Set like this a
worker takes 3 (docs/how-to/fleet.md).
"""

import os
import sys
from collections.abc import Mapping, Sequence

from harness import HOME
from harness.machine import git

QUIET: Mapping[str, object] = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "3s",
    "distributed.admin.tick.cycle": "10s",
    "distributed.admin.tick.limit": "60s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.memory.monitor-interval": "10s",
}
"""Settings of every process of Dask."""
STRICT: Mapping[str, object] = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-ttl": "30s",
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
}
"""Settings of a scheduler: a run whose worker has died fails at once, and is not begun again by Dask."""
RESOURCE = "machine"
"""Of which a worker has one and a run takes one, so that a run has its machine for itself."""
BEGIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from harness.cli import main; sys.exit(main())"
"""What the interpreter is told, so that nothing is imported from the current folder before bitbench is."""
_OF_NANNIES = {
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
"""What a nanny of Dask sets (`distributed.nanny.pre-spawn-environ`)."""


def bitbench(*words: str) -> list[str]:
    """The command line of this very copy of bitbench, as a process."""
    return [sys.executable, "-P", "-c", BEGIN, str(HOME), *words]


def clean_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for a run that a worker of Dask starts: less what is Dask's, and what its nanny has set."""
    kept = {name: text for name, text in environ.items() if not name.startswith("DASK_")}
    return {name: text for name, text in kept.items() if name not in git.bound() and _OF_NANNIES.get(name) != text}


def as_variables(*settings: Mapping[str, object]) -> dict[str, str]:
    """Settings of Dask as the variables from which its processes read them."""
    everything = {name: value for one in settings for name, value in one.items()}
    return {f"DASK_{name.upper().replace('.', '__').replace('-', '_')}": str(it) for name, it in everything.items()}


def scheduler_words(host: str, port: int, file: str = "") -> list[str]:
    """The process of a scheduler; with a `file` it writes there where it can be reached."""
    words = [
        "--host",
        host,
        "--port",
        str(port),
        "--no-dashboard",
        "--dashboard-address",
        ":0",
        *(["--scheduler-file", file] if file else []),
    ]
    return [sys.executable, "-m", "distributed.cli.dask_scheduler", *words]


def worker_words(scheduler: Sequence[str], extra: Sequence[str] = ()) -> list[str]:
    """The process of a worker for one machine; `scheduler` are the words that say where its scheduler is."""
    words = ["--no-nanny", "--nthreads", "1", "--resources", f"{RESOURCE}=1", "--memory-limit", "0", "--no-dashboard"]
    return [sys.executable, "-m", "distributed.cli.dask_worker", *scheduler, *words, *extra]


def loud_settings() -> list[str]:
    """Which settings of this process are not those of `QUIET`."""
    import dask

    return [name for name, value in QUIET.items() if dask.config.get(name, None) != value]
