"""The three answers where a suite measures only error: schemes compete instead of implementations."""

import math
from collections.abc import Iterable, Sequence

from harness.analysis.prediction import PREDICTION_TOLERANCE, is_off
from harness.analysis.results import Result
from harness.show.report.answers.contest import SQNR, centre, prediction
from harness.show.report.answers.questions import ACCURATE, FASTEST, SMALLEST, ContestAnswer
from harness.show.typography import typeset


def points(measured: Iterable[Result]) -> dict[str, list[Result]]:
    """Results by everything but the scheme, in words: what differs between the points, or all where there is one."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result in measured:
        if not math.isnan(centre(result, SQNR)):
            place = tuple(f"{key} {value}" for key, value in result.case.params.items() if key != "scheme")
            groups.setdefault(place, []).append(result)
    shared = set.intersection(*map(set, groups)) if groups else set()
    return {
        ", ".join(word for word in place if word not in shared) or ", ".join(place): group
        for place, group in groups.items()
    }


def answers(group: Sequence[Result]) -> tuple[ContestAnswer, ContestAnswer, ContestAnswer]:
    """The three answers about the schemes at one point."""
    unmeasured = ContestAnswer(FASTEST, reasons=("Only error was measured here; the suite latency measures speed.",))
    return unmeasured, _fewest_bits(group), _most_accurate(group)


def _fewest_bits(group: Sequence[Result]) -> ContestAnswer:
    fewest = min(map(_bits, group))
    best = max((result for result in group if _bits(result) == fewest), key=lambda result: centre(result, SQNR))
    short = max(centre(result, SQNR) for result in group) - centre(best, SQNR)
    sqnr = f"{_scheme(best)} has an SQNR of {typeset(centre(best, SQNR), 'dB')}, {typeset(short, 'dB')} below the best."
    return ContestAnswer(SMALLEST, (_scheme(best),), amount=_bits_in_words(best), reasons=(sqnr,), rank=fewest[0])


def _most_accurate(group: Sequence[Result]) -> ContestAnswer:
    best = max(group, key=lambda result: centre(result, SQNR))
    off = sum(map(is_off, group))
    flag = f"{off} of {len(group)} schemes are more than {PREDICTION_TOLERANCE} dB off what theory predicts."
    return ContestAnswer(
        ACCURATE,
        (_scheme(best),),
        amount=f"SQNR {typeset(centre(best, SQNR), 'dB')}",
        reasons=(
            f"It takes {_bits_in_words(best)}.",
            *prediction(best),
            _by_weight_bits(group),
            *[flag] * bool(off),
        ),
        rank=centre(best, SQNR),
    )


def _by_weight_bits(group: Sequence[Result]) -> str:
    best: dict[float, float] = {}
    for result in group:
        weight, sqnr = _bits(result)[0], centre(result, SQNR)
        best[weight] = max(sqnr, best.get(weight, -math.inf))
    steps = ", ".join(f"{weight:g}: {typeset(best[weight], 'dB')}" for weight in sorted(best))
    return f"Best by weight bits: {steps}."


def _bits(result: Result) -> tuple[float, float]:
    weight, activation = (result.facts.get(name, math.inf) for name in ("weight_bits", "activation_bits"))
    return float(weight), float(activation)


def _bits_in_words(result: Result) -> str:
    weight, activation = _bits(result)
    return f"{weight:g}-bit weights and {activation:g}-bit activations"


def _scheme(result: Result) -> str:
    return str(result.case.params.get("scheme", result.case.implementation))
