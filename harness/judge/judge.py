"""From two runs to verdicts: does the candidate regress against the baseline?

Nothing that was not measured, cannot be compared or is not a number ever counts as a pass. A verdict is data:
`harness.show.verdict_words` puts it into words, and `harness.judge.policy` makes an exit code of it.

A record's way to its verdict: `store.runs` reads it by `store.schema` and `model.codec`; `judge_runs` gathers it by
case (`analysis.results`), holds both sides against each other (`analysis.pairs`, by way of `estimators.intervals`)
and asks the decision (`judge.sequential`, by Student's t in `estimators.t_test`).
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from harness.analysis.pairs import MetricPair, match
from harness.analysis.results import Result, of_run
from harness.estimators.intervals import Comparison
from harness.estimators.looks import HOPELESS
from harness.judge.paired import unit_by_unit
from harness.judge.sequential import CaseHistory, Design, Evidence, Sequential, SingleLook, improved
from harness.judge.verdict import EVERYTHING, Cure, Note, RelativeChange, Verdict, Word
from harness.model import StoredRun, differences
from harness.model.metrics import METRICS, Exact, Metric, Paired
from harness.model.rules import Rules

_FASTER = " faster"
"""Ends the name of a sentinel's other direction."""


@dataclass(frozen=True)
class Judgement:
    """Everything that was held side by side, and what became of it."""

    pairs: Sequence[MetricPair]
    verdicts: Sequence[Verdict | None]
    """One a pair; None for metrics that are shown and never judged, and for latencies of sentinels."""
    differing: Sequence[str]
    """Why latencies may not be compared; empty when they may be."""
    design: Design
    geometric_mean: Verdict | None = None
    """Of the latencies of all cases; None where fewer than two were compared."""
    sentinels: tuple[Verdict, ...] = ()
    """Cases whose code cannot differ: `regressed` means that one has moved, by either direction."""

    @property
    def rules(self) -> Rules:
        """What was tolerated, and how sure one had to be."""
        return self.design.rules

    @property
    def judged(self) -> list[Verdict]:
        """The verdicts alone, with that on the geometric mean."""
        return [verdict for verdict in (*self.verdicts, self.geometric_mean) if verdict is not None]

    def metric(self, verdict: Verdict) -> Metric:
        """That which `verdict` is on, as it counts here."""
        return next((pair.metric for pair in self.pairs if pair.metric.name == verdict.metric), METRICS["latency"])

    @property
    def moved(self) -> Verdict | None:
        """The first sentinel that has moved: the environment gives no verdict on latencies. None where none has."""
        return _moved(self.sentinels)


def judge_runs(
    baseline: StoredRun, candidate: StoredRun, metrics: Collection[str], rules: Rules | None = None
) -> Judgement:
    """Hold two runs side by side, limited to `metrics`, and judge every row.

    Runs of one pair, whose sides took turns in the same rounds, are judged by the differences within rounds.
    """
    tolerated = rules or Rules()
    paired = bool(baseline.run.pair) and baseline.run.pair == candidate.run.pair
    pairs = match(of_run(baseline), of_run(candidate), metrics, paired=paired)
    differing = differences(baseline.run.environment, candidate.run.environment)
    if not paired:
        return judge(pairs, differing, SingleLook(tolerated))
    rounds = [record.round + 1 for record in (*baseline.records, *candidate.records)]
    return judge(pairs, differing, Sequential.ended(tolerated, max(rounds, default=0)))


def judge(pairs: Sequence[MetricPair], differing: Sequence[str], design: Design) -> Judgement:
    """The verdicts on all pairs.

    `differing` says why latencies of the two machines may not be compared; it is empty when they may be.
    """
    at_once = {(pair.case.name, pair.metric.name): _at_once(pair, differing, design.rules) for pair in pairs}
    timed = [
        pair for pair in pairs if at_once[pair.case.name, pair.metric.name] is None and not pair.metric.informative
    ]
    cases = [pair for pair in timed if not is_sentinel(pair)]
    watched = [pair for pair in timed if is_sentinel(pair) and pair.metric.name == "latency"]
    sentinels = _watched(watched, design)
    judged: dict[tuple[str, str], Verdict] = {}
    mean = None
    if moved := _moved(sentinels):
        for pair in cases:
            judged[pair.case.name, pair.metric.name] = _verdict(
                pair, "incomparable", sentinel_note(moved), "gate_again"
            )
    else:
        for metric in {pair.metric.name: None for pair in cases}:
            family = [pair for pair in cases if pair.metric.name == metric]
            judged |= {(verdict.case.name, metric): verdict for verdict in _timed(family, design)}
        mean = _mean([pair for pair in cases if pair.metric.name == "latency"], design)
    verdicts = [judged.get(key) or verdict for key, verdict in at_once.items()]
    return Judgement(pairs, verdicts, differing, design, mean, sentinels)


def is_sentinel(pair: MetricPair) -> bool:
    """Whether the case is code that no change of a contestant can make slower or faster: a negative control.

    Both sides must say so: a contestant does not become one by a change.
    """
    return all(side.role != "contestant" for side in (pair.baseline, pair.candidate) if side is not None)


def sentinel_note(moved: Verdict) -> Note:
    """What is to be said of latencies beside a sentinel that has moved."""
    return Note("sentinel_moved", detail=moved.case.implementation, change=moved.change)


def _moved(sentinels: Sequence[Verdict]) -> Verdict | None:
    return next((verdict for verdict in sentinels if verdict.word == "regressed"), None)


def _timed(pairs: Sequence[MetricPair], design: Design) -> Iterator[Verdict]:
    """The verdicts on one sampled metric of cases that both sides measured."""
    family = {pair.case.name: design.evidence(pair, _limit(pair, design.rules)) for pair in pairs}
    courses = design.courses(family)
    faster = improved(courses, design.rules)
    for pair in pairs:
        name = pair.case.name
        yield _decided(_verdict(pair), family[name], courses[name], name in faster, design, len(pairs))


def _mean(pairs: Sequence[MetricPair], design: Design) -> Verdict | None:
    """The verdict on the geometric mean of the latencies of all cases; None where there are not two that have one."""
    if len(pairs) < 2:
        return None
    evidence = design.mean_evidence(pairs, math.log1p(design.rules.geometric_mean))
    courses = design.courses({"": evidence})
    verdict = Verdict(EVERYTHING, "latency", "ok", RelativeChange.of_logs(evidence.shift), unit="s")
    return _decided(verdict, evidence, courses[""], bool(improved(courses, design.rules)), design, 1)


def _watched(pairs: Sequence[MetricPair], design: Design) -> tuple[Verdict, ...]:
    """The verdicts on sentinels, which are to be neither slower nor faster: `regressed` means that one has moved."""
    family = {pair.case.name: design.evidence(pair, _limit(pair, design.rules)) for pair in pairs}
    both = family | {name + _FASTER: evidence.reversed for name, evidence in family.items()}
    courses = design.courses(both)
    verdicts = []
    for pair in pairs:
        name = pair.case.name
        sides = (courses[name + _FASTER], courses[name])
        course = next((one for one in sides if one.state in ("regressed", "accused")), courses[name])
        verdicts.append(_decided(_verdict(pair), family[name], course, False, design, len(both)))
    return tuple(verdicts)


def _limit(pair: MetricPair, rules: Rules) -> float:
    """The change for the worse that is tolerated, as a log ratio."""
    return rules.limit_of(pair.metric, pair.case, _comparison(pair).baseline.centre)


def _decided(
    verdict: Verdict, evidence: Evidence, course: CaseHistory, is_improved: bool, design: Design, family: int
) -> Verdict:
    """`verdict` with what the decision makes of the case, in a family of so many."""
    red_level = design.red_level / family  # the strictest that a case may have to pass
    shift = course.shift or evidence.shift
    word, note = _word(evidence, course, is_improved, design)
    has_allowance = verdict.case != EVERYTHING and verdict.unit == "s"
    needed = 0
    if word == "inconclusive":
        needed = design.rules.looks[0]
        if shift:
            needed = shift.rounds_needed(evidence.limit, design.ok_level if shift.mean < evidence.limit else red_level)
    return msgspec.structs.replace(
        verdict,
        word=word,
        note=note,
        cure=_cure(note, needed),
        margin=math.expm1(evidence.limit),
        allowance=design.rules.reason(verdict.case) if has_allowance else "",
        detectable=math.expm1(shift.detectable(evidence.limit, red_level)) if shift else math.nan,
        needed=needed,
        looks=course.looks,
        log_ratios=dict(evidence.rounds),
    )


def _word(evidence: Evidence, course: CaseHistory, is_improved: bool, design: Design) -> tuple[Word, Note | None]:
    if not course.looks:
        note = design.unseen(evidence)
        return ("inconclusive" if note.code == "one_round" else "not_measured"), note
    if course.state == "regressed":
        return "regressed", Note(design.red_note)
    if is_improved:
        return "improved", None
    if course.state == "ok":
        return "ok", None
    if course.state == "accused":
        return "inconclusive", Note("unconfirmed", rounds=course.accused_at)
    return "inconclusive", Note("undecided")


def _cure(note: Note | None, needed: int) -> Cure | None:
    """What settles a verdict that the decision could not give."""
    match note.code if note else "":
        case "one_round":
            return "rounds_option"
        case "too_few_rounds":
            return "budget_option"
        case "unconfirmed" | "undecided":
            return "more_rounds" if needed <= HOPELESS else "quieter_machine"
    return None


def _verdict(pair: MetricPair, word: Word = "ok", note: Note | None = None, cure: Cure | None = None) -> Verdict:
    """A verdict at once; with a note, it is one that says why no change may be read off."""
    both = pair.comparison
    change = RelativeChange.of(both) if both and not note and pair.metric.unit != "dB" else None
    exact = isinstance(pair.metric, Exact)
    return Verdict(pair.case, pair.metric.name, word, change, note, cure, both, unit=pair.metric.unit, is_exact=exact)


def _at_once(pair: MetricPair, differing: Sequence[str], rules: Rules) -> Verdict | None:
    """The verdict that takes no statistics; None where there is none, or where the rounds decide."""
    if pair.metric.informative:
        return None
    if found := _unmeasured(pair):
        return _verdict(pair, *found)
    if pair.units:
        return _verdict(pair, "incomparable", Note("other_units", detail=" vs ".join(pair.units)), "measure_anew")
    if differing and not pair.metric.portable:
        return _verdict(pair, "incomparable", Note("unlike_machines", detail="; ".join(differing)), "one_machine")
    if pair.unlike:
        return _verdict(pair, "incomparable", Note("other_sample", detail=pair.unlike), "measure_anew")
    if pair.summarised and not isinstance(pair.metric, Exact):
        return _verdict(pair, "incomparable", Note("no_raw_values", detail=pair.summarised), "raw_values")
    if isinstance(pair.metric, Exact):
        return _exact(pair, rules.metric(pair.metric))
    if isinstance(pair.metric, Paired):
        return unit_by_unit(_verdict(pair), rules.metric(pair.metric), _comparison(pair))
    if math.isnan(_comparison(pair).ratio):
        return _verdict(pair, "not_measured", Note("not_a_number", detail="; ".join(_comparison(pair).warnings)))
    return None


def _comparison(pair: MetricPair) -> Comparison:
    if pair.comparison is None:
        raise ValueError(f"{pair.case.name}, {pair.metric.name}: measured on both sides and never compared")
    return pair.comparison


def _unmeasured(pair: MetricPair) -> tuple[Word, Note] | None:
    """The verdict where a side is missing, or where rounds of the candidate ended early and the baseline's did not."""
    base, head, metric = pair.baseline, pair.candidate, pair.metric
    if base is None or not base.has(metric.name):
        return "new", _absence(base, "base")
    if head is not None and head.end is not None:
        if head.wrong:
            return "regressed", Note("wrong_answer", "head", detail=head.end.reason)
        if base.end is None:
            return "not_measured", _absence(head, "head")
    if head is None or not head.has(metric.name):
        return "not_measured", _absence(head, "head")
    return None


def _absence(result: Result | None, side: Literal["base", "head"]) -> Note:
    if result is None:
        return Note("no_case", side)
    if result.end is None:
        return Note("no_metric", side)
    end = result.end
    return Note("ended", side, end.outcome, end.round + 1, detail=end.reason)


def _exact(pair: MetricPair, metric: Exact) -> Verdict:
    both = _comparison(pair)
    before, after = both.baseline.centre, both.candidate.centre
    if math.isnan(before):
        return _verdict(pair, "not_measured", Note("not_a_number", "base"), "measure_again")
    if math.isnan(after):
        return _verdict(pair, "regressed", Note("not_a_number", "head"))
    if metric.is_same(before, after):
        return _verdict(pair, "ok")
    return _verdict(pair, "improved" if (after < before) == (metric.better == "lower") else "regressed")
