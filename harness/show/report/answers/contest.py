"""The three answers about one contest: who is fastest, smallest, most accurate, and what each costs in the others."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from harness.analysis.pairs import in_one_run
from harness.analysis.prediction import PREDICTION_TOLERANCE, is_off, off_prediction
from harness.analysis.ranking import fastest
from harness.analysis.results import Result
from harness.estimators.intervals import Comparison
from harness.model.metrics import ERROR_SQNR, METRICS, Metric
from harness.model.units import figure, is_known
from harness.show.report.answers.questions import ACCURATE, FASTEST, SMALLEST, ContestAnswer
from harness.show.typography import interval, listed, typeset

LATENCY, BYTES, BITS = METRICS["latency"], METRICS["weight_bytes"], METRICS["bits_per_weight"]
SQNR, AGREEMENT, GRADIENT = ERROR_SQNR, METRICS["agreement_sqnr"], METRICS["input_gradient_cosine"]

_SAME_SIZE = 1.01
"""Whatever is that much larger than the smallest counts as equally small: some bytes of scales decide nothing."""

Ratios: TypeAlias = Mapping[tuple[str, str], Comparison]
"""Latency over the baselines, by (case name, baseline)."""


def answers(
    rivals: Sequence[Result], ratios: Ratios, baselines: Sequence[str] = ()
) -> tuple[ContestAnswer, ContestAnswer, ContestAnswer]:
    """The three answers from the measured results of one contest; speed over `baselines`, the first before others."""
    return speed_answer(rivals, ratios, baselines), *other_answers(rivals)


def centre(result: Result, metric: Metric) -> float:
    """The metric over all rounds, NaN where it was not measured."""
    summary = result.summary(metric.name)
    return summary.centre if summary else math.nan


def prediction(result: Result) -> list[str]:
    """What theory says of the SQNR, in a sentence; nothing where it says nothing."""
    off = off_prediction(result)
    if math.isnan(off):
        return []
    flag = f", more than {PREDICTION_TOLERANCE} dB away" if is_off(result) else ""
    return [f"Theory predicts {typeset(float(result.facts['predicted_sqnr']), 'dB')}{flag}."]


def _entrants(rivals: Sequence[Result], metric: Metric) -> list[Result]:
    """Those that have a number; baselines stand outside unless they are alone."""
    having = [result for result in rivals if not math.isnan(centre(result, metric))]
    return [result for result in having if not result.is_baseline] or having


def speed_answer(rivals: Sequence[Result], ratios: Ratios, baselines: Sequence[str]) -> ContestAnswer:
    """Who is fastest."""
    ahead = fastest(rivals)
    if not ahead and not _entrants(rivals, LATENCY):
        return ContestAnswer(FASTEST, reasons=("Latency was not measured here; the suite latency measures it.",))
    if not ahead:
        return ContestAnswer(FASTEST, alike="not known", reasons=("The timings scatter too much; more rounds decide.",))
    best = ahead[0]
    close = {_name(result): in_one_run(best, result) for result in ahead[1:]}
    over = {base: ratios[best.name, base] for base in baselines if (best.name, base) in ratios and base != _name(best)}
    gains = {base: ratio for base, ratio in over.items() if ratio.ratio > 0 and is_known(ratio.ratio, ratio.hi)}
    reasons = [
        f"{name} takes {_times(ratio.ratio, ratio.lo, ratio.hi)} as long."
        for name, ratio in close.items()
        if is_known(ratio.ratio, ratio.hi)
    ]
    first = next(iter(baselines), "")
    factors = [f"{_times(*ratio.inverse)} as fast as {base}" for base, ratio in gains.items()]
    if factors:
        reasons.append(f"{_name(best)} is {listed(factors)}.")
    lead = f"{_name(best)} ahead with " if close else ""
    return ContestAnswer(
        FASTEST,
        (_name(best), *close),
        alike=_alone(_entrants(rivals, LATENCY)),
        undecided=bool(close),
        amount=lead + _latency(best),
        reasons=(*reasons, *_price(best, rivals, BYTES, SQNR)),
        rank=gains[first].inverse[0] if first in gains else math.nan,
    )


def other_answers(rivals: Sequence[Result]) -> tuple[ContestAnswer, ContestAnswer]:
    """Who is smallest, and who is most accurate."""
    return _smallest(rivals), _most_accurate(rivals)


def _smallest(rivals: Sequence[Result]) -> ContestAnswer:
    entrants = _entrants(rivals, BYTES)
    if not entrants:
        return ContestAnswer(
            SMALLEST, reasons=("Weight bytes were not measured here; the suite memory measures them.",)
        )
    least = min(centre(result, BYTES) for result in entrants)
    equal = sorted((r for r in entrants if centre(r, BYTES) <= _SAME_SIZE * least), key=_latency_last_if_unknown)
    size, bits = centre(equal[0], BYTES), centre(equal[0], BITS)
    return ContestAnswer(
        SMALLEST,
        tuple(map(_name, equal)),
        alike=_alone(entrants),
        amount=typeset(size, "B") + (f", {figure(bits, 3)} bits per weight" if math.isfinite(bits) else ""),
        reasons=tuple(_price(equal[0], rivals, LATENCY, SQNR)),
        rank=bits,
    )


def _most_accurate(rivals: Sequence[Result]) -> ContestAnswer:
    entrants = [result for result in rivals if not math.isnan(centre(result, SQNR))]
    faithful = _closest(rivals, AGREEMENT, "Closest to the contract: {} with an agreement of {}.")
    faithful += _closest(rivals, GRADIENT, "Gradient of the input closest to full precision: {} with a cosine of {}.")
    if not entrants:
        missing = "The scheme's error was not measured here; the suite error measures it."
        return ContestAnswer(ACCURATE, reasons=(missing, *faithful))
    most = max(centre(result, SQNR) for result in entrants)
    equal = [result for result in entrants if SQNR.is_same(most, centre(result, SQNR))]
    scheme = str(equal[0].case.params.get("scheme", ""))
    shared = bool(scheme) and len(equal) == len(entrants)
    why = ["The error belongs to the scheme: all that compute it have the same."] * (shared and len(equal) > 1)
    alike = f"all alike, by {scheme}" if shared and len(equal) > 1 else _alone(entrants)
    return ContestAnswer(
        ACCURATE,
        tuple(map(_name, equal)),
        alike=alike,
        amount=f"SQNR {typeset(most, 'dB')}",
        reasons=(*why, *prediction(equal[0]), *_errorless(rivals), *faithful),
        rank=most,
    )


def _closest(rivals: Sequence[Result], metric: Metric, sentence: str) -> list[str]:
    entrants = _entrants(rivals, metric)
    most = max((centre(result, metric) for result in entrants), default=math.nan)
    names = [_name(result) for result in entrants if centre(result, metric) == most]
    return [sentence.format(listed(names), typeset(most, metric.unit))] if names else []


def _errorless(rivals: Sequence[Result]) -> list[str]:
    """What it costs to have no quantisation error at all."""
    plain = [result for result in rivals if result.is_baseline and not math.isnan(centre(result, LATENCY))]
    if not plain:
        return []
    best = min(plain, key=lambda result: centre(result, LATENCY))
    costs = [typeset(centre(best, metric), metric.unit) for metric in (LATENCY, BYTES) if best.has(metric.name)]
    return [f"No quantisation error at all costs {listed(costs)} ({_name(best)})."]


def _price(best: Result, rivals: Sequence[Result], *metrics: Metric) -> list[str]:
    """What the winner of one question costs in the others, each beside the best of the contest."""
    parts = []
    for metric in metrics:
        value = centre(best, metric)
        if not math.isnan(value):
            rest = [centre(result, metric) for result in _entrants(rivals, metric)]
            parts.append(_COSTS[metric.name].format(typeset(value, metric.unit)) + _beside(metric, value, rest))
    return [f"{_name(best)} {' and '.join(parts)}."] if parts else []


_COSTS = {"latency": "takes {}", "weight_bytes": "stores {}", "error_sqnr": "has an SQNR of {}"}


def _beside(metric: Metric, value: float, rest: Sequence[float]) -> str:
    if metric is SQNR:
        short = max(rest) - value
        return f" ({typeset(short, 'dB')} below the best)" if short > SQNR.tolerance else ""
    word, least = ("fastest" if metric is LATENCY else "smallest"), min(rest)
    if metric is BYTES and value <= _SAME_SIZE * least:
        return " (the smallest)"
    return f" ({figure(value / least, 3)} times the {word})" if 0 < least < value else f" (the {word})"


def _alone(entrants: Sequence[Result]) -> str:
    """Words for one that has no rival and so wins nothing."""
    return f"only {_name(entrants[0])}" if len(entrants) == 1 else ""


def _latency(result: Result) -> str:
    """With its interval: `271 µs [264 µs, 278 µs]`."""
    summary = result.summary(LATENCY.name)
    return f"{typeset(summary.centre, 's')} {interval(summary.lo, summary.hi, 's')}".strip() if summary else ""


def _times(factor: float, lo: float, hi: float) -> str:
    """`2.51 times [2.45, 2.58]`."""
    bounds = f" [{figure(lo, 3)}, {figure(hi, 3)}]" if math.isfinite(lo) else " (no interval)"
    return f"{figure(factor, 3)} times{bounds}"


def _latency_last_if_unknown(result: Result) -> tuple[bool, float]:
    latency = centre(result, LATENCY)
    return math.isnan(latency), latency


def _name(result: Result) -> str:
    return result.case.implementation
