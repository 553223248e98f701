"""What is known of one layer under one circumstance: the best that quantises against the plain linear layers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.analysis.intervals import Comparison
from harness.analysis.pairs import in_one_run
from harness.analysis.results import Result
from harness.analysis.view import View
from harness.analysis.words import is_known
from harness.model.units import figure
from harness.show.report.answers import contest
from harness.show.report.answers.questions import ContestAnswer

NEAR = 1.5
"""A ratio up to which two are near each other: nothing that is further away is called within noise."""
SAME = 1.05
"""A ratio up to which no difference is worth a word."""
_CIRCUMSTANCES = {"m": "for {} tokens", "threads": "with {} threads", "cache": "with {} weights"}
NAMES = {"m": "the number of tokens M", "threads": "the number of threads", "cache": "the cache regime"}
"""Params that a layer meets in use: one sentence speaks of all of them, as any of them may change the answer."""

Advice: TypeAlias = Literal["use", "perhaps", "keep", "unknown"]


@dataclass(frozen=True)
class Point:
    """One contest. All comparisons are the best's latency over that of the other."""

    circumstance: str
    best: Result
    alike: tuple[str, ...]
    """Others that quantise and are within noise of it."""
    baseline: str
    over: Comparison
    """Over the baseline."""
    plain: str
    """The fastest plain linear layer."""
    over_plain: Comparison
    is_known: bool
    """Whether there is a fastest one at all."""

    @property
    def name(self) -> str:
        """Of the best."""
        return self.best.case.implementation

    @property
    def advice(self) -> Advice:
        """What to do for speed. A plain linear layer that is ahead is kept, by however few rounds."""
        if self.over_plain.ratio >= 1:
            return "keep"
        if not self.is_known:
            return "unknown"
        no_interval = math.isnan(self.over_plain.hi)
        sure = self.over_plain.ratio * NEAR < 1 if no_interval else self.over_plain.hi < 1
        return "use" if sure else "perhaps"


def point(members: Sequence[Result], fastest: ContestAnswer, varied: Sequence[str], view: View) -> Point | None:
    """Of the measured members of a contest; None unless something that quantises was timed beside a baseline."""
    timed = [result for result in members if _latency(result) > 0]
    others = [result for result in timed if not result.is_baseline]
    if not others:
        return None
    ahead = [result for result in others if result.case.implementation in fastest.winners]
    best = min(ahead or others, key=_latency)
    plain = [one for one in timed if one.is_baseline and in_one_run(one, best).ratio > 0]
    names = {result.case.implementation: result for result in plain}
    base = next((names[name] for name in view.baselines if name in names), None)
    if base is None:
        return None
    quickest = min(plain, key=_latency)
    near = [one for one in ahead if one is not best and in_one_run(best, one).ratio <= NEAR]
    params = members[0].case.params
    return Point(
        circumstance=" ".join(_circumstance(key, params.get(key)) for key in varied),
        best=best,
        alike=tuple(one.case.implementation for one in near),
        baseline=base.case.implementation,
        over=in_one_run(base, best),
        plain=quickest.case.implementation,
        over_plain=in_one_run(quickest, best),
        is_known=bool(ahead),
    )


def pace(ratio: float, than: str = "") -> str:
    """A ratio of latencies in words: `12× faster than linear-bf16`, `78× slower`, `as fast as linear-bf16`."""
    factor = max(ratio, 1 / ratio)
    if factor < SAME:
        return f"as fast{f' as {than}' if than else ''}"
    return f"{times(factor)} {'slower' if ratio > 1 else 'faster'}{f' than {than}' if than else ''}"


def measured_pace(over: Comparison, than: str = "") -> str:
    """`pace`, without the factor where its interval says nothing (`quantity.is_known`)."""
    if is_known(over.ratio, over.hi):
        return pace(over.ratio, than)
    word = "faster" if over.hi < 1 else "slower" if over.lo > 1 else ""
    beside = f" than {than}" if than else ""
    return f"{word}{beside} by an unknown factor" if word else f"not known to be faster or slower{beside}"


def times(factor: float) -> str:
    """`12×`, `2.1×`."""
    return f"{figure(factor, 2).removesuffix('.0')}×"


def _circumstance(key: str, value: object) -> str:
    if value == 1:
        return {"m": "for one token", "threads": "with one thread"}.get(key, _CIRCUMSTANCES[key].format(value))
    return _CIRCUMSTANCES[key].format(value)


def _latency(result: Result) -> float:
    return contest.centre(result, contest.LATENCY)
