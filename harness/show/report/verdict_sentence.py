"""A gate's verdict as a headline: failed or passed, by what, and the row that says it most."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from harness.judge.judge import Judgement
from harness.judge.policy import Policy, exit_code
from harness.judge.verdict import EVERYTHING, Verdict, Word
from harness.model.metrics import Metric
from harness.model.units import distinct_amounts, figure
from harness.show.verdict_words import change_words, grounds, reason

Mood: TypeAlias = Literal["bad", "good", "doubt"]
SIGNS: dict[Mood, str] = {"bad": "✗", "good": "✓", "doubt": "?"}
MOODS: dict[Word, Mood] = {
    "regressed": "bad",
    "not_measured": "bad",
    "incomparable": "doubt",
    "inconclusive": "doubt",
    "improved": "good",
    "new": "doubt",
    "ok": "good",
}
_MORE = {
    "weight_bytes": ("stores", "bytes"),
    "bits_per_weight": ("takes", "bits a weight"),
    "resident_bytes": ("keeps", "memory"),
    "peak_forward_bytes": ("needs", "peak memory"),
    "peak_backward_bytes": ("needs", "peak memory in its backward"),
}
"""Verb and noun of what became more; of any other amount it is that there is more of it."""
_OF_DECIBELS = {
    "error_sqnr": "accuracy",
    "error_worst_channel_sqnr": "accuracy in its worst channel",
    "agreement_sqnr": "agreement with the contract",
}
_FACTOR = 2.0
"""From so many times on a factor reads better than a percentage."""
_LONG = 120
"""Characters of a headline."""
_ZEROS = re.compile(r"\.0+(?= |$)")
"""The zeros of a whole number."""


class Headline(NamedTuple):
    """The verdict in one line, and whether that is good."""

    mood: Mood
    words: str

    @property
    def sign(self) -> str:
        """What says the mood without a colour."""
        return SIGNS[self.mood]


def headline(judgement: Judgement, reds: Sequence[Verdict], policy: Policy) -> Headline:
    """The verdict; `reds` are the rows that are neither ok nor improved, the gravest first."""
    counts = Counter(verdict.word for verdict in judgement.judged)
    total = sum(counts.values())
    first = next(iter(reds), None)
    match exit_code(judgement, policy):
        case 0:
            better = f", {counts['improved']} of them improved" if counts["improved"] else ""
            return Headline("good", f"Gate passed: {_rows(counts['ok'] + counts['improved'])} ok{better}")
        case 1 if first is not None:
            return Headline("bad", _short(f"Gate failed: {sentence(first, judgement.metric(first))}"))
        case 2:
            return Headline("doubt", "Gate without a verdict: the machines of base and head are unlike")
        case 3:
            return Headline("doubt", f"Gate undecided: {counts['inconclusive']} of {_rows(total)} are inconclusive")
        case 4:
            return Headline("doubt", "Gate without a verdict: the machine moved while it was measured")
        case _:
            missing = f"{counts['not_measured']} of {_rows(total)} were not measured" if total else "nothing was judged"
            return Headline("bad", f"Gate failed: {missing}")


def _short(words: str) -> str:
    """A reason may be a whole message; the row that it is from has all of it."""
    return words if len(words) <= _LONG else f"{words[: _LONG - 1].rstrip()}…"


def sentence(verdict: Verdict, metric: Metric) -> str:
    """A row, which is on `metric`, in one sentence: `fastbit needs 33 % more peak memory (12 to 16 KiB)`."""
    who = "all cases together" if verdict.case == EVERYTHING else verdict.case.implementation
    if verdict.word == "incomparable":
        return reason(verdict)
    if verdict.word == "inconclusive" and verdict.difference:
        return f"{who}, {metric.name.replace('_', ' ')}: {reason(verdict)}"
    if verdict.word == "inconclusive":
        change = change_words(verdict)
        return f"{who} changed by {change}: {grounds(verdict)}" if change else f"{who}: {grounds(verdict)}"
    return f"{who} {_predicate(verdict, metric)}"


def _predicate(verdict: Verdict, metric: Metric) -> str:
    ratio, unit = verdict.comparison, metric.unit
    if verdict.note and verdict.note.code == "wrong_answer":
        return f"gives a wrong answer: {verdict.note.detail}"
    if verdict.word == "not_measured":
        return f"was not measured: {reason(verdict)}"
    if ratio is None:
        return f"changed by {reason(verdict)}"
    if ratio.difference:
        name = metric.name.replace("_", " ")
        return f"is {'worse' if verdict.word == 'regressed' else 'better'} in {name}: {reason(verdict)}"
    before, after = ratio.baseline.centre, ratio.candidate.centre
    if metric.name == "latency" and ratio.ratio > 0:
        factor = max(ratio.ratio, 1 / ratio.ratio)
        much = f"{figure(factor, 2)}×" if factor >= _FACTOR else _percent(ratio.ratio)
        return f"is {much} {'slower' if ratio.ratio > 1 else 'faster'}{_from_to(verdict, unit)}"
    if unit == "dB" and math.isfinite(after - before):
        word, what = "loses" if after < before else "gains", _OF_DECIBELS.get(metric.name, metric.name)
        return f"{word} {figure(abs(after - before), 2)} dB of {what}{_from_to(verdict, unit)}"
    name = metric.name.replace("_", " ")
    if unit != "1" and math.isfinite(after - before):
        verb, noun = _MORE.get(metric.name, ("has", name))
        more = "more" if after > before else "less"
        much = f"{_percent(ratio.ratio)} {more}" if 0 < ratio.ratio < _FACTOR else more
        much = f"{figure(ratio.ratio, 2)}× the" if _FACTOR <= ratio.ratio < math.inf else much
        return f"{verb} {much} {noun}{_from_to(verdict, unit)}"
    return f"has another {name}{_from_to(verdict, unit)}"


def _percent(ratio: float) -> str:
    """`33 %`, of a change by little or much."""
    return f"{figure(100 * abs(ratio - 1), 2)} %"


def _from_to(verdict: Verdict, unit: str) -> str:
    """` (12 to 16 KiB)`."""
    ratio = verdict.comparison
    if ratio is None:
        return ""
    before, after = ratio.baseline.centre, ratio.candidate.centre
    if not (math.isfinite(before) and math.isfinite(after)):
        return f" ({before:g} to {after:g})"
    words = distinct_amounts(before, after, unit) if before != after else (f"{before:g}",) * 2
    whole = not any(re.search(r"\.\d*[1-9]", word) for word in words)
    short = [_ZEROS.sub("", word) if whole else word for word in words]
    one, other = (word.replace("us", "µs").replace("-", "−") for word in short)
    number, _, size = one.partition(" ")
    return f" ({number if other.endswith(f' {size}') else one} to {other})"


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
