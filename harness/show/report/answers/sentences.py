"""The answer for every layer: what to use in one short sentence, and three chips with the numbers behind it."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple, TypeAlias

from harness.analysis.naming import titles
from harness.analysis.prediction import PREDICTION_TOLERANCE, off_prediction
from harness.analysis.results import Result, contests
from harness.analysis.view import View
from harness.estimators.intervals import Comparison
from harness.model import Params
from harness.model.units import NOT_KNOWN, is_known
from harness.show.report.answers.contest import BITS, BYTES, SQNR, centre
from harness.show.report.answers.points import NAMES, NEAR, SAME, Advice, Point, measured_pace, pace, point, times
from harness.show.report.answers.questions import ContestAnswer
from harness.show.typography import interval_of_times, listed, typeset

_TOLD = 3
"""Circumstances that are told one by one; of more, the ones where the gain is least and largest."""

Usage: TypeAlias = Callable[[str, Params], str]
"""From an implementation and a case's params to the line of code that uses it; empty where there is none."""


class Entry(NamedTuple):
    """A number of a chip, its interval, and what it is of."""

    value: str
    bounds: str = ""
    words: str = ""


class Chip(NamedTuple):
    """One of the three things to know."""

    name: str
    entries: Sequence[Entry]


@dataclass(frozen=True)
class Sentence:
    """What to use for one layer."""

    layer: str
    lead: str
    """The advice in two or three words."""
    rest: str
    """By how much, at what size and error."""
    chips: Sequence[Chip]
    change: str
    """What would change the answer, as far as this run knows, in a few words."""
    code: str
    """The lines that put the advice to use; empty where there are none."""

    @property
    def answer(self) -> str:
        """One sentence."""
        return f"{self.lead}: {self.rest}."


def sentences(
    measured: Sequence[Result], view: View, fastest: Mapping[str, ContestAnswer], usage: Usage = lambda *_: ""
) -> list[Sentence]:
    """A sentence for each layer (shape, scheme and whatever else is no circumstance) with latencies of a BitLinear.

    `fastest` holds the answer of each contest.
    """
    by_contest = contests(measured)
    words = titles(measured, without=NAMES)
    layers: dict[str, list[str]] = {}
    for contest in by_contest:
        layers.setdefault(words[contest], []).append(contest)
    found = [
        _sentence(layer, [by_contest[name] for name in names], view, fastest, usage) for layer, names in layers.items()
    ]
    return [sentence for sentence in found if sentence]


def _sentence(
    layer: str, everyone: Sequence[Sequence[Result]], view: View, fastest: Mapping[str, ContestAnswer], usage: Usage
) -> Sentence | None:
    varied = [key for key in NAMES if len({members[0].case.params.get(key) for members in everyone}) > 1]
    answered = [(members, fastest[members[0].contest]) for members in everyone if members[0].contest in fastest]
    points = [found for members, answer in answered if (found := point(members, answer, varied, view))]
    if not points:
        return None
    used = next((one for one in points if one.advice == "use"), points[0])
    rest = [result for members in everyone for result in members]
    lead, *clauses = _uses(points)
    shrinkage, error = _shrinkage(used, rest), _error(used.best, rest)
    size = _size(shrinkage)
    if all(one.advice == "keep" for one in points):
        of_best = [f"only its size speaks for it: {size}"] if shrinkage >= SAME else []
    else:
        several = len({one.name for one in points}) > 1
        of_best = [text for text in (f"{used.name} is {size}" if several and size else size, error) if text]
    chips = [_speed_chip(points), *_size_chip(used), *_error_chip(used, rest)]
    code = usage(used.name, used.best.case.params) if used.advice == "use" else ""
    return Sentence(layer, lead, "; ".join([*clauses, *of_best]), chips, _change(points, varied, everyone[0][0]), code)


def _uses(points: Sequence[Point]) -> list[str]:
    """The lead, then a clause for each row of circumstances under which the same advice holds."""
    clauses: list[str] = []
    for (advice, names), some in groupby(points, key=_choice):
        same = list(some)
        where = "" if len(same) == len(points) else f" {_listed_circumstances(same)}"
        lead = _LEADS[advice].format(" or ".join(dict.fromkeys(names))) + where
        told = _ADVICE[advice](same, len(points) > 1 and not (where and len(same) == 1))
        if not clauses:
            clauses += [lead, told]
            continue
        once = told.replace(f" than {same[0].baseline}", "") if same[0].baseline in clauses[1] else told
        clauses.append(f"{lead[0].lower()}{lead[1:]} ({once})")
    return clauses


def _choice(one: Point) -> tuple[Advice, tuple[str, ...]]:
    """The advice, and whom it names."""
    return one.advice, (one.name, *one.alike) if one.advice in ("use", "perhaps") else ()


_LEADS: dict[Advice, str] = {"use": "Use {}", "perhaps": "Perhaps {}", "keep": "Keep nn.Linear", "unknown": "Not known"}


def _gains(points: Sequence[Point], told: bool) -> str:
    """How fast under each circumstance, or where least and where most; circumstances are said where they are `told`."""
    first, *others = _ends(points)[::-1] if len(points) > _TOLD else points
    parts = [measured_pace(first.over, first.baseline) + _where(first, told)]
    for one in others:
        alike = (one.over.ratio > 1) == (first.over.ratio > 1) and min(_factor(one), _factor(first)) >= SAME
        alike = alike and _is_known(one.over) and _is_known(first.over)
        parts.append((times(_factor(one)) if alike else measured_pace(one.over)) + _where(one, told))
    doubts = [one for one in points if one.advice == "perhaps"]
    near = all(one.over_plain.ratio > 1 / NEAR for one in doubts)
    doubt = (", within noise" if near else ", not certain: more rounds decide") if doubts else ""
    return ", ".join(parts) + doubt


def _losses(points: Sequence[Point], told: bool) -> str:
    """How much slower than the fastest plain linear layer the best that quantises is."""
    if len(points) > _TOLD:
        points = sorted(points, key=lambda one: one.over_plain.ratio)
        points = [points[0], points[-1]]
    parts = []
    for one in points:
        slower = measured_pace(one.over_plain, one.plain)
        parts.append(f"{one.name} is {slower}{_where(one, told)}")
    same = {(one.name, one.plain) for one in points}
    if len(same) == 1 and all(_slower(one) and _is_known(one.over_plain) for one in points):
        parts[1:] = [f"{times(one.over_plain.ratio)}{_where(one, told)}" for one in points[1:]]
    return ", ".join(parts)


def _unknown(points: Sequence[Point], told: bool) -> str:
    del points, told
    return "the timings scatter too much to say what is fastest; quieten the machine or give --rounds 12"


_ADVICE: dict[Advice, Callable[[Sequence[Point], bool], str]] = {
    "use": _gains,
    "perhaps": _gains,
    "keep": _losses,
    "unknown": _unknown,
}


def _where(one: Point, told: bool) -> str:
    return f" {one.circumstance}" if one.circumstance and told else ""


def _ends(points: Sequence[Point]) -> list[Point]:
    """Where the gain is largest and where it is least, of the gains that are known."""
    known = [one for one in points if _is_known(one.over)] or points
    ordered = sorted(known, key=lambda one: one.over.ratio)
    return [ordered[0], ordered[-1]]


def _is_known(ratio: Comparison) -> bool:
    return is_known(ratio.ratio, ratio.hi)


def _factor(one: Point) -> float:
    return max(one.over.ratio, 1 / one.over.ratio)


def _slower(one: Point) -> bool:
    return one.over_plain.ratio >= SAME


def _listed_circumstances(points: Sequence[Point]) -> str:
    """`for one token`; `for 8 and 128 tokens`."""
    return listed([one.circumstance for one in points])


def _shrinkage(used: Point, rest: Sequence[Result]) -> float:
    """How many times as large the baseline is; NaN where one of the two is not known."""
    own = centre(used.best, BYTES)
    plain = (centre(one, BYTES) for one in rest if one.case.implementation == used.baseline)
    full = next((size for size in plain if size > 0), math.nan)
    return full / own if own > 0 else math.nan


def _size(shrinkage: float) -> str:
    """Against the baseline: `8× smaller`."""
    factor = max(shrinkage, 1 / shrinkage)
    if math.isnan(factor):
        return ""
    return "as large" if factor < SAME else f"{times(factor)} {'smaller' if shrinkage > 1 else 'larger'}"


def _error(best: Result, rest: Sequence[Result]) -> str:
    """`error 8.0 dB, usual for 1.58 bits`."""
    sqnr = centre(best, SQNR)
    return ", ".join([f"error {_decibels(sqnr)}", *_usual(best, rest)]) if not math.isnan(sqnr) else ""


def _usual(best: Result, rest: Sequence[Result]) -> list[str]:
    """Whether the error is what theory predicts, or else what the others have that compute the same scheme."""
    sqnr, bits = centre(best, SQNR), best.facts.get("weight_bits")
    off = off_prediction(best)
    if math.isnan(off):
        same = [one for one in rest if one.case.params == best.case.params and one is not best]
        others = [centre(one, SQNR) for one in same if not one.is_baseline]
        known = [value for value in others if math.isfinite(value)]
        off = sqnr - statistics.median(known) if known and math.isfinite(sqnr) else math.nan
    if bits is None or math.isnan(off):
        return []
    scheme = f"{float(bits):g} bit{'' if bits == 1 else 's'}"
    if abs(off) <= PREDICTION_TOLERANCE:
        return [f"usual for {scheme}"]
    return [f"{typeset(abs(off), 'dB')} {'better' if off > 0 else 'worse'} than usual for {scheme}"]


def _decibels(value: float) -> str:
    return typeset(value, "dB") if not math.isfinite(value) else f"{value:.1f}\N{NO-BREAK SPACE}dB".replace("-", "−")


def _speed_chip(points: Sequence[Point]) -> Chip:
    shown = _ends(points) if len(points) > _TOLD else points
    several = len({one.name for one in points}) > 1
    entries = [
        Entry(
            pace(one.over.ratio) if _is_known(one.over) else NOT_KNOWN,
            _bounds(one.over),
            f"{one.name * several} {one.circumstance}".strip(),
        )
        for one in shown
    ]
    return Chip("Speed", entries)


def _bounds(ratio: Comparison) -> str:
    """The interval of the factor, on the side that the factor is on."""
    if not (ratio.lo > 0 and math.isfinite(ratio.hi)):
        return "no interval"
    faster = ratio.ratio <= 1
    lo, hi = ratio.inverse[1:] if faster else (ratio.lo, ratio.hi)
    return interval_of_times(lo, hi)


def _size_chip(used: Point) -> list[Chip]:
    size, bits = (centre(used.best, metric) for metric in (BYTES, BITS))
    words = f"{bits:.3g} bits a weight" if bits > 0 else ""
    return [Chip("Size", [Entry(typeset(size, "B"), "", words)])] if size > 0 else []


def _error_chip(used: Point, rest: Sequence[Result]) -> list[Chip]:
    sqnr = centre(used.best, SQNR)
    words = ", ".join(["SQNR", *_usual(used.best, rest)])
    return [Chip("Error", [Entry(_decibels(sqnr), "", words)])] if not math.isnan(sqnr) else []


def _change(points: Sequence[Point], varied: Sequence[str], example: Result) -> str:
    """What would change the answer: circumstances that did, and those that nobody varied."""
    told = [_told(points, listed([NAMES[key] for key in varied]))] if varied else []
    fixed = example.case.params
    rest = [NAMES[key] + (f" ({fixed[key]})" if key in fixed else "") for key in NAMES if key not in varied]
    return " ".join([*told, *([f"Not varied: {listed(rest)}."] if rest else [])])


def _told(points: Sequence[Point], names: str) -> str:
    """What circumstances did to the advice; where somebody is among the best under all, nothing that is known."""
    choices = [{"nn.Linear"} if each.advice == "keep" else {each.name, *each.alike} for each in points]
    sure = all(each.advice in ("use", "keep") for each in points)
    if sure and not set.intersection(*choices):
        return f"The advice depends on {names}."
    if sure and all(choice == choices[0] for choice in choices):
        return f"The advice does not depend on {names}, as far as measured."
    return f"Whether the advice depends on {names} is not known."
