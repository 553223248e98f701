"""From comparisons to verdicts: does the candidate regress against the baseline, and what is the exit code.

Nothing that was not measured, cannot be compared or is not a number ever counts as a pass.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.compare import Pair, match
from harness.environment import differences
from harness.metric import KINDS, Metric
from harness.model import Comparison, Verdict, Word
from harness.quantity import amount, change, distinct_amounts, slower
from harness.results import Result, results
from harness.stats import ONE_ROUND, rounds_needed, within_tolerance
from harness.store import StoredRun

MARGIN = 0.05
_MOST_ROUNDS = 60
"""More than anybody would wait for."""

Policy: TypeAlias = Literal["pr", "release"]
"""Under `release` an inconclusive row fails the gate; under `pr` it is shown."""

Judged: TypeAlias = tuple[Word, str]
"""A word and its reason."""


@dataclass(frozen=True)
class Judgement:
    """Everything that was held side by side, and what became of it."""

    pairs: Sequence[Pair]
    verdicts: Sequence[Verdict | None]
    """One a pair; None for metrics that are shown and never judged."""
    differing: Sequence[str]
    """Why latencies may not be compared; empty when they may be."""
    margin: float

    @property
    def judged(self) -> list[Verdict]:
        """The verdicts alone."""
        return [verdict for verdict in self.verdicts if verdict is not None]


def judge_runs(
    baseline: StoredRun, candidate: StoredRun, metrics: Collection[str], margin: float = MARGIN
) -> Judgement:
    """Hold two runs side by side, limited to `metrics`, and judge every row."""
    pairs = match(_results(baseline), _results(candidate), metrics)
    differing = differences(baseline.run.environment, candidate.run.environment)
    verdicts = [None if pair.metric.informative else judge(pair, differing, margin) for pair in pairs]
    return Judgement(pairs, verdicts, differing, margin)


def _results(stored: StoredRun) -> dict[str, Result]:
    return results(stored.records, stored.run.aims)


def judge(pair: Pair, differing: Sequence[str], margin: float = MARGIN) -> Verdict:
    """The verdict on one metric of one case.

    `differing` says why latencies of the two machines may not be compared; it is empty when they may be. `margin` is
    the slowdown that is tolerated: 0.05 is 5 %.
    """
    word, reason = _unmeasured(pair) or _compared(pair, differing, margin)
    return Verdict(pair.case, pair.metric.name, word, reason, pair.comparison)


def exit_code(verdicts: Sequence[Verdict], policy: Policy) -> int:
    """0 only when something was judged ok or improved, and nothing worse: 1 regressed, 5 not measured or nothing
    judged, 2 incomparable, 3 inconclusive (under `pr`, only when there is nothing else), in this order.
    """
    words = Counter(verdict.word for verdict in verdicts)
    passed = words["ok"] + words["improved"]
    if words["regressed"]:
        return 1
    if words["not_measured"]:
        return 5
    if words["incomparable"]:
        return 2
    if words["inconclusive"] and (policy == "release" or not passed):
        return 3
    return 0 if passed else 5


def detectable(verdicts: Sequence[Verdict], margin: float = MARGIN) -> float:
    """The slowdown that every latency judged here would have shown: the margin on top of the widest interval.

    A true slowdown of this size is called in about half of all repetitions. NaN when no interval is known.
    """
    timed = [verdict for verdict in verdicts if verdict.metric == "latency" and verdict.word != "incomparable"]
    ratios = [verdict.comparison for verdict in timed if verdict.comparison]
    widths = [ratio.hi / ratio.ratio for ratio in ratios if math.isfinite(ratio.hi)]
    return (1 + margin) * max(widths) - 1 if widths else math.nan


def _unmeasured(pair: Pair) -> Judged | None:
    """The verdict where a side is missing, or where rounds of the candidate ended early and the baseline's did not."""
    base, head, metric = pair.baseline, pair.candidate, pair.metric
    if base is None or metric not in base.metrics:
        return "new", _absence(base, "baseline")
    if head is not None and head.end is not None:
        if head.wrong:
            return "regressed", f"wrong answer: {head.end.reason}"
        if base.end is None:
            return "not_measured", _absence(head, "candidate")
    if head is None or metric not in head.metrics:
        return "not_measured", _absence(head, "candidate")
    return None


def _absence(result: Result | None, side: str) -> str:
    if result is None:
        return f"the {side} has no such case"
    if result.end is None:
        return f"the {side} did not measure this metric"
    return f"{result.end.outcome.replace('_', ' ')} in round {result.end.round + 1} of the {side}: {result.end.reason}"


def _compared(pair: Pair, differing: Sequence[str], margin: float) -> Judged:
    ratio = pair.comparison
    if ratio is None:
        raise ValueError(f"{pair.case.name}, {pair.metric.name}: measured on both sides and never compared")
    if differing and pair.metric.name not in KINDS["portable"]:
        return "incomparable", f"not like machines ({'; '.join(differing)}); measure both on one machine"
    if pair.metric.assume == "exact":
        return _exact(pair.metric, ratio)
    return _sampled(pair.metric, ratio, margin)


def _sampled(metric: Metric, ratio: Comparison, margin: float) -> Judged:
    """The interval of the ratio against the margin; see `judge`."""
    if math.isnan(ratio.ratio):
        return "not_measured", "; ".join(ratio.warnings) or "not a number"
    lo, hi = (
        (ratio.lo, ratio.hi) if metric.better == "lower" else (1 / ratio.hi, 1 / ratio.lo if ratio.lo else math.inf)
    )
    words = slower(ratio) if metric.unit == "s" else change(ratio, metric)
    if math.isnan(lo) or math.isnan(hi):
        return "inconclusive", f"{words}; {ONE_ROUND}"
    if lo > 1 + margin:
        return "regressed", f"{words}; the margin is {_percent(margin)}"
    if hi < 1 / (1 + margin):
        return "improved", words
    if hi <= 1 + margin:
        return "ok", words
    return "inconclusive", f"{words} reaches beyond the margin of {_percent(margin)}; {_cure(ratio, margin)}"


def _cure(ratio: Comparison, margin: float) -> str:
    """How many rounds would bring the interval down to the distance between the ratio and the margin."""
    n = min(ratio.baseline.n, ratio.candidate.n)
    distance = abs(math.log1p(margin) - math.log(ratio.ratio))
    needed = rounds_needed(n, math.log(ratio.hi / ratio.ratio), distance)
    if needed <= _MOST_ROUNDS:
        return f"use --rounds {needed}"
    return "more rounds will not settle it: quieten the machine or choose another --margin"


def _exact(metric: Metric, ratio: Comparison) -> Judged:
    before, after = ratio.baseline.centre, ratio.candidate.centre
    if math.isnan(before):
        return "not_measured", "the baseline is not a number: measure it again"
    if math.isnan(after):
        return "regressed", f"{amount(before, metric.unit)} became not a number"
    if within_tolerance(metric, before, after):
        return "ok", amount(after, metric.unit)
    word: Word = "improved" if (after < before) == (metric.better == "lower") else "regressed"
    one, other = distinct_amounts(before, after, metric.unit)
    return word, f"{one} became {other} ({change(ratio, metric)})"


def _percent(part: float) -> str:
    return f"{100 * part:g} %"
