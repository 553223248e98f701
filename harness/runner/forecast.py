"""What a run would measure, and how long that takes at most: known before anything is measured."""

from collections.abc import Iterator, Mapping, Sequence

from harness.model import Case, Request
from harness.runner.controller import Controller
from harness.runner.plan import Contest
from harness.runner.time_limit import chosen_by_suites

FIRST, LATER = 2.0, 1.0
"""Seconds that a case takes to be built and checked in the first round and in later ones, where it is a layer of a few
thousand features: more than in any of the runs under results/examples, compilation and trials on other shapes included.
"""


def forecast(controller: Controller, unavailable: Mapping[str, str]) -> Iterator[str]:
    """Lines: every case that is still to be measured by its name, then a summary. The same for a run that goes on."""
    turns = {contest.cases[0].contest: controller.left(contest) for contest in controller.contests}
    cases = {case: None for rounds in turns.values() for some in rounds.values() for case in some}
    yield from (case.name for case in cases)
    suites = dict.fromkeys(contest.suite.name for contest in controller.contests)
    for suite in suites:
        yield _summary(suite, [one for one in controller.contests if one.suite.name == suite], turns)
    absent = dict.fromkeys(case.implementation for case in cases if case.implementation in unavailable)
    yield from (f"{name} will be skipped: {unavailable[name]}" for name in absent)
    yield _time(controller.contests, turns, controller.request)


_Turns = Mapping[str, Mapping[int, Sequence[Case]]]
"""By contest and round: the cases to be measured."""


def _summary(suite: str, contests: Sequence[Contest], turns: _Turns) -> str:
    left = [turns[contest.cases[0].contest] for contest in contests]
    cases = {case for rounds in left for some in rounds.values() for case in some}
    rounds = max((len(some) for some in left), default=0)
    aim = max((contest.aim for contest in contests), key=lambda aim: aim.rounds)
    words = f"{suite}: {_count(len(cases), 'case')} in {_count(sum(map(bool, left)), 'contest')}"
    if not cases:
        return f"{words}: nothing is left to be measured"
    if not aim.precision:
        return f"{words}, {_count(rounds, 'round')} each"
    return f"{words}, at most {_count(rounds, 'round')} each, fewer where {100 * aim.precision:g} % is reached before"


def _time(contests: Sequence[Contest], turns: _Turns, request: Request) -> str:
    timing = preparing = 0.0
    for contest in contests:
        left = turns[contest.cases[0].contest]
        timing += contest.suite.budget.seconds * len(left)
        preparing += sum(len(cases) * (LATER if number else FIRST) for number, cases in left.items())
    end = time_limit_in_words(request, contests) or "--budget TIME ends it before"
    return (
        f"time: {_duration(timing)} of timing and {_duration(preparing)} of building and checking at most, if a case"
        f" takes {FIRST:g} s for that at first and {LATER:g} s in later rounds; one that does not answer is ended after"
        f" {_duration(request.case_limit)}; {end}"
    )


def time_limit_in_words(request: Request, contests: Sequence[Contest]) -> str:
    """When the run ends whatever is left; nothing where that is never."""
    if request.budget:
        return f"no contest begins after {_duration(request.budget)}"
    seconds = chosen_by_suites(request, contests)
    return f"it ends after {_duration(seconds)}, besides what is compiled for the first time" if seconds else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _duration(seconds: float) -> str:
    """`19 s`, `4 min`, `2 h 5 min`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
