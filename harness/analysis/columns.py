"""What is said of a result in numbers, declared once: a column has a key, a heading, a unit, and a reading a result.

Tables of the terminal (`show.results`), of the report (`show.report.tables`) and frames render these; none of them
knows how a number comes about.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from harness.analysis.convergence import Convergence
from harness.analysis.results import Result
from harness.analysis.roofline import Standing, standing
from harness.analysis.view import View
from harness.analysis.words import speedup
from harness.model.metrics import Metric
from harness.model.units import figure, spread


def _nothing() -> str:
    return ""


class Reading(NamedTuple):
    """What one result has in one column. Words are made when they are asked for: frames have numbers alone."""

    value: float | str
    """In the column's unit, or a word."""
    lo: float = math.nan
    hi: float = math.nan
    n: int = 0
    """Rounds, or units, behind the interval."""
    says: Callable[[], str] = _nothing
    says_spread: Callable[[], str] = _nothing

    @property
    def text(self) -> str:
        """Number, unit and interval as people read them."""
        return self.says()

    @property
    def spread(self) -> str:
        """The interval alone; empty where there is nothing to say of it."""
        return self.says_spread()


@dataclass(frozen=True)
class ResultColumn:
    """One column. `read` is None of a result that has nothing in it."""

    key: str
    """As in frames and in CSV."""
    heading: str
    """For people; a line may end at a space."""
    unit: str
    """Empty for words."""
    read: Callable[[Result], Reading | None]
    size: float = 1.0
    """Of the unit that people read it in, in base units."""
    unit_for_people: str = ""
    digits: int = 3


def metric_columns(metrics: Iterable[Metric]) -> list[ResultColumn]:
    """A column a metric, in their order."""
    return [ResultColumn(metric.name, metric.label, metric.unit, _of_metric(metric)) for metric in metrics]


def speedup_columns(view: View, baselines: Sequence[str]) -> list[ResultColumn]:
    """How many times as fast as each of `baselines`: one over the ratio of latencies, paired by round."""

    def column(base: str) -> ResultColumn:
        def read(result: Result) -> Reading | None:
            ratio = view.ratios.get((result.name, base))
            if ratio is None:
                return None
            has_spread = ratio.ratio > 0 and result.case.implementation != base
            width = partial(spread, ratio.ratio, ratio.hi) if has_spread else _nothing
            rounds = min(ratio.baseline.n, ratio.candidate.n)
            return Reading(*ratio.inverse, rounds, partial(speedup, ratio), width)

        return ResultColumn(f"speedup_{base}", f"vs {base}", "1", read)

    return [column(base) for base in baselines]


def standing_columns(view: View) -> list[ResultColumn]:
    """What a latency means in bytes and operations a second, and how near that is to what the machine can do.

    All but the intensity have the latency's interval, upside down.
    """
    known: dict[str, Standing | None] = {}
    ceilings = view.stored.run.ceilings

    def of(result: Result) -> Standing | None:
        if ceilings and result.name not in known:
            known[result.name] = standing(result, ceilings)
        return known.get(result.name)

    def column(
        key: str, heading: str, unit: str, value: Callable[[Standing], float | str], **shown: object
    ) -> ResultColumn:
        def read(result: Result) -> Reading | None:
            found = of(result)
            latency = result.summary("latency") if found else None
            if found is None or latency is None:
                return None
            here = value(found)
            if isinstance(here, str):
                return Reading(here, says=partial(str, here))
            if key == "intensity":
                return Reading(here, here, here, latency.n)
            lo, hi = (here * (latency.centre / bound) for bound in (latency.hi, latency.lo))
            text = partial(_share, found) if key == "ceiling_share" and found.ceiling else _nothing
            return Reading(here, lo, hi, latency.n, text)

        return ResultColumn(key, heading, unit, read, **shown)  # type: ignore[arg-type]  # how it is shown, by name

    return [
        column("bandwidth", "reads", "B/s", lambda found: found.bandwidth, size=1e9, unit_for_people="GB/s"),
        column("throughput", "computes", "1/s", lambda found: found.throughput, size=1e9, unit_for_people="GFLOP/s"),
        column("intensity", "intensity", "1/B", lambda found: found.intensity, unit_for_people="FLOP/B"),
        column("ceiling_share", "of ceiling", "1", lambda found: found.share, size=0.01, unit_for_people="%", digits=2),
        column("ceiling", "ceiling", "", lambda found: found.ceiling),
    ]


def effort_columns(view: View) -> list[ResultColumn]:
    """How a contest ended, how many rounds and samples it took, and how precise it became."""

    def column(key: str, heading: str, unit: str, value: Callable[[Convergence], float | str]) -> ResultColumn:
        def read(result: Result) -> Reading | None:
            found = view.reached.get(result.case)
            here = value(found) if found else ""
            return None if here == "" else Reading(here, says=partial(str, here))

        return ResultColumn(key, heading, unit, read)

    return [
        column("state", "ended", "", lambda found: found.state),
        column("rounds", "rounds", "1", lambda found: found.rounds),
        column("samples", "samples", "1", lambda found: found.samples),
        column("precision", "precision", "1", lambda found: found.precision),
    ]


def _of_metric(metric: Metric) -> Callable[[Result], Reading | None]:
    width_of = metric.spread if metric.has_interval else None

    def read(result: Result) -> Reading | None:
        summary = result.summary(metric.name)
        if summary is None:
            return None
        width = partial(width_of, summary) if width_of else _nothing
        return Reading(summary.centre, summary.lo, summary.hi, summary.n, partial(metric.format, summary), width)

    return read


def _share(found: Standing) -> str:
    """`38% memory`."""
    return f"{figure(100 * found.share, 2)}% {found.ceiling}"
