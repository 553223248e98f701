"""When a contest is precise enough: planned looks at the intervals, while it runs and when it is read back."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.analysis.intervals import rounds_needed
from harness.analysis.looks import CONFIDENCE, HOPELESS, LOOKED_AT, LOOKS
from harness.analysis.pairs import in_one_run
from harness.analysis.results import Result
from harness.analysis.voided import DISTURBED, MOST
from harness.model import Aim, Case, Rules, RunRules
from harness.model.metrics import METRICS

LEGEND = "ended: converged, as precise as asked for; budget, out of rounds or time; unstable, more rounds are no cure"

State = Literal["converged", "budget", "unstable"]


@dataclass(frozen=True)
class Convergence:
    """How far a case came. `state` is empty where the rounds were fixed beforehand or there is one round only."""

    state: State | Literal[""]
    rounds: int
    samples: int
    precision: float
    """Half width of the interval of the log ratio to the baseline, of the latency itself where it has no other."""
    needed: int
    """Rounds that would bring it down to what was asked for, if the noise stays as it is."""


def baseline_of(members: Iterable[Result]) -> Result | None:
    """The member that the others are held against: the suite's baseline, else the first that was timed."""
    timed = [result for result in members if METRICS["latency"] in result.metrics]
    named = (result for result in timed if result.case.implementation == result.aim.baseline)
    return next(named, timed[0] if timed else None)


def half_width(result: Result, baseline: Result) -> float:
    """Of the interval of the log ratio of `result` to `baseline`, or of the log latency of the baseline itself.

    NaN while there is no interval.
    """
    if result.case != baseline.case:
        ratio = in_one_run(baseline, result)
        return _log_width(ratio.ratio, ratio.hi)
    summary = result.summary(METRICS["latency"])
    return _log_width(summary.centre, summary.hi) if summary else math.nan


def undecided(members: Iterable[Result]) -> set[Case]:
    """Those of a contest that go on: whose interval is too wide, and the baseline as long as there is any such.

    A baseline is held against its own latency only where it is alone.
    """
    everyone = list(members)
    baseline = baseline_of(everyone)
    if baseline is None:
        return set()
    others = [result for result in everyone if result.case != baseline.case] or [baseline]
    wide = {result.case for result in others if not half_width(result, baseline) <= result.aim.precision}
    return wide | {baseline.case} if wide else set()


def convergence(members: Iterable[Result]) -> Mapping[Case, Convergence]:
    """How far each timed member of a contest came."""
    everyone = list(members)
    baseline = baseline_of(everyone)
    if baseline is None:
        return {}
    timed = [result for result in everyone if METRICS["latency"] in result.metrics]
    found = {result.case: _convergence(result, baseline) for result in timed}
    others = [one.state for case, one in found.items() if case != baseline.case]
    if others and found[baseline.case].state:  # it went on as long as anybody needed it
        state: State = "converged" if set(others) == {"converged"} else "budget"
        here = found[baseline.case]
        found[baseline.case] = Convergence(state, here.rounds, here.samples, here.precision, here.rounds)
    return found


def _convergence(result: Result, baseline: Result) -> Convergence:
    taken = result.rounds(METRICS["latency"])
    samples = sum(len(one.values) for one in taken.values())
    width, aim = half_width(result, baseline), result.aim.precision
    if not aim or math.isnan(width):
        return Convergence("", len(taken), samples, width, 0)
    if width <= aim:
        return Convergence("converged", len(taken), samples, width, len(taken))
    needed = rounds_needed(len(taken), width, aim, LOOKED_AT if result.looked_at else CONFIDENCE, sides=1)
    return Convergence("budget" if needed <= HOPELESS else "unstable", len(taken), samples, width, needed)


def _log_width(centre: float, hi: float) -> float:
    return math.log(hi / centre) if 0 < centre < math.inf and math.isfinite(hi) else math.nan


def advice(found: Iterable[Convergence], aim: Aim) -> str:
    """What to do about those that are not as precise as asked for; empty if there is none."""
    short = [one for one in found if one.needed > one.rounds]
    if not short:
        return ""
    told = f"{len(short)} cases are not known to {100 * aim.precision:g} % either side"
    wild = sum(one.state == "unstable" for one in short)
    needed = max((one.needed for one in short if one.state == "budget"), default=0)
    command = f"`bitbench run --resume --out DIR --precision {100 * aim.precision:g}% --rounds {needed}`"
    cures = [f"{command} goes on from here for {len(short) - wild} of them"] if needed else []
    cures += [f"quieten the machine for {wild}, see `bitbench env --check`"] if wild else []
    return f"{told}: {cures[0]}"


def at_most(aim: Aim) -> str:
    """After a number of rounds: what ended them where a precision was to be reached, that or their number."""
    return f" (at most {aim.rounds}, fewer where known to {100 * aim.precision:g} %)" if aim.precision else ""


def declared(gate: Rules | None = None) -> RunRules:
    """What a run declares before it measures, beside its aims; a gate with its own rules, which have the looks."""
    if gate is not None:
        return RunRules(disturbed=DISTURBED, most_voided=MOST, gate=gate)
    return RunRules(looks=LOOKS, confidence=CONFIDENCE, disturbed=DISTURBED, most_voided=MOST)
