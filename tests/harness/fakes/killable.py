"""`python -m tests.harness.fakes.killable swift|real LOG ARGUMENT...`: the command line, over any package of suites.

Every record is named in LOG as soon as the store has said that it is kept, so that a test can tell which ones may not
be lost, whenever this process is killed.
"""

import os
import sys
from collections.abc import Sequence
from functools import partial

from harness import cli, store
from harness.model import Record
from harness.runner import pool
from harness.runner.process import WorkerProcess


def acknowledge(path: str) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    append_all = store.Writer.append_all

    def append_and_tell(self: store.Writer, records: Sequence[Record]) -> None:
        append_all(self, records)
        os.write(log, b"".join(f"{record.case.name}\t{record.round}\n".encode() for record in records))

    store.Writer.append_all = append_and_tell  # type: ignore[method-assign]  # to be told of every record


def main() -> int:
    worker, log, *arguments = sys.argv[1:]
    if worker == "swift":
        swift = partial(WorkerProcess, program="tests.harness.fakes.swift_worker")
        pool.WorkerProcess = swift  # type: ignore[misc,assignment]  # `unittest.mock` would take longer than the run
    acknowledge(log)
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
