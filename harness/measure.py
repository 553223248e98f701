"""Timing: a clock, a budget and callables become raw values, in the order taken, in seconds per call.

Usable in a notebook, in one process:

    from harness.measure import interleave
    timings = interleave({"fp32": lambda: linear(x), "bit": lambda: layer(x)}, seconds=2.0)
    timings                         # a table: medians, and speed-ups over the first with their intervals
    timings["bit"].values           # seconds per call
"""

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from harness.analysis.words import speedup
from harness.estimators.intervals import Comparison
from harness.model.metrics import METRICS
from harness.model.units import amount
from harness.runner.schedule import Timing, Visit, calibrate, take_turns
from harness.show.table import Block, Column, Table, html, render
from harness.worker.layout import Layout
from harness.worker.visit import Call, Clock, WallClock, visit

Name = TypeVar("Name")


FOOT = (
    "vs: speed-up, paired by block, above 1 is faster; ±: 95 % confidence interval over the blocks of this process\n"
    "another process may find other values: `bitbench run` measures in several"
)


class Timings(dict[Name, Timing]):
    """A timing by name, which shows as a table: the first is what the others are compared with."""

    def ratio(self, name: Name, base: Name | None = None) -> Comparison:
        """Seconds of `name` over those of `base`, by default the first, with the interval over their common blocks."""
        one = next(iter(self)) if base is None else base
        return METRICS["latency"].compare(self[one].by_block(), self[name].by_block(), paired=True)

    def __repr__(self) -> str:
        return render(self._page(), "text")

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return html(self._page())

    def _page(self) -> list[Block]:
        if not self:
            return ["nothing was timed"]
        first = next(iter(self))
        columns = (Column(""), Column("per call", "right"), Column(f"vs {first}", "right"), Column(""))
        rows = [
            (str(name), amount(timing.median, "s"), "1x" if name == first else self._speedup(name), timing.effort)
            for name, timing in self.items()
        ]
        return [Table("", columns, rows), FOOT]

    def _speedup(self, name: Name) -> str:
        return speedup(self.ratio(name)) if self[name].blocks and next(iter(self.values())).blocks else ""


def interleave(
    calls: Mapping[str, Call],
    *,
    seconds: float = 1.0,
    sample: float = 0.005,
    seed: int = 0,
    clock: Clock | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> Timings[str]:
    """Time several calls against each other in this process, for about `seconds` in all.

    Raises ValueError for what is no name to call mapping, and for times that are not above 0.
    """
    _require_calls(calls, seconds, sample)
    chosen = clock or WallClock()

    def take(name: str, turn: Visit) -> Sequence[float]:
        return visit(chosen, calls[name], *turn)[0]

    loops = {name: calibrate(take, name, sample) for name in calls}
    return Timings(take_turns(take, loops, seconds=seconds, sample=sample, rng=random.Random(seed), now=now))


def interleave_builds(
    builds: Mapping[str, Callable[[], Call]],
    *,
    seconds: float = 1.0,
    sample: float = 0.005,
    seed: int = 0,
    clock: Clock | None = None,
    now: Callable[[], float] = time.perf_counter,
) -> Timings[str]:
    """As `interleave`, of calls that are built anew now and then, so that where they lie in memory averages out."""
    _require_calls(builds, seconds, sample)
    chosen = clock or WallClock()
    calls: dict[str, Call] = {}
    layouts: dict[str, Layout] = {}

    def build(name: str) -> Call:
        call = builds[name]()
        call()
        return call

    def take(name: str, turn: Visit) -> Sequence[float]:
        if layouts[name].is_due:
            calls[name] = layouts[name].rebuild(lambda: build(name), now)
        values, _ = visit(chosen, calls[name], *turn)
        layouts[name].timed += sum(values) * turn.iterations
        return values

    for name in builds:
        start = now()
        calls[name] = build(name)
        layouts[name] = Layout(now() - start)
    loops = {name: calibrate(take, name, sample) for name in builds}
    return Timings(take_turns(take, loops, seconds=seconds, sample=sample, rng=random.Random(seed), now=now))


def _require_calls(calls: object, seconds: float, sample: float) -> None:
    if not isinstance(calls, Mapping) or not calls or not all(map(callable, calls.values())):
        raise ValueError(f"{calls!r} is no mapping of names to calls; give {{'mine': lambda: mine(x), ...}}")
    if not (0 < seconds < math.inf and 0 < sample < math.inf):
        raise ValueError(f"{seconds=}, {sample=}; give seconds above 0")
