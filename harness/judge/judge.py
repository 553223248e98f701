"""From two runs to verdicts: does the candidate regress against the baseline, and what is the exit code.

Nothing that was not measured, cannot be compared or is not a number ever counts as a pass.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.analysis.pairs import MetricPair, match
from harness.analysis.ranking import full_precision
from harness.analysis.results import Result, of_run
from harness.estimators.intervals import Comparison
from harness.judge.rules import Rules
from harness.judge.timings import judge_mean, judge_timings, moved
from harness.judge.verdict import Verdict, Word
from harness.model import StoredRun, differences
from harness.model.metrics import METRICS, Exact, Metric
from harness.model.units import amount, distinct_amounts

Policy: TypeAlias = Literal["pr", "release"]
"""Under `release` an inconclusive row fails the gate; under `pr` it is shown."""

Judged: TypeAlias = tuple[Word, str]
"""A word and its reason."""

SENTINEL = "sentinel"
"""The fact of a case that cannot differ between two revisions."""


@dataclass(frozen=True)
class Judgement:
    """Everything that was held side by side, and what became of it."""

    pairs: Sequence[MetricPair]
    verdicts: Sequence[Verdict | None]
    """One a pair; None for metrics that are shown and never judged, and for latencies of sentinels."""
    differing: Sequence[str]
    """Why latencies may not be compared; empty when they may be."""
    rules: Rules
    geometric_mean: Verdict | None = None
    """Of the latencies of all cases; None where fewer than two were compared."""
    sentinels: tuple[Verdict, ...] = ()
    """Cases whose code cannot differ: `regressed` means that one has moved, by either direction."""

    @property
    def judged(self) -> list[Verdict]:
        """The verdicts alone, with that on the geometric mean."""
        return [verdict for verdict in (*self.verdicts, self.geometric_mean) if verdict is not None]

    def metric(self, verdict: Verdict) -> Metric:
        """That which `verdict` is on, as it counts here."""
        return next((pair.metric for pair in self.pairs if pair.metric.name == verdict.metric), METRICS["latency"])

    @property
    def invalid(self) -> str:
        """Why the environment gives no verdict on latencies; empty when it does."""
        return _invalid(self.sentinels)


def judge_runs(
    baseline: StoredRun, candidate: StoredRun, metrics: Collection[str], rules: Rules | None = None
) -> Judgement:
    """Hold two runs side by side, limited to `metrics`, and judge every row.

    Runs of one pair, whose sides took turns in the same rounds, are judged by the differences within rounds.
    """
    paired = bool(baseline.run.pair) and baseline.run.pair == candidate.run.pair
    pairs = match(of_run(baseline), of_run(candidate), metrics, paired=paired)
    differing = differences(baseline.run.environment, candidate.run.environment)
    rounds = [record.round + 1 for record in (*baseline.records, *candidate.records)]
    return judge(pairs, differing, rules or Rules(), max(rounds, default=0) if paired else None)


def judge(
    pairs: Sequence[MetricPair],
    differing: Sequence[str],
    rules: Rules,
    reached: int | None = None,
    is_over: bool = True,
) -> Judgement:
    """The verdicts on all pairs.

    `differing` says why latencies of the two machines may not be compared; it is empty when they may be. `reached` is
    the number of rounds of a gate whose sides took turns, and None for runs that were measured each by itself.
    `is_over` says that there will be no more of them.
    """
    at_once = {(pair.case.name, pair.metric.name): _at_once(pair, differing, rules) for pair in pairs}
    timed = [
        pair for pair in pairs if at_once[pair.case.name, pair.metric.name] is None and not pair.metric.informative
    ]
    cases = [pair for pair in timed if not is_sentinel(pair)]
    watched = [pair for pair in timed if is_sentinel(pair) and pair.metric.name == "latency"]
    sentinels = moved(watched, rules, reached, is_over)
    invalid = _invalid(sentinels)
    judged: dict[tuple[str, str], Verdict] = {}
    mean = None
    if invalid:
        judged = {
            (pair.case.name, pair.metric.name): Verdict(
                pair.case, pair.metric.name, "incomparable", invalid, pair.comparison
            )
            for pair in cases
        }
    else:
        for metric in {pair.metric.name: None for pair in cases}:
            family = [pair for pair in cases if pair.metric.name == metric]
            timings = judge_timings(family, rules, reached, is_over)
            judged |= {(name, metric): verdict for name, verdict in timings.items()}
        mean = judge_mean([pair for pair in cases if pair.metric.name == "latency"], rules, reached, is_over)
    verdicts = [judged.get(key) or verdict for key, verdict in at_once.items()]
    return Judgement(pairs, verdicts, differing, rules, mean, sentinels)


def is_sentinel(pair: MetricPair) -> bool:
    """Whether the case is torch's own code, which no change of a contestant can make slower or faster."""
    sides = [side for side in (pair.baseline, pair.candidate) if side is not None]
    return full_precision(pair.case.implementation) or any(SENTINEL in side.facts for side in sides)


def exit_code(judgement: Judgement, policy: Policy) -> int:
    """0 only when something was judged ok or improved, and nothing worse: 1 regressed, 4 a sentinel moved, 5 not
    measured or nothing judged, 2 incomparable, 3 inconclusive (under `pr`, only when nothing of that metric passed), in
    this order.
    """
    words = Counter(verdict.word for verdict in judgement.judged)
    inconclusive = {verdict.metric for verdict in judgement.judged if verdict.word == "inconclusive"}
    passed = {verdict.metric for verdict in judgement.judged if verdict.word in ("ok", "improved")}
    if words["regressed"]:
        return 1
    if judgement.invalid:
        return 4
    if words["not_measured"]:
        return 5
    if words["incomparable"]:
        return 2
    if inconclusive and (policy == "release" or not inconclusive <= passed):
        return 3
    return 0 if passed else 5


def detectable(judgement: Judgement) -> float:
    """The slowdown that would have been found in nine of ten repetitions in every latency judged; NaN without any."""
    timed = (one for one in judgement.verdicts if one and one.metric == "latency")
    known = [one.detectable for one in timed if not math.isnan(one.detectable)]
    return max(known, default=math.nan)


def _invalid(sentinels: Sequence[Verdict]) -> str:
    found = [verdict for verdict in sentinels if verdict.word == "regressed"]
    if not found:
        return ""
    change_of = found[0].reason.partition(";")[0]
    return (
        f"the environment is invalid: {found[0].case.implementation}, whose code is the same on both sides, is"
        f" {change_of}; end what else runs, see `bitbench env --check`, and gate again"
    )


def _at_once(pair: MetricPair, differing: Sequence[str], rules: Rules) -> Verdict | None:
    """The verdict that takes no statistics; None where there is none, or where the rounds decide."""
    if pair.metric.informative:
        return None
    found = _unmeasured(pair) or _incomparable(pair, differing)
    if found is None and isinstance(pair.metric, Exact):
        found = _exact(rules.metric(pair.metric), _comparison(pair))
    if found is None and math.isnan(_comparison(pair).ratio):
        found = "not_measured", "; ".join(_comparison(pair).warnings) or "not a number"
    return Verdict(pair.case, pair.metric.name, *found, pair.comparison) if found else None


def _comparison(pair: MetricPair) -> Comparison:
    if pair.comparison is None:
        raise ValueError(f"{pair.case.name}, {pair.metric.name}: measured on both sides and never compared")
    return pair.comparison


def _unmeasured(pair: MetricPair) -> Judged | None:
    """The verdict where a side is missing, or where rounds of the candidate ended early and the baseline's did not."""
    base, head, metric = pair.baseline, pair.candidate, pair.metric
    if base is None or not base.has(metric.name):
        return "new", _absence(base, "baseline")
    if head is not None and head.end is not None:
        if head.wrong:
            return "regressed", f"wrong answer: {head.end.reason}"
        if base.end is None:
            return "not_measured", _absence(head, "candidate")
    if head is None or not head.has(metric.name):
        return "not_measured", _absence(head, "candidate")
    return None


def _absence(result: Result | None, side: str) -> str:
    if result is None:
        return f"the {side} has no such case"
    if result.end is None:
        return f"the {side} did not measure this metric"
    return f"{result.end.outcome.replace('_', ' ')} in round {result.end.round + 1} of the {side}: {result.end.reason}"


def _incomparable(pair: MetricPair, differing: Sequence[str]) -> Judged | None:
    if pair.units:
        before, now = pair.units
        return "incomparable", f"the baseline has it in {before} and the candidate in {now}: measure both anew"
    if differing and not pair.metric.portable:
        return "incomparable", f"not like machines ({'; '.join(differing)}); measure both on one machine"
    return None


def _exact(metric: Exact, ratio: Comparison) -> Judged:
    before, after = ratio.baseline.centre, ratio.candidate.centre
    if math.isnan(before):
        return "not_measured", "the baseline is not a number: measure it again"
    if math.isnan(after):
        return "regressed", f"{amount(before, metric.unit)} became not a number"
    if metric.is_same(before, after):
        return "ok", amount(after, metric.unit)
    word: Word = "improved" if (after < before) == (metric.better == "lower") else "regressed"
    one, other = distinct_amounts(before, after, metric.unit)
    return word, f"{one} became {other} ({metric.change(ratio)})"
