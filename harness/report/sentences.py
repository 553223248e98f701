"""The answer in one sentence for every layer: what to use, what it gains, what it costs, and what would change that."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from harness.model import Comparison
from harness.quantity import figure
from harness.report import rivals
from harness.report.answers import Answer
from harness.result_table import BASELINES, View
from harness.results import Result, contests
from harness.wording import full_precision, listed, titles, typeset

CIRCUMSTANCES = {
    "m": "at M\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{}",
    "threads": "with {} threads",
    "cache": "with {} weights",
}
"""Params that a layer meets in use: one sentence speaks of all of them, as any of them may change the answer."""
_NAMES = {"m": "the number of tokens M", "threads": "the number of threads", "cache": "the cache regime"}
_TOLD = 3
"""Circumstances that are told one by one; of more, the ones where the gain is least and largest."""


@dataclass(frozen=True)
class Sentence:
    """What to use for one layer."""

    layer: str
    answer: str
    """One sentence."""
    change: str
    """What would change the answer, as far as this run knows, in a few words."""


@dataclass(frozen=True)
class _Point:
    """The fastest BitLinear under one circumstance."""

    circumstance: str
    winners: tuple[str, ...]
    """The fastest and all that are within noise of it."""
    best: Result
    over: dict[str, Comparison]
    """Latency over each baseline."""

    @property
    def is_a_gain(self) -> bool:
        """Whether the best is known to be faster than every baseline, or there is no baseline."""
        return all(ratio.hi < 1 for ratio in self.over.values())

    @property
    def is_a_loss(self) -> bool:
        """Whether some baseline is known to be faster than the best."""
        return any(ratio.lo > 1 for ratio in self.over.values())

    @property
    def gain(self) -> float:
        """The speed-up over the first baseline that ran."""
        return next((1 / ratio.ratio for ratio in self.over.values()), math.nan)


def sentences(measured: Sequence[Result], view: View, fastest: Mapping[str, Answer]) -> list[Sentence]:
    """A sentence for each layer (shape, scheme and whatever else is no circumstance) with latencies of a BitLinear.

    `fastest` holds the answer of each contest.
    """
    by_contest = contests(measured)
    words = titles(measured)
    layers: dict[str, list[str]] = {}
    for contest, members in by_contest.items():
        layers.setdefault(_layer(members[0], words[contest]), []).append(contest)
    found = [_sentence(layer, [by_contest[name] for name in names], view, fastest) for layer, names in layers.items()]
    return [sentence for sentence in found if sentence]


def _layer(member: Result, title: str) -> str:
    """The contest's title without its circumstances."""
    params = member.case.params
    spelled = {f"M = {params.get('m')}", *(f"{key} {params.get(key)}" for key in CIRCUMSTANCES)}
    return ", ".join(part for part in title.split(", ") if part not in spelled)


def _sentence(
    layer: str, everyone: Sequence[Sequence[Result]], view: View, fastest: Mapping[str, Answer]
) -> Sentence | None:
    varied = [key for key in CIRCUMSTANCES if len({members[0].case.params.get(key) for members in everyone}) > 1]
    answered = [(members, fastest[members[0].contest]) for members in everyone if members[0].contest in fastest]
    points = [point for members, answer in answered if (point := _point(members, answer, varied, view))]
    if not points:
        return None
    price = _price(points[0].best, [result for members in everyone for result in members])
    answer = "; ".join([*_uses(points), *[price] * bool(price)]) + "."
    return Sentence(layer, answer[0].upper() + answer[1:], _change(points, varied, everyone[0][0]))


def _point(members: Sequence[Result], fastest: Answer, varied: Sequence[str], view: View) -> _Point | None:
    """None where no BitLinear was timed beside a plain linear layer."""
    best = next((result for result in members if result.case.implementation in fastest.winners[:1]), None)
    if best is None or full_precision(best.case.implementation):
        return None
    over = {base: view.ratios[best.name, base] for base in reversed(BASELINES) if (best.name, base) in view.ratios}
    over = {base: ratio for base, ratio in over.items() if ratio.ratio > 0}
    params = members[0].case.params
    circumstance = " ".join(CIRCUMSTANCES[key].format(params.get(key)) for key in varied)
    return _Point(circumstance.replace(" 1 threads", " 1 thread"), fastest.winners, best, over) if over else None


def _uses(points: Sequence[_Point]) -> list[str]:
    """What to use: a clause for each row of circumstances under which the same contestants win."""
    clauses = []
    for winners, some in groupby(points, key=lambda point: point.winners):
        same = list(some)
        gains = _gains(same, told=len(points) > 1 and len(same) == 1)
        where = "" if len(same) == len(points) else f" {listed([point.circumstance for point in same])}"
        first, *others = winners
        if others:
            rest = f"{listed(others)} {'is' if len(others) == 1 else 'are'} within noise of it"
            clauses.append(f"undecided{where}: {first} has {gains}, and {rest}")
        elif all(point.is_a_loss for point in same):
            clauses.append(f"keep a plain linear layer{where} unless memory counts: {first}, the fastest, has {gains}")
        else:
            clauses.append(f"use {first}{where}: it has {gains}")
    return clauses


def _gains(points: Sequence[_Point], told: bool) -> str:
    """How fast under each circumstance, or where least and where most; circumstances are not said where `told`."""
    if len(points) > _TOLD:
        ordered = sorted(points, key=lambda point: point.gain)
        return f"from {_gain(ordered[0], told)} to {_gain(ordered[-1], told)}"
    return ", and ".join(_gain(point, told) for point in points)


def _gain(point: _Point, told: bool) -> str:
    factors = [_times(ratio) for ratio in point.over.values()]
    speeds = [
        f"{factor} {'that' if n else 'the speed'} of {base}"
        for n, (factor, base) in enumerate(zip(factors, point.over, strict=True))
    ]
    at = f" {point.circumstance}" if point.circumstance and not told else ""
    doubt = "" if point.is_a_gain or point.is_a_loss else " (within noise)"
    return listed(speeds) + doubt + at


def _times(ratio: Comparison) -> str:
    known = ratio.lo > 0 and math.isfinite(ratio.hi)
    bounds = f" [{figure(1 / ratio.hi, 3)}, {figure(1 / ratio.lo, 3)}]" if known else " (no interval)"
    return f"{figure(1 / ratio.ratio, 3)} times{bounds}"


def _price(best: Result, rest: Sequence[Result]) -> str:
    """What the best stores, against the first of BASELINES, and how large the scheme's error is."""
    size, sqnr, bits = (rivals.centre(best, metric) for metric in (rivals.BYTES, rivals.SQNR, rivals.BITS))
    plain = (rivals.centre(one, rivals.BYTES) for one in rest if one.case.implementation == BASELINES[0])
    parts = []
    if size > 0:
        factor = next((f", {figure(full / size, 3)} times less than {BASELINES[0]}" for full in plain if full > 0), "")
        parts.append(
            f"{best.case.implementation} stores {typeset(size, 'B')}"
            + (f" ({figure(bits, 3)} bits per weight){factor}" if bits > 0 else "")
        )
    if math.isfinite(sqnr):
        parts.append(f"its output has an SQNR of {typeset(sqnr, 'dB')} against full precision")
    return ", and ".join(parts)


def _change(points: Sequence[_Point], varied: Sequence[str], example: Result) -> str:
    """What would change the answer: circumstances that did, and those that nobody varied."""
    told = []
    if varied:
        told.append(f"{listed([_NAMES[key] for key in varied])} {_verb(points, one=len(varied) == 1)} the answer here")
    fixed = example.case.params
    rest = [_NAMES[key] + (f" ({fixed[key]})" if key in fixed else "") for key in CIRCUMSTANCES if key not in varied]
    if rest:
        told.append(f"{listed(rest)} {'was' if len(rest) == 1 else 'were'} not varied")
    text = "; ".join(told)
    return text[:1].upper() + text[1:] + "." * bool(text)


def _verb(points: Sequence[_Point], *, one: bool) -> str:
    """What circumstances did to the answer; where somebody is among the fastest under all, nothing that is known."""
    winners = [set(point.winners) for point in points]
    if not set.intersection(*winners):
        return "changes" if one else "change"
    if all(some == winners[0] for some in winners):
        return "does not change" if one else "do not change"
    return "is not known to change" if one else "are not known to change"
