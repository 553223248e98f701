"""Contests and quantities in words: one spelling for frames, figures and the report."""

import math
from collections.abc import Iterable, Sequence

from harness.model import Case, Params
from harness.quantity import amount, figure
from harness.results import Result, contests, varying

_ALWAYS = ("n", "k", "m", "scheme")


def full_precision(implementation: str) -> bool:
    """Whether the name is one of the plain linear layers: they run beside the BitLinears and quantise nothing."""
    return implementation.startswith("linear-")


def titles(everything: Iterable[Result]) -> dict[str, str]:
    """The contests of one run in words, by name: `2560 × 2560, M = 1, w1.58a8`, then what else varies in the suite.

    The suite's name comes first where there are several suites.
    """
    by_suite: dict[str, list[Result]] = {}
    for result in everything:
        by_suite.setdefault(result.case.suite, []).append(result)
    words = {}
    for members in by_suite.values():
        _, differing = varying(members)
        for contest, group in contests(members).items():
            words[contest] = _title(group[0].case, differing, several=len(by_suite) > 1)
    return words


def typeset(value: float, unit: str) -> str:
    """`harness.quantity.amount` with typographic signs, and a space that does not break: `458 µs`, `−3.01 dB`."""
    return (
        amount(value, unit).replace("us", "µs").replace("-", "−").replace("inf", "∞").replace(" ", "\N{NO-BREAK SPACE}")
    )


def interval(lo: float, hi: float, unit: str) -> str:
    """`[230 µs, 238 µs]`, or nothing where there is no interval."""
    return f"[{typeset(lo, unit)}, {typeset(hi, unit)}]" if math.isfinite(lo) and math.isfinite(hi) else ""


def interval_of_times(lo: float, hi: float) -> str:
    """`[2.45, 2.58]`: the interval of a factor."""
    return f"[{figure(lo, 3)}, {figure(hi, 3)}]"


def listed(names: Sequence[str], most: int = 4) -> str:
    """`a`, `a and b`, `a, b and c`; beyond `most` names the rest are counted. There is one name at least."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} others"]
    *rest, last = names
    return f"{', '.join(rest)} and {last}" if rest else last


def _title(case: Case, differing: Iterable[str], several: bool) -> str:
    params = case.params
    parts = _shape(params) + [f"{key} {params[key]}" for key in differing if key in params and key not in _ALWAYS]
    if not parts:
        return case.suite
    return f"{case.suite}: {', '.join(parts)}" if several else ", ".join(parts)


def _shape(params: Params) -> list[str]:
    parts = [f"{params['n']} × {params['k']}"] if "n" in params and "k" in params else []
    parts += [f"M = {params['m']}"] if "m" in params else []
    return parts + ([str(params["scheme"])] if "scheme" in params else [])
