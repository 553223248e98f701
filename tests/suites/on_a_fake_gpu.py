"""`python -m tests.suites.on_a_fake_gpu ARGUMENT...`: `bitbench`, whose workers see a fake CUDA GPU."""

import sys
from functools import partial

from harness import cli
from harness.runner import pool, process
from harness.runner.process import WorkerProcess

SEEING_ONE = partial(WorkerProcess, program="tests.suites.fake_gpu_worker")

if __name__ == "__main__":
    pool.WorkerProcess = process.WorkerProcess = SEEING_ONE  # type: ignore[misc,assignment]  # it is called and no more
    sys.exit(cli.main())
