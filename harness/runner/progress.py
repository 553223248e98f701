"""What a person sees on stderr while a run goes on: rows as they get ready, and how long it will take."""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

import click

from harness.model import Case, Record
from harness.model.units import amount
from harness.runner.controller import Progress
from harness.runner.plan import Contest
from harness.user_code.raised import innermost

Values = dict[str, tuple[float, ...]]

PAUSE = 15.0
"""Seconds between two lines in a notebook."""


class Watcher(Progress, Protocol):
    """Who also sees finished records, and is open while the run goes on."""

    def recorded(self, record: Record) -> None:
        """A record is on the disk."""


def row(case: Case, values: Values) -> str:
    """One line on a case that is ready: a first estimate of the latency, and what is known exactly."""
    parts = [f"  {case.implementation:<14}"]
    if "latency" in values:
        parts.append(f"about {amount(min(values['latency']), 's'):>8}")
    if "weight_bytes" in values:
        parts.append(f"{amount(values['weight_bytes'][0], 'B'):>9} of weights")
    if "error_sqnr" in values:
        parts.append(f"{amount(values['error_sqnr'][0], 'dB'):>8} SQNR")
    return "  ".join(parts)


class Lines:
    """Plain lines, for logs: one a contest and round, and one a case in the first round."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float]) -> None:
        self._begun = 0
        self._write = write
        self._now = now
        self._start = now()
        self._round = 0

    def began(self, contest: Contest, number: int, left: int) -> None:
        """Name the contest, and say how long the rest will take."""
        self._round = number
        title = contest.cases[0].contest
        self._write(f"[{self._begun + 1}/{self._begun + left}] round {number + 1}  {title}{self.remaining(left)}")
        self._begun += 1

    def remaining(self, left: int) -> str:
        """An estimate from the contests done so far; nothing while there is none."""
        if not self._begun:
            return ""
        seconds = (self._now() - self._start) / self._begun * left
        return f"  at most {seconds:.0f} s left"

    def prepared(self, case: Case, values: Values) -> None:
        """One row, in the first round."""
        if self._round == 0:
            self._write(row(case, values))

    def recorded(self, record: Record) -> None:
        """Nothing for what was measured; the reason for what was not."""
        if record.outcome != "measured":
            where = innermost(record.trace)
            words = f"{record.reason}; in {where}" if where else record.reason
            self._write(f"  {record.case.implementation:<14}  {record.outcome}: {words}")

    def __enter__(self) -> "Lines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is open."""


class Live(Lines):
    """The same rows above a bar with the remaining time, on a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("round {task.fields[round]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
        )
        super().__init__(lambda line: self._bar.console.print(line, markup=False, highlight=False), time.monotonic)
        self._task = self._bar.add_task("", total=None, round=1)

    def began(self, contest: Contest, number: int, left: int) -> None:
        """Name the contest above the bar in the first round, and beside it always."""
        self._round = number
        title = contest.cases[0].contest
        total = self._begun + left
        self._bar.update(self._task, completed=self._begun, total=total, description=title, round=number + 1)
        if number == 0:
            self._write(title)
        self._begun += 1

    def __enter__(self) -> "Live":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class Brief(Lines):
    """A line now and then, for a notebook: its cells are terminals to a program, and keep all that was printed."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float]) -> None:
        super().__init__(write, now)
        self._last = -math.inf
        self._told: set[tuple[str, str]] = set()

    def began(self, contest: Contest, number: int, left: int) -> None:
        """How far it is, if that was not said a short time ago."""
        if self._now() - self._last >= PAUSE:
            self._last = self._now()
            share = self._begun / (self._begun + left)
            self._write(f"round {number + 1}, {share:.0%} done{self.remaining(left)}")
        self._begun += 1

    def prepared(self, case: Case, values: Values) -> None:
        """Nothing."""

    def recorded(self, record: Record) -> None:
        """What was not measured, once an implementation and reason."""
        if (key := (record.case.implementation, record.reason)) not in self._told:
            self._told.add(key)
            super().recorded(record)


def in_notebook(environment: Mapping[str, str]) -> bool:
    """Whether a program with this environment was started by the kernel of a notebook, as `!bitbench run` is."""
    return "JPY_PARENT_PID" in environment or "inline" in environment.get("MPLBACKEND", "")


def watcher(environment: Mapping[str, str] = os.environ) -> AbstractContextManager[Watcher]:
    """A live display on a terminal, a line now and then in a notebook, plain lines elsewhere."""
    if in_notebook(environment):
        return Brief(lambda line: click.echo(line, err=True), time.monotonic)
    if sys.stderr.isatty():
        return Live()
    return Lines(lambda line: click.echo(line, err=True), time.monotonic)
