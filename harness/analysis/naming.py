"""Contests and quantities in words: one spelling for frames, figures and the report."""

from collections.abc import Iterable

from harness.analysis.results import Result, contests, varying
from harness.model import Case, Params

_ALWAYS = ("n", "k", "m", "scheme")


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
