"""How a case fared in a gate, look by look, in words: what was found, what it had to be below, and what came of it."""

import math
from collections.abc import Iterator, Sequence

from harness.estimators.looks import CONFIDENCE, LOOKED_AT
from harness.estimators.t_test import LogRatio
from harness.judge.rules import Rules
from harness.judge.sequential import FRESH, ONCE, CaseHistory
from harness.judge.verdict import Look, Verdict
from harness.show.table import Column, Table


def looks_table(verdict: Verdict, is_paired: bool) -> Table:
    """A row a look: the mean so far, and each chance beside the level that it was held against."""
    confidence = LOOKED_AT if is_paired else CONFIDENCE
    headings = (
        "after\nrounds",
        "change",
        f"{100 * confidence:g} % interval",
        "p if just\nwithin margin",
        "accused\nat most at",
        "p if just\nbeyond margin",
        "ok\nat most at",
    )
    rows = [
        [
            look.rounds,
            signed(look.mean),
            f"[{signed(look.mean - look.half_width)}, {signed(look.mean + look.half_width)}]",
            chance(look.above),
            chance(look.above_level) if look.above_level else "-",
            chance(look.below),
            chance(look.below_level),
            "undecided" if look.state == "open" else look.state,
        ]
        for look in verdict.looks
    ]
    return Table("", (*(Column(heading, "right") for heading in headings), Column("then")), rows)


def levels(rules: Rules, family: int, is_paired: bool) -> str:
    """What a p value is here, what it had to be below, and why."""
    p = (
        "p is the chance that rounds at least so slow (so quick) come from a case just within (beyond) its margin, by"
        " Student's t"
    )
    if not is_paired:
        red = f"{percent(ONCE)} one-sided, as of the interval shown"
        return f"{p}. Accused at most at {red}{_holm(family)}. Ok at most at the same, each case by itself."
    count = len(rules.looks)
    return (
        f"{p}. Accused: {percent(rules.false_red)} of gates may accuse a case wrongly, split evenly over {count} looks:"
        f" {percent(rules.red_level)} a look{_holm(family)}. Ok: {percent(rules.false_ok)} a case, split alike:"
        f" {percent(rules.ok_level)} a look."
    )


def _holm(family: int) -> str:
    if family < 2:
        return ""
    return (
        f", by Holm's procedure 1/{family} of that for the lowest p of {family}, 1/{family - 1} for the next, and so on"
    )


def course(verdict: Verdict, rules: Rules, reached: int | None) -> Iterator[str]:
    """Sentences: accusation, confirmation, and why it ended. `reached` is None for runs measured each by itself."""
    for number, look in enumerate(verdict.looks):
        before = CaseHistory(0.0, verdict.looks[:number])
        if reached is not None and before.accused_at:
            yield _confirmation(verdict, before.accused_at, look, rules)
        if look.state == "accused" and not before.accused_at:
            yield (
                f"After {look.rounds} rounds it was accused, as {_p(look.above)} is at most {chance(look.above_level)}."
            )
        elif look.state == "ok":
            after = f"After {look.rounds} rounds it was" if reached is not None else "It is"
            yield f"{after} found ok, as {_p(look.below)} is at most {chance(look.below_level)}."
    yield _ending(verdict, rules, reached)


def _confirmation(verdict: Verdict, accused_at: int, look: Look, rules: Rules) -> str:
    fresh = [log for number, log in verdict.log_ratios.items() if accused_at <= number < look.rounds]
    shift = LogRatio.paired(fresh) if len(fresh) >= FRESH else None
    if shift is None:
        return f"After {look.rounds} rounds it waited, as only {len(fresh)} of {FRESH} fresh rounds had been measured."
    p = shift.above(math.log1p(verdict.margin))
    confirmed = p <= rules.unconfirmed
    return (
        f"The {len(fresh)} rounds after the accusation, by fresh processes, alone say {signed(shift.mean)} with"
        f" {_p(p)}: {'at most' if confirmed else 'more than'} {chance(rules.unconfirmed)}, so that it is"
        f" {'confirmed' if confirmed else 'not confirmed, and the accusation was dropped'}."
    )


def _ending(verdict: Verdict, rules: Rules, reached: int | None) -> str:
    last = verdict.looks[-1]
    if reached is None:
        if last.state == "regressed":
            return "It is regressed: the runs were stored, so that nobody confirmed it by fresh rounds."
        return "Stored runs are looked at once." if last.state == "ok" else "It is undecided: stored runs end here."
    if last.state in ("ok", "regressed"):
        later = sum(number >= last.rounds for number in verdict.log_ratios)
        return f"{later} rounds after that, while others were open, change nothing." if later else "It ended there."
    if last.state == "accused":
        return f"The gate ended before {FRESH} fresh rounds could confirm it."
    if last.rounds >= rules.looks[-1]:
        return f"It ended undecided: {rules.looks[-1]} rounds are the last planned look."
    return (
        f"It ended undecided after {last.rounds} of {rules.looks[-1]} rounds: the time was over (--budget), or the gate"
        " was stopped."
    )


def signed(log: float) -> str:
    """A log ratio as a percentage with its sign."""
    return f"{100 * math.expm1(log):+.1f} %"


def percents(logs: Sequence[float]) -> str:
    """Log ratios as percentages, without the sign for percent."""
    return " ".join(f"{100 * math.expm1(log):+.1f}" for log in logs)


def percent(share: float) -> str:
    """`3 %`."""
    return f"{100 * share:.3g} %"


def chance(p: float) -> str:
    """A p value or a level with two significant digits."""
    return f"{p:.2g}" if p >= 1e-4 else "<0.0001" if p > 0 else "0"


def _p(value: float) -> str:
    """`p = 0.012`, `p < 0.0001`."""
    return f"p = {chance(value)}".replace("= <", "< ")
