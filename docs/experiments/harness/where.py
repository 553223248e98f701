"""Where the wall time of a run goes: `python docs/experiments/harness/where.py SUITE [OPTION ...]`.

The words are those of `bitbench run`. The run's table goes to stderr. Prints one JSON line: seconds in all, seconds of
timed loops, seconds from the beginning to the first case that is ready, and seconds by kind of question, and by kind
and contestant. Questions that are answered at the same time count twice.
"""

import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BEGUN = time.perf_counter()

from harness.cli import main  # noqa: E402 - what the program takes to be imported counts, too
from harness.runner.controller import Controller  # noqa: E402
from harness.runner.process import WorkerProcess  # noqa: E402
from harness.store import load  # noqa: E402


class Watch:
    """Sees every question that is put, and its answer."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.by_contestant: Counter[str] = Counter()
        self.first_row = 0.0
        self._asked: dict[int, tuple[str, str, float]] = {}
        self._send, self._receive, self._build = WorkerProcess._send, WorkerProcess._receive, Controller._prepare

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Between the harness and its workers."""
        watch = self

        def send(worker: WorkerProcess, question: Any) -> None:
            name = type(question).__name__
            implementation = getattr(getattr(question, "case", None), "implementation", "")
            watch._asked[id(worker)] = (name, implementation, time.perf_counter())
            watch._send(worker, question)

        def receive(worker: WorkerProcess, *arguments: Any) -> Any:
            answer = watch._receive(worker, *arguments)
            name, implementation, start = watch._asked[id(worker)]
            spent = time.perf_counter() - start
            watch.seconds[name] += spent
            if implementation:
                watch.by_contestant[f"{name} {implementation}"] += spent
            return answer

        def prepare(controller: Controller, *arguments: Any) -> None:
            watch._build(controller, *arguments)
            watch.first_row = watch.first_row or time.perf_counter() - BEGUN

        WorkerProcess._send, WorkerProcess._receive, Controller._prepare = send, receive, prepare  # type: ignore[method-assign]  # for as long as the run takes
        try:
            yield
        finally:
            WorkerProcess._send, WorkerProcess._receive, Controller._prepare = self._send, self._receive, self._build  # type: ignore[method-assign]  # put back


if __name__ == "__main__":
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        with watch.watching(), contextlib.redirect_stdout(sys.stderr):
            code = main(["run", *sys.argv[1:], "--out", str(out)])
        wall = time.perf_counter() - BEGUN
        timed = sum(record.timed for record in load(out).records)
    found = {
        "code": code,
        "wall": round(wall, 2),
        "timed": round(timed, 2),
        "timed_share": round(timed / wall, 3),
        "first_row": round(watch.first_row, 2),
        "questions": {name: round(seconds, 2) for name, seconds in watch.seconds.most_common()},
        "contestants": {name: round(seconds, 2) for name, seconds in watch.by_contestant.most_common(30)},
    }
    print(json.dumps(found))
