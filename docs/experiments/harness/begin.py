"""How long a worker takes to begin, started and forked, in turns: `python docs/experiments/harness/begin.py ROUNDS`.

Prints a line a worker: seconds until it has described itself, and, for each of a few contestants of `quick`, seconds
to build and call it first, and the median latency in ms. All workers share one compile cache, so the first compiles.
"""

import statistics
import sys
import tempfile
import time

from harness.model import Request
from harness.model.messages import Prepare, Time
from harness.model.suite import Registry
from harness.runner.nursery import Begin, Nursery, started
from harness.runner.plan import Contest, make_plan
from harness.runner.process import WorkerProcess

IMPLEMENTATIONS = ("linear-bf16", "native", "compiled")
LIMIT = 120.0
VISITS = 12


def begun(begin: Begin, environment: dict[str, str], contest: Contest) -> str:
    """What one worker took."""
    start = time.perf_counter()
    worker = WorkerProcess("suites", environment, begin=begin)
    worker.describe()
    words = [f"ready {time.perf_counter() - start:.2f} s"]
    for case in contest.cases:
        start = time.perf_counter()
        worker.ask(Prepare(case, contest.seed), LIMIT)
        built = time.perf_counter() - start
        values = [worker.ask(Time(case, 8, 2, 1), LIMIT).values["latency"] for _ in range(VISITS)]
        median = statistics.median(value for visit in values for value in visit)
        words.append(f"{case.implementation} {built:.2f} s {1e3 * median:.3f} ms")
    worker.close()
    return ", ".join(words)


if __name__ == "__main__":
    registry, nursery = Registry.load("suites"), Nursery()
    nursery.compiles = True
    axes = {"shape": ("2560x2560",), "m": (1,)}
    request = Request(suites=("quick",), implementations=IMPLEMENTATIONS, axes=axes)
    with tempfile.TemporaryDirectory() as folder:
        environment = {"TORCHINDUCTOR_CACHE_DIR": folder, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        first = WorkerProcess("suites", environment)
        (contest,) = make_plan(request, registry, first.describe())
        first.close()
        for _ in range(int(sys.argv[1])):
            for name, begin in (("started", started), ("forked", nursery.fork)):
                print(f"{name}: {begun(begin, environment, contest)}", flush=True)
        nursery.close()
