"""Verdicts on what varies from call to call: from rounds of both sides, by way of the decision, to words.

`reached` is everywhere the number of rounds of a gate whose sides took turns, and None for runs that were measured
each by itself. `is_over` says that it has no more rounds: its last look may then use what is left of the error budget.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from harness.analysis.pairs import MetricPair
from harness.analysis.words import slower
from harness.estimators.intervals import ONE_ROUND, log_ratio, round_logs
from harness.estimators.looks import LOOKED_AT
from harness.estimators.t_test import LogRatio
from harness.judge.rules import Rules
from harness.judge.sequential import ONCE, CaseHistory, SideRounds, decide, improved, judged_once, mean_of
from harness.judge.verdict import EVERYTHING, Verdict, Word
from harness.model import Measurement

HOPELESS = 60
"""More rounds than anybody would wait for."""
_FASTER = " faster"
"""Ends the name of a sentinel's other direction."""


@dataclass(frozen=True)
class Evidence:
    """What there is to decide on: a limit, and the rounds. A positive log is a change for the worse."""

    limit: float
    rounds: SideRounds
    """Empty where the sides were measured each by itself."""
    shift: LogRatio | None
    """Of all rounds."""

    @property
    def reversed(self) -> "Evidence":
        """The other direction."""
        shift = self.shift and LogRatio(-self.shift.mean, self.shift.error, self.shift.freedom, self.shift.rounds)
        return Evidence(self.limit, {number: -log for number, log in self.rounds.items()}, shift)


def judge_timings(pairs: Sequence[MetricPair], rules: Rules, reached: int | None, is_over: bool) -> dict[str, Verdict]:
    """By case name: the verdicts on one sampled metric of cases that both sides measured."""
    trials = {pair.case.name: _trial(pair, rules, reached) for pair in pairs}
    courses = _courses(trials, rules, reached, is_over)
    faster = improved(courses, rules)
    verdicts = {}
    for pair in pairs:
        name = pair.case.name
        word = _word(courses[name], name in faster, reached)
        verdicts[name] = _verdict(pair, trials[name], courses[name], word, _Family(rules, len(pairs), reached))
    return verdicts


def judge_mean(pairs: Sequence[MetricPair], rules: Rules, reached: int | None, is_over: bool) -> Verdict | None:
    """The verdict on the geometric mean of the latencies of all cases; None where there are not two that have one."""
    if len(pairs) < 2:
        return None
    limit = math.log1p(rules.geometric_mean)
    if reached is None:
        trial = Evidence(limit, {}, LogRatio.between(*(_means(pairs, side) for side in ("baseline", "candidate"))))
    else:
        rounds = mean_of([_logs(pair) for pair in pairs])
        trial = Evidence(limit, rounds, LogRatio.paired(list(rounds.values())))
    courses = _courses({"": trial}, rules, reached, is_over)
    word, family = _word(courses[""], bool(improved(courses, rules)), reached), _Family(rules, 1, reached)
    words = _in_words(trial.shift)
    ending = family.ending(courses[""], trial, word)
    verdict = Verdict(EVERYTHING, "latency", word, f"{words}; {ending}" if ending else words)
    return family.detailed(verdict, courses[""], trial)


def moved(pairs: Sequence[MetricPair], rules: Rules, reached: int | None, is_over: bool) -> tuple[Verdict, ...]:
    """The verdicts on sentinels, which are to be neither slower nor faster: `regressed` means that one has moved."""
    trials = {pair.case.name: _trial(pair, rules, reached) for pair in pairs}
    both = trials | {name + _FASTER: trial.reversed for name, trial in trials.items()}
    courses = _courses(both, rules, reached, is_over)
    verdicts = []
    for pair in pairs:
        name = pair.case.name
        sides = (courses[name + _FASTER], courses[name])
        course = next((one for one in sides if one.state in ("regressed", "accused")), courses[name])
        word = _word(course, False, reached)
        verdicts.append(_verdict(pair, trials[name], course, word, _Family(rules, len(both), reached)))
    return tuple(verdicts)


@dataclass(frozen=True)
class _Family:
    """How the cases of a family are judged, and in which words."""

    rules: Rules
    size: int
    reached: int | None

    @property
    def red_level(self) -> float:
        """The strictest level that a case may have to pass."""
        return (ONCE if self.reached is None else self.rules.red_level) / self.size

    @property
    def ok_level(self) -> float:
        return ONCE if self.reached is None else self.rules.ok_level

    def detailed(self, verdict: Verdict, course: CaseHistory, trial: Evidence) -> Verdict:
        """With the figures behind it."""
        shift = course.shift or trial.shift
        detectable = math.expm1(shift.detectable(trial.limit, self.red_level)) if shift else math.nan
        return msgspec.structs.replace(
            verdict,
            margin=math.expm1(trial.limit),
            detectable=detectable,
            needed=self._needed(shift, trial.limit) if verdict.word == "inconclusive" else 0,
            looks=course.looks,
            log_ratios=dict(trial.rounds),
        )

    def ending(self, course: CaseHistory, trial: Evidence, word: Word) -> str:
        """What is to be said besides the change."""
        margin = f"the margin is {_percent(math.expm1(trial.limit))}"
        if not course.looks:
            return self._unseen(trial)
        if word == "regressed":
            return f"{margin}{', confirmed by fresh processes' if self.reached is not None else ''}"
        if word != "inconclusive":
            return ""
        if course.state == "accused":
            return f"{margin}; seen after {course.accused_at} rounds and not confirmed yet: {self._cure(course, trial)}"
        return f"{margin}, and that is within what is known: {self._cure(course, trial)}"

    def _unseen(self, trial: Evidence) -> str:
        """Why there is nothing to decide on."""
        if self.reached is None:
            return ONE_ROUND
        first = self.rules.looks[0]
        rounds = f"{len(trial.rounds)} round{'s' * (len(trial.rounds) != 1)}"
        return f"{rounds} of the {first} that a first look takes: give it more time with --budget"

    def _cure(self, course: CaseHistory, trial: Evidence) -> str:
        shift = course.shift or trial.shift
        needed = self._needed(shift, trial.limit)
        if needed <= HOPELESS:
            return f"about {needed} rounds would settle it"
        return "more rounds will not settle it: quieten the machine, see `bitbench env --check`, or allow it more"

    def _needed(self, shift: LogRatio | None, limit: float) -> int:
        if shift is None:
            return self.rules.looks[0]
        return shift.rounds_needed(limit, self.ok_level if shift.mean < limit else self.red_level)


def _courses(
    trials: Mapping[str, Evidence], rules: Rules, reached: int | None, is_over: bool
) -> dict[str, CaseHistory]:
    limits = {name: trial.limit for name, trial in trials.items()}
    if reached is not None:
        return decide({name: trial.rounds for name, trial in trials.items()}, limits, rules, reached, is_over)
    shifts = {name: trial.shift for name, trial in trials.items() if trial.shift}
    return {name: CaseHistory(limit) for name, limit in limits.items()} | judged_once(shifts, limits)


def _trial(pair: MetricPair, rules: Rules, reached: int | None) -> Evidence:
    assert pair.comparison is not None, "only what both sides measured is judged"
    limit = rules.limit_of(pair.metric, pair.case, pair.comparison.baseline.centre)
    worse = 1 if pair.metric.better == "lower" else -1
    if reached is not None:
        logs = {number: worse * log for number, log in _logs(pair).items()}
        return Evidence(limit, logs, LogRatio.paired(list(logs.values())))
    base, head = (list(round_logs(rounds).values()) for rounds in _sides(pair))
    return Evidence(limit, {}, LogRatio.between(*((base, head) if worse > 0 else (head, base))))


def _logs(pair: MetricPair) -> SideRounds:
    base, head = _sides(pair)
    logs = {number: log_ratio(base[number], head[number], apart=True) for number in sorted(base.keys() & head.keys())}
    return {number: log for number, log in logs.items() if math.isfinite(log)}


def _means(pairs: Sequence[MetricPair], side: str) -> list[float]:
    """For each round that all cases have on that side, the mean of their logs."""
    rounds = [_sides(pair)[0 if side == "baseline" else 1] for pair in pairs]
    return list(mean_of([round_logs(one) for one in rounds]).values())


def _sides(pair: MetricPair) -> tuple[Mapping[int, Measurement], Mapping[int, Measurement]]:
    assert pair.baseline is not None, "only what both sides measured is judged"
    assert pair.candidate is not None, "only what both sides measured is judged"
    return pair.baseline.rounds(pair.metric.name), pair.candidate.rounds(pair.metric.name)


def _word(course: CaseHistory, is_improved: bool, reached: int | None) -> Word:
    if not course.looks:
        return "inconclusive" if reached is None else "not_measured"
    if course.state == "regressed":
        return "regressed"
    if is_improved:
        return "improved"
    return "ok" if course.state == "ok" else "inconclusive"


def _verdict(pair: MetricPair, trial: Evidence, course: CaseHistory, word: Word, family: _Family) -> Verdict:
    ratio = pair.comparison
    assert ratio is not None, "only what both sides measured is judged"
    words = slower(ratio) if pair.metric.unit == "s" else pair.metric.change(ratio)
    ending = family.ending(course, trial, word)
    reason = ": ".join(filter(None, (f"{words}; {ending}" if ending else words, family.rules.reason(pair.case))))
    return family.detailed(Verdict(pair.case, pair.metric.name, word, reason, ratio), course, trial)


def _in_words(shift: LogRatio | None) -> str:
    """A change of the geometric mean, as `slower` says that of a case."""
    if shift is None:
        return "unknown"
    half = shift.half_width(LOOKED_AT)
    lo, centre, hi = (100 * math.expm1(shift.mean + part) for part in (-half, 0.0, half))
    if centre < 0:
        lo, centre, hi = -hi, -centre, -lo
    return f"{centre:.1f} % {'slower' if shift.mean >= 0 else 'less time'} [{lo:.1f}, {hi:.1f}]"


def _percent(part: float) -> str:
    return f"{100 * part:.3g} %"
