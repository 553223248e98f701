"""What a person sees on stderr while a gate goes on: what it has so far, every twenty seconds and after every look."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping

import msgspec

from harness.analysis.intervals import log_ratio
from harness.analysis.results import valid
from harness.analysis.words import percent_change
from harness.judge.judge import Judgement
from harness.model import Record, Side

EVERY = 20.0
"""Seconds between two lines."""


class Narrator:
    """Plain lines, on a terminal as in a log."""

    def __init__(self, write: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._now = now
        self._said = now()
        self._shifts: dict[str, list[float]] = {}

    def measured(self, number: int, done: int, of: int, records: Mapping[Side, Record]) -> None:
        """A line now and then: how far it is, and the case that has moved most so far."""
        for side, record in records.items():
            if record.outcome != "measured":
                self._write(f"  {side}: {record.case.name}: {record.outcome.replace('_', ' ')}: {record.reason}")
        taken = [valid(record, "latency") for record in records.values()]
        if len(taken) == 2 and all(one.values for one in taken):
            self._shifts.setdefault(next(iter(records.values())).case.name, []).append(log_ratio(*taken, apart=True))
        if self._now() - self._said >= EVERY:
            self._say(f"round {number + 1}, {done} of {of} cases; so far {self._furthest()}")

    def looked(self, rounds: int, judgement: Judgement, going_on: int) -> None:
        """A line after every look."""
        counts = Counter(verdict.word.replace("_", " ") for verdict in judgement.verdicts if verdict and verdict.looks)
        told = ", ".join(f"{count} {word}" for word, count in counts.most_common())
        mean = judgement.geometric_mean
        parts = [f"after {rounds} rounds: {told or 'no latency judged'}"]
        if mean is not None and mean.change is not None:
            parts.append(f"geometric mean {percent_change(*msgspec.structs.astuple(mean.change))}")
        if moved := judgement.moved:
            parts.append(f"the environment is invalid: {moved.case.implementation} moved, whose code is the same")
        if going_on:
            parts.append(f"{going_on} case{'s go' if going_on > 1 else ' goes'} on")
        self._say("; ".join(parts))

    def _say(self, line: str) -> None:
        self._write(line)
        self._said = self._now()

    def _furthest(self) -> str:
        """The case that has moved most, by the mean of its rounds."""
        means = {name: sum(logs) / len(logs) for name, logs in self._shifts.items()}
        usable = {name: mean for name, mean in means.items() if math.isfinite(mean)}
        if not usable:
            return "nothing is timed"
        name = max(usable, key=lambda one: abs(usable[one]))
        rounds = len(self._shifts[name])
        change = percent_change(math.expm1(usable[name]))
        return f"the largest change is {change} in {rounds} round{'s' * (rounds > 1)}: {name}"
