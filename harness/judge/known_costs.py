"""What the harness reports of contestants whose cost is known, held against that cost.

A suite of such contestants has two a contest, `once` and `twice`: the second does all that the first does two times.
Its facts say what a call of `once` costs, as `expected_METRIC`.
"""

import math
from collections.abc import Iterable, Iterator

import msgspec

from harness.analysis.pairs import in_one_run
from harness.analysis.results import Result, contests
from harness.analysis.roofline import Standing, Work
from harness.estimators.intervals import Comparison, Summary
from harness.model import Ceilings
from harness.model.metrics import Metric, Sampled

ONCE, TWICE = "once", "twice"
ALLOWED = 0.02
"""How far off a sampled metric may be, and how wide its interval to either side while that can be told."""
EXPECTED = "expected_"
GIGA = 1e9
RATES = (("GFLOP/s", "throughput", "operations"), ("GB/s", "bandwidth", "activation_bytes"))
"""Derived numbers: name, attribute of a `Standing`, and the fact that they come from."""


class CostFinding(msgspec.Struct, frozen=True):
    """One number that was reported, beside the true one. `word` is `yes`, `no` or `too noisy`."""

    contestant: str
    metric: str
    expected: float
    reported: float
    allowed: float
    """Relative error that is allowed; 0 where the number must be exact."""
    half_width: float = 0.0
    """Of the reported number's interval, relative; NaN where it has none."""
    is_ratio: bool = False
    """Whether it is what `twice` reports over what `once` does."""

    @property
    def error(self) -> float:
        """Relative; NaN when nothing was reported."""
        return self.reported / self.expected - 1

    @property
    def word(self) -> str:
        """An exact number is right or wrong. Of a noisy one neither is known, however near it may be."""
        if self.allowed and not self.half_width <= self.allowed and not math.isnan(self.reported):
            return "too noisy"
        return "yes" if abs(self.error) <= self.allowed else "no"


def find(everything: Iterable[Result]) -> list[CostFinding]:
    """Every metric that a contestant's facts tell, of both contestants and of one over the other."""
    found: list[CostFinding] = []
    for members in contests(everything).values():
        by_name = {result.case.implementation: result for result in members}
        once, twice = by_name[ONCE], by_name[TWICE]
        for name, value in once.facts.items():
            if name.startswith(EXPECTED):
                found += _metric(once.known[name.removeprefix(EXPECTED)], float(value), once, twice)
        found += _rates(once, twice)
    return found


def exit_code(findings: Iterable[CostFinding]) -> int:
    """1 when a number is wrong, else 4 when one is too noisy to be judged, else 0. 1 when there is none at all."""
    words = {finding.word for finding in findings}
    return 1 if "no" in words or not words else 4 if "too noisy" in words else 0


def _metric(metric: Metric, expected: float, once: Result, twice: Result) -> Iterator[CostFinding]:
    allowed = ALLOWED if isinstance(metric, Sampled) else 0.0
    values = ((once, expected), (twice, _doubled(metric, expected)))
    sides = [(result, value, result.summary(metric.name)) for result, value in values]
    for result, value, summary in sides:
        reported = summary.centre if summary else math.nan
        yield CostFinding(
            _name(result), metric.name, value, reported, allowed, _half_width(summary) if allowed else 0.0
        )
    (_, one, base), (_, other, head) = sides
    name = f"{_name(once).rpartition(' ')[0]} twice / once"
    if allowed:
        ratio = in_one_run(once, twice)
        yield CostFinding(name, metric.name, other / one, ratio.ratio, allowed, _half_width(ratio), is_ratio=True)
    else:
        reported = head.centre / base.centre if head and base else math.nan
        yield CostFinding(name, metric.name, other / one, reported, allowed, is_ratio=True)


def _doubled(metric: Metric, expected: float) -> float:
    """What `twice` is to report: twice as much, but for a layer twice as large the same bits a weight."""
    return expected if metric.unit == "bit" else 2 * expected


def _rates(once: Result, twice: Result) -> Iterator[CostFinding]:
    """What a second of each is said to do. They do the same work by the suite's facts, `twice` in twice the time."""
    work = Work.of(once.facts, weight_bytes=0.0)
    for result, times in ((once, 1), (twice, 2)) if work else ():
        summary, seconds = result.summary("latency"), times * float(once.facts[f"{EXPECTED}latency"])
        told = Standing.of(work, summary.centre, Ceilings()) if summary and work else None
        for name, attribute, fact in RATES:
            expected, reported = float(once.facts[fact]) / seconds, getattr(told, attribute, math.nan)
            yield CostFinding(_name(result), name, expected / GIGA, reported / GIGA, ALLOWED, _half_width(summary))


def _half_width(interval: Summary | Comparison | None) -> float:
    """Relative; NaN where there is no interval."""
    if interval is None:
        return math.nan
    centre = interval.centre if isinstance(interval, Summary) else interval.ratio
    return max(interval.hi / centre, centre / interval.lo) - 1


def _name(result: Result) -> str:
    return f"{result.case.params.get('work', result.case.suite)} {result.case.implementation}"
