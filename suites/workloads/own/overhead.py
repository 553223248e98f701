"""The harness's own commands, each called in a process of its own, on records that are made up."""

import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch

from harness.errors import UsageError
from harness.model import ROLE, Case, Environment, Measurement, Params, Record, Request, Revision, Run
from harness.model.codec import encode
from harness.model.metrics import METRICS
from harness.model.workload import Check, Prepared, Workload
from harness.store import runs
from harness.worker.visit import WallClock, visit
from suites import latency, quick

BITBENCH = (sys.executable, "-m", "harness.cli")
SMALL = 132
"""Records of a run of `quick`."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LAYERS = ("linear-fp32", "linear-bf16", "eager", "int8")


def made_up_run(directory: Path, records: int) -> Path:
    """A run of `records` records in `directory`: three rounds, no measurement of anything."""
    run = Run(
        id=f"made-up-{records}",
        started="2026-01-01T00:00:00Z",
        request=Request(suites=("quick",)),
        order="made up",
        environment=Environment(cpu_model="made up", torch="made up"),
        revision=Revision(),
    )
    directory.mkdir()
    lines = [encode(run), *(encode(record) for record in _made_up_records(records))]
    (directory / runs.FILE_NAME).write_bytes(b"\n".join(lines) + b"\n")
    return directory


def _made_up_records(count: int) -> Iterator[Record]:
    rng = random.Random(0)
    for index in range(count):
        number, point = index % 3, index // 3
        params = {"m": point // len(LAYERS) + 1, "n": 2560, "k": 2560, "scheme": "w1.58a8", "dtype": "float32"}
        layer = LAYERS[point % len(LAYERS)]
        case = Case.of("quick", layer, {**params, "device": "cpu", "threads": 2})
        role: Params = {ROLE: "baseline"} if layer.startswith("linear") else {}
        yield Record(
            case,
            number,
            "measured",
            measurements=tuple(
                Measurement(name, tuple(rng.uniform(1.0, 1.1) * 1e-3 for _ in range(20 if name == "latency" else 1)))
                for name in quick.SUITE.metric_names
                if METRICS[name].repeats or number == 0
            ),
            facts={"weight_bits": 1.58, "activation_bits": 8, "groups": 1, **role},
        )


class Bitbench(Prepared):
    """A command of the harness. What it needs is made in a folder of its own."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bitbench-overhead-")
        self.folder = Path(self._folder.name)

    def check(self, metrics: frozenset[str]) -> Check:
        """A command that fails raises when it is called; there is nothing else to be wrong."""
        return Check()


class Shell(Bitbench):
    """A whole command, from the shell's point of view.

    RUN and OUT in its words stand for a run of so many made-up `records` and a file to write.
    """

    def __init__(self, records: int, *words: str) -> None:
        super().__init__()
        self.out = self.folder / "report.html"
        names = {"OUT": str(self.out)}
        if records:
            names["RUN"] = str(made_up_run(self.folder / "run", records))
        self._words = tuple(names.get(word, word) for word in words)

    def __call__(self) -> None:
        """Run it to its end."""
        _run(*self._words)


class Opening(Bitbench):
    """A browser that starts, shows a page and ends; the page is a report of so many `records`, or empty."""

    def __init__(self, browser: str, records: int) -> None:
        super().__init__()
        page = "about:blank"
        if records:
            file = self.folder / "report.html"
            _run("report", str(made_up_run(self.folder / "run", records)), "-o", str(file))
            page = file.as_uri()
        self._words = (browser, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", page)

    def __call__(self) -> None:
        """It ends when the page is loaded and its script has run."""
        subprocess.run(self._words, check=True, capture_output=True)


class FirstRow(Bitbench):
    """`bitbench run quick` until its first row is on the screen."""

    def __call__(self) -> str:
        """Start it, wait for the row, end it."""
        words = (*BITBENCH, "run", "quick", "--out", str(self.folder / str(time.monotonic_ns())))
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            row = next((line for line in process.stderr if line.startswith("  ")), "")
            process.kill()
        if not row:
            raise RuntimeError("bitbench run quick ended before its first row")
        return row


class LatencySuite(Bitbench):
    """The `latency` suite without `compiled`: how much of its wall time is inside timed regions."""

    def __call__(self) -> None:
        """Nothing: the suite is run when the share is asked for."""

    def check(self, metrics: frozenset[str]) -> Check:
        """Run it, and add up."""
        start = time.perf_counter()
        _run("run", latency.SUITE.name, "-k", "not compiled", "--rounds", "3", "--out", str(self.folder / "latency"))
        wall = time.perf_counter() - start
        return Check({"timed_share": sum(r.timed for r in runs.load(self.folder / "latency").records) / wall})


class TimingLoop(Prepared):
    """What the loop around a call adds to it, for the shortest call of `quick`: one token through a float32 layer."""

    def __init__(self) -> None:
        self._layer = torch.nn.Linear(2560, 2560, bias=False)
        self._x = torch.randn(1, 2560)

    def __call__(self) -> torch.Tensor:
        """The call that is timed."""
        output: torch.Tensor = self._layer(self._x)
        return output

    @property
    def timed(self) -> Callable[[], torch.Tensor]:
        """Without a function of ours: that would be taken for a part of the call."""
        return partial(self._layer, self._x)

    def check(self, metrics: frozenset[str]) -> Check:
        """The loop is timed around the cheapest callable there is, whose own cost is counted as the loop's."""
        sample = quick.SUITE.budget.sample
        empty = _least(int, 1, samples=1000), _least(int, 100_000, samples=5)
        each = _least(self.timed, 8, samples=20)
        iterations = max(1, round(sample / each))
        return Check({"loop_share": (empty[0] + empty[1] * iterations) / (each * iterations)})


class Report(Shell):
    """The size of a report of so many made-up `records`."""

    def __init__(self, records: int) -> None:
        super().__init__(records, "report", "RUN", "-o", "OUT")

    def check(self, metrics: frozenset[str]) -> Check:
        """In bytes."""
        self()
        return Check({"report_bytes": self.out.stat().st_size})


class Command(Workload):
    """The contestants of `overhead`."""

    def why_not(self) -> str | None:
        """What opens a page needs a browser."""
        if not self.case.implementation.startswith("open-") or _browser():
            return None
        return f"needs a browser: {' or '.join(BROWSERS)}; `make browser` installs one"

    def build(self) -> Prepared:
        """The one that the case names. Raises UsageError for any other name."""
        match self.case.implementation:
            case "help":
                return Shell(0, "--help")
            case "show":
                return Shell(SMALL, "show", "RUN")
            case "compare" | "gate" as command:
                return Shell(SMALL, command, "RUN", "RUN")
            case "report-10000" | "report-100000":
                return Shell(_records(self.case), "report", "RUN", "-o", "OUT")
            case "open-nothing":
                return Opening(_browser(), 0)
            case "open-report-5000":
                return Opening(_browser(), _records(self.case))
            case "first-row":
                return FirstRow()
        raise UsageError(f"suite overhead has no contestant {self.case.implementation!r}")


class Share(Workload):
    """The contestants of `overhead-share`."""

    def build(self) -> Prepared:
        """The one that the case names. Raises UsageError for any other name."""
        match self.case.implementation:
            case "latency-suite":
                return LatencySuite()
            case "timing-loop":
                return TimingLoop()
            case "report-5000" | "report-10000" | "report-100000":
                return Report(_records(self.case))
        raise UsageError(f"suite overhead-share has no contestant {self.case.implementation!r}")


def _browser() -> str:
    return next(filter(None, map(shutil.which, BROWSERS)), "")


def _records(case: Case) -> int:
    """How many the contestant's name ends in."""
    return int(case.implementation.rpartition("-")[2])


def _least(call: Callable[[], object], iterations: int, samples: int) -> float:
    """Seconds per call of the shortest of `samples` samples."""
    values, _ = visit(WallClock(), call, iterations, samples)
    return min(values)


def _run(*words: str) -> None:
    """Run bitbench; raises RuntimeError with its last line when it fails."""
    done = subprocess.run([*BITBENCH, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"bitbench {' '.join(words)} failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}"
        )
