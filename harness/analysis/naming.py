"""Contests and quantities in words: one spelling for frames, figures and the report."""

from collections.abc import Collection, Iterable

from harness.analysis.results import HasCase, varying
from harness.model import Case, Params

_ALWAYS = ("n", "k", "m", "scheme")


def titles(everything: Iterable[HasCase], without: Collection[str] = ()) -> dict[str, str]:
    """The contests of one run in words, by name: `2560 × 2560, M = 1, w1.58a8`, then what else varies in the suite.

    The suite's name comes first where there are several suites. Params in `without` are not said: contests that differ
    in nothing else have one title.
    """
    by_suite: dict[str, list[HasCase]] = {}
    for one in everything:
        by_suite.setdefault(one.case.suite, []).append(one)
    words: dict[str, str] = {}
    for members in by_suite.values():
        said = [key for key in varying(members)[1] if key not in _ALWAYS and key not in without]
        for case in (one.case for one in members):
            if case.contest not in words:
                words[case.contest] = _title(case, said, without, several=len(by_suite) > 1)
    return words


def _title(case: Case, further: Iterable[str], without: Collection[str], several: bool) -> str:
    params = case.params
    usual = _usual({key: value for key, value in params.items() if key not in without})
    parts = usual + [f"{key} {params[key]}" for key in further if key in params]
    if not parts:
        return case.suite
    return f"{case.suite}: {', '.join(parts)}" if several else ", ".join(parts)


def _usual(params: Params) -> list[str]:
    parts = [f"{params['n']} × {params['k']}"] if "n" in params and "k" in params else []
    parts += [f"M = {params['m']}"] if "m" in params else []
    return parts + ([str(params["scheme"])] if "scheme" in params else [])
