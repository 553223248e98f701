"""A worker of Dask whose runs are made by swift workers: `--preload tests.harness.fakes.swift_fleet`.

`python -m tests.harness.fakes.swift_fleet WORD...` is `bitbench WORD...` over workers that make their answers up.
"""

import sys
from functools import partial

from harness import cli
from harness.runner import pool, process
from harness.runner.fleet import on_machine
from harness.runner.process import WorkerProcess
from tests.harness.fakes.killable_runs import ROOT

BEGIN = (
    "import sys; sys.path.insert(0, sys.argv.pop(1));"
    " from tests.harness.fakes.swift_fleet import main; sys.exit(main())"
)


def dask_setup(worker: object) -> None:
    """Called by Dask when its worker begins."""
    on_machine.PROGRAM = (sys.executable, "-P", "-c", BEGIN, str(ROOT))


def main() -> int:
    pool.can_fork = lambda: False  # the template of forks imports torch
    swift = partial(WorkerProcess, program="tests.harness.fakes.swift_worker")
    pool.WorkerProcess = swift  # type: ignore[misc,assignment]  # the whole command, with another worker
    process.WorkerProcess = swift  # type: ignore[misc,assignment]  # of `bitbench env`
    return cli.main(sys.argv[1:])
