"""A verdict in words, made where it is shown: the change, what led to it, and what settles it.

One sign convention everywhere: a change is head against base in percent, and negative is less.
"""

import math
from collections.abc import Iterable, Mapping

import msgspec

from harness.estimators.intervals import Comparison
from harness.estimators.sample_mean import Difference
from harness.judge.judge import Judgement, sentinel_note
from harness.judge.verdict import Cure, Note, Verdict, Word
from harness.model.metrics import Exact
from harness.model.metrics.paired import difference_words, tolerance_words
from harness.model.units import amount, distinct_amounts, percent_change

LEGEND = "changes are head against base, in percent: negative is faster or smaller; [low, high] is the interval"
"""Said once on every page that shows changes."""
_UNIT_BY_UNIT = "; changes of paired metrics are the mean difference over their units, in the metric's unit"

_CURES: Mapping[Cure, str] = {
    "more_rounds": "about {needed} rounds would settle it, if its noise stays",
    "quieter_machine": "more rounds will not settle it: quieten the machine, see `bitbench env --check`, or allow it"
    " more",
    "rounds_option": "measure 3 rounds or more (--rounds 3)",
    "budget_option": "give it more time with --budget",
    "measure_again": "measure it again",
    "one_machine": "measure both on one machine",
    "measure_anew": "measure both anew",
    "more_units": "about {needed} units would settle it, if they differ as these do",
    "several_units": "measure several units",
    "wider_tolerance": "it is too near to what is tolerated to be settled by more units: allow it more in gate.toml, or"
    " take the change back",
    "raw_values": "import files that have them, see docs/how-to/other-tools.md",
    "gate_again": "end what else runs, see `bitbench env --check`, and gate again",
}


class ToldVerdict(Verdict, frozen=True, kw_only=True):
    """A verdict as files and `--format json` have it: the data, and the same in one sentence."""

    reason: str
    """Change, note and cure, joined by semicolons."""


def legend(verdicts: Iterable[Verdict | None]) -> str:
    """What is said once of the changes of all these."""
    return LEGEND + _UNIT_BY_UNIT * any(verdict is not None and verdict.difference is not None for verdict in verdicts)


def told_verdict(verdict: Verdict) -> ToldVerdict:
    """The verdict with its reason."""
    fields = {name: getattr(verdict, name) for name in Verdict.__struct_fields__}
    return ToldVerdict(**fields, reason=reason(verdict))


def reason(verdict: Verdict) -> str:
    """All that is to be said besides the word: `+4.1 % [+2.7, +5.4]; the margin is 3 %`."""
    return "; ".join(filter(None, (values(verdict), grounds(verdict))))


def grounds(verdict: Verdict) -> str:
    """What is to be said besides word and change: what led to it, and what settles it."""
    return "; ".join(filter(None, (note_words(verdict), cure_words(verdict))))


def values(verdict: Verdict) -> str:
    """The change with its interval; of an exact metric the values, of a paired one the difference and the values."""
    both = verdict.comparison
    if both and verdict.difference:
        return _unit_by_unit(both, verdict.difference, verdict.unit)
    if both is None or not verdict.is_exact:
        return change_words(verdict)
    if verdict.note:
        return ""
    before, after = both.baseline.centre, both.candidate.centre
    if verdict.word == "ok":
        return amount(after, verdict.unit)
    metric = Exact(name=verdict.metric, unit=verdict.unit, better="lower")  # in either direction a change reads alike
    one, other = distinct_amounts(before, after, verdict.unit)
    return f"{one} became {other} ({metric.change(both)})"


def _unit_by_unit(both: Comparison, found: Difference, unit: str) -> str:
    """`+0.012 [+0.004, +0.020] bit/B over 12 units, 1.023 became 1.035`."""
    before, after = both.baseline.centre, both.candidate.centre
    if found.alike == found.units:
        return f"{amount(after, unit)}, {difference_words(found, unit)}"
    if math.isnan(found.centre):
        return ""
    units = f"over {found.units} unit{'s' * (found.units > 1)}"
    one, other = distinct_amounts(before, after, unit) if before != after else (amount(before, unit),) * 2
    return f"{difference_words(found, unit)} {units}, {one} became {other}"


def change_words(verdict: Verdict) -> str:
    """`-8.0 % [-9.9, -6.1]`; empty where no change is known."""
    return percent_change(*msgspec.structs.astuple(verdict.change)) if verdict.change else ""


def note_words(verdict: Verdict) -> str:
    """What led to the word besides the change; an allowance is always said."""
    margin = f"the margin is {percent(verdict.margin)}"
    margin += f", an allowance: {verdict.allowance}" if verdict.allowance else ""
    note = verdict.note
    if note is None:
        return margin if verdict.allowance else ""
    match note.code:
        case "beyond_margin":
            return margin
        case "confirmed":
            return f"{margin}; fresh processes confirmed it"
        case "unconfirmed":
            return f"{margin}; accused after {note.rounds} rounds, and not confirmed yet"
        case "beyond_tolerance":
            return tolerance_words(verdict.allowed, verdict.unit)
        case "undecided_units":
            return f"{tolerance_words(verdict.allowed, verdict.unit)}, and the units do not tell whether this is more"
        case "undecided":
            return f"{margin}, and the rounds do not tell whether this is beyond it"
    return _missing(note)


def _missing(note: Note) -> str:
    """Why there is nothing to decide on."""
    match note.code:
        case "one_round":
            return "one round gives no interval"
        case "one_unit":
            return "one unit gives no interval"
        case "too_few_rounds":
            return f"{note.rounds} of the {note.of} rounds that the first look takes"
        case "no_case":
            return f"{note.side} has no such case"
        case "no_metric":
            return f"{note.side} did not measure this metric"
        case "ended":
            how = {"skipped": "skipped it", "timed_out": "timed out"}.get(str(note.outcome), str(note.outcome))
            return f"{note.side} {how} in round {note.rounds}: {note.detail}"
        case "wrong_answer":
            return f"{note.side} gives a wrong answer: {note.detail}"
        case "not_a_number":
            return note.detail or f"{note.side or 'the ratio'} is not a number"
        case "other_sample":
            return f"{note.detail}, which cannot be paired"
        case "no_raw_values":
            return f"{note.detail} and no raw values, so that its noise is not known"
        case "unlike_machines":
            return f"base and head were measured on unlike machines ({note.detail})"
        case "other_units":
            return f"base and head have it in unlike units ({note.detail})"
        case "sentinel_moved":
            change = percent_change(*msgspec.structs.astuple(note.change)) if note.change else "an unknown share"
            return (
                f"the environment is invalid: the latency of {note.detail}, whose code is the same on both sides,"
                f" changed by {change}"
            )
    raise ValueError(f"no words for {note.code}")


def cure_words(verdict: Verdict) -> str:
    """What settles the verdict; empty where it stands."""
    return _CURES[verdict.cure].format(needed=verdict.needed) if verdict.cure else ""


def invalid_words(judgement: Judgement) -> str:
    """Why the environment gives no verdict on latencies, and what to do; empty where it does."""
    moved = judgement.moved
    return f"{_missing(sentinel_note(moved))}; {_CURES['gate_again']}" if moved else ""


def spaced(word: Word) -> str:
    """The word as people write it."""
    return word.replace("_", " ")


def percent(share: float) -> str:
    """`3 %`."""
    return f"{100 * share:.3g} %"
