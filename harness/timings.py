"""What timing several calls against each other gives: raw values, and for people medians and ratios with intervals."""

import statistics
from dataclasses import dataclass
from typing import TypeVar

from harness.metric import METRICS
from harness.model import Comparison, Measurement
from harness.quantity import amount, speedup
from harness.stats import paired_ratio
from harness.table import Block, Column, Table, html, render

Name = TypeVar("Name")

FOOT = (
    "vs: speed-up, paired by block, above 1 is faster; ±: 95 % confidence interval over the blocks of this process\n"
    "another process may find other values: `bitbench run` measures in several"
)


@dataclass(frozen=True, repr=False)
class Timing:
    """Raw values of one member: seconds per call, in the order taken, each over `iterations` calls."""

    values: tuple[float, ...]
    iterations: int
    blocks: tuple[int, ...] = ()
    """The block that each value was taken in."""

    @property
    def median(self) -> float:
        """Median seconds per call. A point estimate: one process gives no honest interval."""
        return statistics.median(self.values)

    def by_block(self) -> dict[int, Measurement]:
        """The values of each block."""
        values: dict[int, list[float]] = {}
        for block, value in zip(self.blocks, self.values, strict=True):
            values.setdefault(block, []).append(value)
        return {block: Measurement("latency", tuple(some), self.iterations) for block, some in values.items()}

    def __str__(self) -> str:
        return f"{amount(self.median, 's')} per call ({self.effort})"

    def __repr__(self) -> str:
        return f"<Timing: {self}>"

    @property
    def effort(self) -> str:
        """What the median rests on."""
        return f"median of {len(self.values)} samples of {self.iterations} call{'s' * (self.iterations > 1)}"


class Timings(dict[Name, Timing]):
    """A timing by name, which shows as a table: the first is what the others are compared with."""

    def ratio(self, name: Name, base: Name | None = None) -> Comparison:
        """Seconds of `name` over those of `base`, by default the first, with the interval over their common blocks."""
        one = next(iter(self)) if base is None else base
        return paired_ratio(METRICS["latency"], self[one].by_block(), self[name].by_block())

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
