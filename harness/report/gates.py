"""The gate's section of the report: the verdict in words, a figure of every change, and a table of the same."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.gate import Judgement, Policy, judge_runs
from harness.metric import METRICS
from harness.model import Case
from harness.plots.forest import Change, signed
from harness.quantity import amount, figure
from harness.report.tables import Heading, Row, Sheet
from harness.results import varying
from harness.rules import Rules
from harness.shift import Shift
from harness.stats import LOOKED_AT
from harness.store import StoredRun
from harness.verdict import EVERYTHING, Verdict
from harness.verdict_table import WORDS, headline, rules_line

POLICY: Policy = "release"
"""The stricter one: the page says what it would take to pass everywhere."""
_SENTINELS = 6
"""Sentinels that are drawn."""


@dataclass(frozen=True)
class GatePart:
    """All that the page says of one gate, apart from its figure."""

    name: str
    words: Sequence[str]
    """The verdict, what was tolerated, and why latencies say nothing if they do not."""
    cases: Sequence[Change]
    sentinels: Sequence[Change]
    mean: Change | None
    sheet: Sheet

    @property
    def is_drawn(self) -> bool:
        """Whether there is a latency to draw."""
        return bool(self.cases or self.sentinels)


def gates_of(runs: Sequence[StoredRun], rules: Rules) -> list[GatePart]:
    """A part for every two of the runs that are the sides of one gate."""
    by_pair: dict[str, list[StoredRun]] = {}
    for stored in runs:
        if stored.run.pair:
            by_pair.setdefault(stored.run.pair, []).append(stored)
    return [_part(sides, rules) for sides in by_pair.values() if len(sides) == 2]


def _part(sides: Sequence[StoredRun], rules: Rules) -> GatePart:
    base, head = sorted(sides, key=lambda stored: stored.run.id.endswith("-head"))
    judged = [name for name, metric in METRICS.items() if not metric.informative]
    judgement = judge_runs(base, head, judged, rules)
    names = Names(judgement)
    latencies = gravest(one for one in judgement.verdicts if one and one.metric == "latency")
    cases = [change for one in latencies if (change := change_of(names.of(one.case), one))]
    sentinels = [change for one in judgement.sentinels if (change := change_of(names.of(one.case), one))]
    mean = _mean_change(judgement.geometric_mean)
    words = [headline(judgement, POLICY), rules_line(judgement, POLICY)]
    words += [judgement.invalid] if judgement.invalid else []
    return GatePart(head.run.pair, words, cases, sentinels[:_SENTINELS], mean, _sheet(judgement, latencies, names))


class Names:
    """Cases in few words: the implementation, and what differs between the cases."""

    def __init__(self, judgement: Judgement) -> None:
        watched = {one.case.name for one in judgement.sentinels}
        sides = [side for pair in judgement.pairs for side in (pair.baseline, pair.candidate) if side is not None]
        self._differing = varying([side for side in sides if side.name not in watched] or sides)[1]

    def of(self, case: Case) -> str:
        """What the case is called in the figure."""
        return " ".join([case.implementation, self.point(case)]).strip()

    def point(self, case: Case) -> str:
        """What distinguishes the case, apart from its implementation."""
        return " ".join(f"{name}={case.params[name]}" for name in self._differing if name in case.params)


def gravest(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The gravest first, among equals the slowest."""
    return sorted(verdicts, key=lambda one: (WORDS.index(one.word), -(one.comparison.ratio if one.comparison else 0)))


def change_of(name: str, verdict: Verdict) -> Change | None:
    """What is drawn of a verdict; None where there is no ratio."""
    ratio = verdict.comparison
    if ratio is None or not 0 < ratio.ratio < math.inf:
        return None
    margin = 0.0 if math.isnan(verdict.margin) else verdict.margin
    return Change(name, verdict.word, ratio.ratio, ratio.lo, ratio.hi, margin)


def _mean_change(verdict: Verdict | None) -> Change | None:
    shift = Shift.paired(list(verdict.log_ratios.values())) if verdict else None
    if verdict is None or shift is None:
        return None
    half = shift.half_width(LOOKED_AT)
    ratio, lo, hi = (math.exp(shift.mean + part) for part in (0.0, -half, half))
    return Change(EVERYTHING.suite, verdict.word, ratio, lo, hi, verdict.margin)


def _sheet(judgement: Judgement, latencies: Sequence[Verdict], names: Names) -> Sheet:
    """Every latency, then what else is not ok, then the sentinels, then the geometric mean."""
    others = [one for one in judgement.verdicts if one and one.metric != "latency" and one.word != "ok"]
    mean = [judgement.geometric_mean] if judgement.geometric_mean else []
    groups = (latencies, gravest(others), judgement.sentinels, mean)
    headings = (
        *(Heading(text, words=True) for text in ("implementation", "verdict", "case", "metric")),
        *(Heading(text, "%") for text in ("change", "from", "to", "margin", "detectable")),
        *(Heading(text, words=True) for text in ("base", "head")),
        Heading("rounds"),
        Heading("reason", words=True),
    )
    blocks = [[_row(one, names) for one in group] for group in groups if group]
    return Sheet("gate", "Verdicts", "", headings, blocks)


def _row(verdict: Verdict, names: Names) -> Row:
    everybody = verdict.case == EVERYTHING
    change = _mean_change(verdict) if everybody else change_of("", verdict)
    ratios = (change.ratio, change.lo, change.hi) if change else (math.nan,) * 3
    ratio, unit = verdict.comparison, METRICS[verdict.metric].unit
    values = (
        [amount(side.centre, unit).replace("us", "µs") for side in (ratio.baseline, ratio.candidate)]
        if ratio
        else ["", ""]
    )
    return Row(
        [
            verdict.case.implementation,
            verdict.word.replace("_", " "),
            EVERYTHING.suite if everybody else names.point(verdict.case),
            verdict.metric,
            *(percent(100 * (value - 1)) for value in ratios),
            *("" if math.isnan(part) else figure(100 * part, 3) for part in (verdict.margin, verdict.detectable)),
            *values,
            str(len(verdict.log_ratios) or ""),
            verdict.reason.partition("; ")[2] if verdict.looks else verdict.reason,
        ],
        marked=verdict.word == "regressed",
    )


def percent(value: float) -> str:
    """With its sign; nothing where it is not known."""
    return signed(value) if math.isfinite(value) else ""
