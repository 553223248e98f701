"""The gate's section of the report: the verdict in words, what is wrong first, a figure and a table of all changes."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from harness.analysis.results import varying
from harness.judge.judge import Judgement, judge_runs
from harness.judge.policy import Policy
from harness.judge.verdict import EVERYTHING, Verdict
from harness.model import Case, StoredRun, known_metrics
from harness.model.metrics import judged
from harness.model.rules import Rules
from harness.model.units import amount, figure
from harness.show.plots.forest import Change, signed
from harness.show.report.tables import Heading, Sheet, SheetRow
from harness.show.report.verdict_sentence import MOODS, SIGNS, Headline, Mood, headline, sentence
from harness.show.verdict_words import grounds, invalid_words, legend, reason
from harness.show.verdicts import WORDS, rules_line
from harness.show.verdicts import headline as counted

POLICY: Policy = "release"
"""The stricter one: the page says what it would take to pass everywhere."""
_SENTINELS = 6
"""Sentinels that are drawn."""
_FINDINGS = 8
"""Rows that are told in a sentence; the table has them all."""
_FINE = ("ok", "improved", "new")
_DRAWN = ("weight_bytes", "resident_bytes", "peak_forward_bytes", "peak_backward_bytes")
"""Exact metrics whose change is a share, as that of a latency is: what regressed of them is drawn too."""


class GateFinding(NamedTuple):
    """A row that is not ok, in one sentence."""

    mood: Mood
    word: str
    case: str
    sentence: str

    @property
    def sign(self) -> str:
        """What says the mood without a colour."""
        return SIGNS[self.mood]


@dataclass(frozen=True)
class GatePart:
    """All that the page says of one gate, apart from its figure."""

    name: str
    headline: Headline
    words: Sequence[str]
    """How many rows came to what, what was tolerated, and why latencies say nothing if they do not."""
    findings: Sequence[GateFinding]
    """The gravest of what is not ok."""
    cases: Sequence[Change]
    sentinels: Sequence[Change]
    mean: Change | None
    sheet: Sheet
    """What is neither ok nor the same code on both sides, the gravest first."""
    rest: Sheet
    """All else that was timed."""
    is_drawn: bool
    """Whether there is a latency to draw."""


def gates_of(runs: Sequence[StoredRun], rules: Rules) -> list[GatePart]:
    """A part for every two of the runs that are the sides of one gate."""
    by_pair: dict[str, list[StoredRun]] = {}
    for stored in runs:
        if stored.run.pair:
            by_pair.setdefault(stored.run.pair, []).append(stored)
    return [_part(sides, rules) for sides in by_pair.values() if len(sides) == 2]


def _part(sides: Sequence[StoredRun], rules: Rules) -> GatePart:
    base, head = sorted(sides, key=lambda stored: stored.run.side)
    judgement = judge_runs(base, head, judged(known_metrics(base.run, head.run)), rules)
    names = CaseNames(judgement)
    ranked = gravest(judgement.judged)
    reds = [one for one in ranked if one.word not in _FINE]
    rows = [one for one in ranked if one.word != "ok"]
    rest = [one for one in ranked if one.word == "ok" and one.metric == "latency"]
    latencies = [one for one in ranked if one.metric == "latency" and one.case != EVERYTHING]
    drawn = [one for one in reds if one.word == "regressed" and one.metric in _DRAWN] + latencies
    words = [counted(judgement, POLICY), rules_line(judgement, POLICY), legend(judgement.judged)]
    words += [invalid_words(judgement)] if judgement.moved and all(one.word != "incomparable" for one in reds) else []
    sentinels = [change for one in judgement.sentinels if (change := change_of(names.of(one.case), one))]
    return GatePart(
        name=head.run.pair,
        headline=headline(judgement, reds, POLICY),
        words=words,
        findings=_findings(reds, names)[:_FINDINGS],
        cases=[change for one in gravest(drawn) if (change := change_of(names.drawn(one), one))],
        sentinels=sentinels[:_SENTINELS],
        mean=_mean_change(judgement.geometric_mean),
        sheet=_sheet("gate", "Verdicts", [rows], names),
        rest=_sheet(
            "gate-rest",
            "Latencies that are ok, and code that is the same on both sides",
            [rest, judgement.sentinels],
            names,
        ),
        is_drawn=bool(sentinels) or any(change_of("", one) for one in latencies),
    )


def _findings(reds: Iterable[Verdict], names: "CaseNames") -> list[GateFinding]:
    """A sentence a row; one for all metrics of a case that share it, and for all cases that cannot be compared."""
    found = []
    for verdict in reds:
        of_all = verdict.case == EVERYTHING or verdict.word == "incomparable"
        point = "" if of_all else names.point(verdict.case)
        words = sentence(verdict, names.judgement.metric(verdict))
        found.append(GateFinding(MOODS[verdict.word], verdict.word.replace("_", " "), point, words))
    return list(dict.fromkeys(found))


class CaseNames:
    """Cases in few words: the implementation, and what differs between the cases. No two have the same."""

    def __init__(self, judgement: Judgement) -> None:
        self.judgement = judgement
        watched = {one.case.name for one in judgement.sentinels}
        sides = [side for pair in judgement.pairs for side in (pair.baseline, pair.candidate) if side is not None]
        self._differing = varying([side for side in sides if side.name not in watched] or sides)[1]
        cases = {side.name: side.case for side in sides}
        self._points = {name: self._short(case) for name, case in cases.items()}
        for longer in (self._with_suite, self._whole):
            seen = Counter((cases[name].implementation, point) for name, point in self._points.items())
            for name, point in list(self._points.items()):
                if seen[cases[name].implementation, point] > 1:
                    self._points[name] = longer(cases[name])

    def of(self, case: Case) -> str:
        """What the case is called in the figure."""
        return " ".join([case.implementation, self.point(case)]).strip()

    def drawn(self, verdict: Verdict) -> str:
        """What a change is called in the figure: the metric is said unless it is the latency."""
        metric = "" if verdict.metric == "latency" else f", {verdict.metric.replace('_', ' ')}"
        return self.of(verdict.case) + metric

    def point(self, case: Case) -> str:
        """What distinguishes the case, apart from its implementation."""
        return self._points[case.name]

    def _short(self, case: Case) -> str:
        return " ".join(f"{name}={case.params[name]}" for name in self._differing if name in case.params)

    def _with_suite(self, case: Case) -> str:
        return " ".join(filter(None, [self._short(case), f"({case.suite})"]))

    def _whole(self, case: Case) -> str:
        return " ".join([*(f"{name}={value}" for name, value in case.params.items()), f"({case.suite})"])


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
    if verdict is None or verdict.change is None:
        return None
    ratio, lo, hi = (1 + share for share in msgspec.structs.astuple(verdict.change))
    return Change(EVERYTHING.suite, verdict.word, ratio, lo, hi, verdict.margin)


def _sheet(name: str, title: str, groups: Sequence[Sequence[Verdict]], names: CaseNames) -> Sheet:
    headings = (
        *(Heading(text, words=True) for text in ("verdict", "implementation", "case", "metric", "reason")),
        *(Heading(text, "%") for text in ("change", "from", "to")),
        *(Heading(text, words=True) for text in ("base", "head")),
        *(Heading(text, "%") for text in ("margin", "detectable")),
        Heading("rounds"),
    )
    return Sheet(name, title, "", headings, [[_row(one, names) for one in group] for group in groups if group])


def _row(verdict: Verdict, names: CaseNames) -> SheetRow:
    everybody = verdict.case == EVERYTHING
    change = _mean_change(verdict) if everybody else change_of("", verdict)
    ratios = (change.ratio, change.lo, change.hi) if change else (math.nan,) * 3
    ratio, unit = verdict.comparison, names.judgement.metric(verdict).unit
    values = (
        [amount(side.centre, unit).replace("us", "µs") for side in (ratio.baseline, ratio.candidate)]
        if ratio
        else ["", ""]
    )
    word = verdict.word.replace("_", " ")
    return SheetRow(
        [
            f"{SIGNS['bad']} {word}" if MOODS[verdict.word] == "bad" else word,
            verdict.case.implementation,
            EVERYTHING.suite if everybody else names.point(verdict.case),
            verdict.metric,
            grounds(verdict) if verdict.change and not verdict.difference else reason(verdict),
            *(percent(100 * (value - 1)) for value in ratios),
            *values,
            *("" if math.isnan(part) else figure(100 * part, 3) for part in (verdict.margin, verdict.detectable)),
            str(len(verdict.log_ratios) or ""),
        ],
        marked=MOODS[verdict.word] == "bad",
    )


def percent(value: float) -> str:
    """With its sign; nothing where it is not known."""
    return signed(value) if math.isfinite(value) else ""
