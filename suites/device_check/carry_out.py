"""Runs the steps of a plan as processes, within one limit of time; what has ended is told after every step."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import psutil

from harness.errors import NothingMeasuredError
from harness.gate.runs import is_gate
from harness.store import FILE_NAME
from suites.device_check.plan import OUT, RUNS, SECONDS, PlannedStep, Stage, steps

PROGRAMS: Mapping[str, tuple[str, ...]] = {
    "bitbench": (sys.executable, "-m", "harness.cli"),
    "pytest": (sys.executable, "-m", "pytest"),
}
LEAST = 2.0
"""Seconds with which nothing is begun."""
START, GIVEN = 8.0, 0.85
"""Seconds that a program takes to begin, and the part of the rest that it is told: what it began before its end is to
come to an end of its own."""
GRACE = 5.0
"""Seconds that an interrupted step has for that."""
POLL = 0.05
"""Seconds between two looks at the processes."""
LAST = 5
"""Lines of what a step said that are kept in the table of steps; its log has all."""

Outcome = Literal["done", "failed", "cut", "skipped"]


class Ended(msgspec.Struct, frozen=True):
    """What came of a step."""

    step: str
    outcome: Outcome
    reason: str = ""
    """Empty when it is done."""
    code: int | None = None
    """Its exit code; None where it was not begun, or was ended."""
    seconds: float = 0.0
    limit: float = 0.0
    """Seconds that it might take."""
    command: str = ""
    said: tuple[str, ...] = ()
    """The last lines on stderr."""


@dataclass
class DeviceCheck:
    """A check that is carried out in the folder `out`."""

    out: Path
    stages: Sequence[Stage]
    budget: float
    """Seconds for all stages."""
    told: Callable[[Sequence[Ended]], object]
    """Sees all that has ended, whenever something has."""
    programs: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: PROGRAMS)
    ended: list[Ended] = field(default_factory=list)

    def carry_out(self) -> list[Ended]:
        """What came of each step. What is running when this is interrupted is ended with it, and told as cut."""
        deadline = time.monotonic() + self.budget
        (self.out / "logs").mkdir(parents=True, exist_ok=True)
        for index, stage in enumerate(self.stages):
            left = deadline - time.monotonic()
            limit = left * stage.share / sum(later.share for later in self.stages[index:])
            self._carry_out(stage, limit)
        return self.ended

    def _carry_out(self, stage: Stage, limit: float) -> None:
        running: list[Running] = []
        try:
            for step in stage.steps:
                if why_not := self._why_not(step, limit):
                    self._end(Ended(step.name, "skipped", why_not))
                else:
                    running.append(Running(step, self.out, tuple(self._words(step, limit)), limit))
            while running:
                over = [one for one in running if one.is_over]
                for one in over:
                    one.interrupt()  # all of them, before anybody waits for one
                for one in over:
                    running.remove(one)
                    self._end(one.end())
                time.sleep(POLL)
        finally:
            for one in running:
                one.interrupt()
            for one in running:
                self._end(one.end("interrupted"))

    def _why_not(self, step: PlannedStep, limit: float) -> str:
        if RUNS in step.words and not self._runs():
            return "no step has left a run"
        return step.why_not or ("no time was left" if limit < LEAST else "")

    def _end(self, ended: Ended) -> None:
        self.ended.append(ended)
        with (self.out / "steps.jsonl").open("ab") as file:
            file.write(msgspec.json.encode(ended) + b"\n")
        self.told(self.ended)

    def _words(self, step: PlannedStep, limit: float) -> Iterator[str]:
        program, *words = step.words
        yield from self.programs[program]
        for word in words:
            if word == RUNS:
                yield from map(str, self._runs())
            elif word == SECONDS:
                yield f"{max(1.0, GIVEN * (limit - START)):.0f}s"
            else:
                yield f"{self.out}/{word.removeprefix(f'{OUT}/')}" if word.startswith(f"{OUT}/") else word

    def _runs(self) -> list[Path]:
        """What the steps before have left for the report."""
        places = [self.out / step.reported for step in steps(self.stages) if step.reported]
        return [place for place in places if (place / FILE_NAME).exists() or is_gate(place)]


class Running:
    """A step that has begun: a process in a session of its own, and its log."""

    def __init__(self, step: PlannedStep, out: Path, words: Sequence[str], limit: float) -> None:
        self._step, self._words, self._limit = step, words, limit
        self._log = out / "logs" / f"{step.name}.err"
        self._began = time.monotonic()
        self._interrupted = 0.0
        """When; 0 if it was not."""
        self._started: list[psutil.Process] = []
        with ExitStack() as files:
            prints = files.enter_context((out / (step.prints or f"logs/{step.name}.out")).open("wb"))
            says = files.enter_context(self._log.open("wb"))
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=prints, stderr=says, start_new_session=True
            )

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or has had its time."""
        return self._process.poll() is not None or time.monotonic() - self._began >= self._limit

    def interrupt(self) -> None:
        """Ask it to end as Ctrl-C does, so that what it has measured is written; nothing where it has ended."""
        if self._process.poll() is None and not self._interrupted:
            self._interrupted = time.monotonic()
            with suppress(psutil.NoSuchProcess):
                self._started = psutil.Process(self._process.pid).children(recursive=True)
            self._process.send_signal(signal.SIGINT)

    def end(self, why: str = "") -> Ended:
        """What came of it. One that was interrupted has GRACE seconds, and is then ended with all that it started."""
        if self._interrupted:
            self._kill()
            return self._ended("cut", why or f"it had not ended after {self._limit:.0f} s", code=None)
        code = self._process.wait()
        said = self._said()
        if code == NothingMeasuredError.exit_code:
            return self._ended("skipped", said[-1] if said else "nothing was measured", code)
        if code in (0, 1):
            return self._ended("done", "", code)
        return self._ended("failed", said[-1] if said else f"it ended with {code} and said nothing", code)

    def _kill(self) -> None:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, self._interrupted + GRACE - time.monotonic()))
        for one in self._started:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _ended(self, outcome: Outcome, reason: str, code: int | None) -> Ended:
        seconds = time.monotonic() - self._began
        command = shlex.join(self._step.words)
        return Ended(self._step.name, outcome, reason, code, seconds, self._limit, command, tuple(self._said()))

    def _said(self) -> list[str]:
        lines = self._log.read_text(errors="replace").splitlines()
        return [line.strip()[:300] for line in lines if line.strip()][-LAST:]
