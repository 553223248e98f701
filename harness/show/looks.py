"""How a case fared in a gate, look by look, in words: what was found, what it had to be below, and what came of it."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from harness.analysis.looks import CONFIDENCE, LOOKED_AT
from harness.analysis.t_test import LogRatio
from harness.analysis.words import percent_change
from harness.judge.rules import Rules
from harness.judge.sequential import FRESH, ONCE, CaseHistory, Design, Sequential
from harness.judge.verdict import Look, Verdict
from harness.show.table import Column, Table
from harness.show.verdict_words import percent

_P = (
    "p is the chance of rounds at least so slow (so quick) if the case were just within (beyond) its margin, by"
    " Student's t"
)


class SequentialWords:
    """Of a gate whose sides took turns."""

    confidence = LOOKED_AT
    estimator = (
        "one value a round, as the round is the independent unit: the mean over the middle half of its blocks, each of"
        " which gives the log of head's fastest sample over base's; then Student's t over the rounds"
    )
    mean = "the mean of the log ratios of {count} latencies, in each round that all of them have"
    turns = "the sides took turns, each in a fresh process every round"

    def levels(self, rules: Rules, family: int) -> str:
        """What a p value is, what it had to be below, and why."""
        return (
            f"{_P}. Accused: {percent(rules.false_red)} of gates may accuse a case wrongly, split evenly over"
            f" {len(rules.looks)} looks: {percent(rules.red_level)} a look{_holm(family)}. Ok:"
            f" {percent(rules.false_ok)} a case, split alike: {percent(rules.ok_level)} a look."
        )

    def course(self, verdict: Verdict, rules: Rules) -> Iterator[str]:
        """Sentences: accusation, confirmation, and why it ended."""
        for number, look in enumerate(verdict.looks):
            before = CaseHistory(0.0, verdict.looks[:number])
            if before.accused_at:
                yield _confirmation(verdict, before.accused_at, look, rules)
            if look.state == "accused" and not before.accused_at:
                yield (
                    f"The look after {look.rounds} rounds accused it, as {_p(look.above)} is at most"
                    f" {chance(look.above_level)}."
                )
            elif look.state == "ok":
                yield (
                    f"The look after {look.rounds} rounds found it ok, as {_p(look.below)} is at most"
                    f" {chance(look.below_level)}."
                )
        yield self._ending(verdict, rules)

    def _ending(self, verdict: Verdict, rules: Rules) -> str:
        last = verdict.looks[-1]
        if last.state in ("ok", "regressed"):
            later = sum(number >= last.rounds for number in verdict.log_ratios)
            return (
                f"The {later} rounds after that, while others were open, change nothing."
                if later
                else "It ended there."
            )
        if last.state == "accused":
            return f"The gate ended before {FRESH} fresh rounds could confirm it."
        if last.rounds >= rules.looks[-1]:
            return f"It ended undecided: {rules.looks[-1]} rounds are the last planned look."
        return (
            f"It ended undecided after {last.rounds} of {rules.looks[-1]} rounds: the time was over (--budget), or"
            " somebody stopped the gate."
        )


class SingleLookWords:
    """Of two stored runs, each measured by itself."""

    confidence = CONFIDENCE
    estimator = "one value a round and side, the log of its median; then Welch's t between the sides"
    mean = "the mean of the logs of {count} latencies, in each round and side that all of them have"
    turns = "each side was measured by itself"

    def levels(self, _: Rules, family: int) -> str:
        """What a p value is, what it had to be below, and why."""
        red = f"{percent(ONCE)} one-sided, as of the interval shown"
        return f"{_P}. Accused at most at {red}{_holm(family)}. Ok at most at the same, each case by itself."

    def course(self, verdict: Verdict, _: Rules) -> Iterator[str]:
        """Sentences: what the look found, and that there is no other."""
        (look,) = verdict.looks
        if look.state == "ok":
            yield f"The look found it ok, as {_p(look.below)} is at most {chance(look.below_level)}."
            yield "Stored runs are looked at once."
        elif look.state == "regressed":
            yield "It is regressed: the runs were stored, so that nobody confirmed it by fresh rounds."
        else:
            yield "It is undecided: stored runs end here."


LookWords: TypeAlias = SequentialWords | SingleLookWords


def words_of(design: Design) -> LookWords:
    """The words for a gate of that design."""
    return SequentialWords() if isinstance(design, Sequential) else SingleLookWords()


def looks_table(verdict: Verdict, words: LookWords) -> Table:
    """A row a look: the mean so far, and each chance beside the level that it was held against."""
    headings = (
        "after\nrounds",
        "change",
        f"{100 * words.confidence:g} % interval",
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


def _holm(family: int) -> str:
    if family < 2:
        return ""
    return (
        f", by Holm's procedure 1/{family} of that for the lowest p of {family}, 1/{family - 1} for the next, and so on"
    )


def _confirmation(verdict: Verdict, accused_at: int, look: Look, rules: Rules) -> str:
    fresh = [log for number, log in verdict.log_ratios.items() if accused_at <= number < look.rounds]
    shift = LogRatio.paired(fresh) if len(fresh) >= FRESH else None
    if shift is None:
        return (
            f"The look after {look.rounds} rounds waited, as only {len(fresh)} of the {FRESH} fresh rounds had been"
            " measured."
        )
    p = shift.above(math.log1p(verdict.margin))
    confirmed = p <= rules.unconfirmed
    return (
        f"The {len(fresh)} rounds after the accusation, by fresh processes, alone say {signed(shift.mean)} with"
        f" {_p(p)}, which is {'at most' if confirmed else 'more than'} {chance(rules.unconfirmed)}: they"
        f" {'confirm it' if confirmed else 'do not confirm it, and the accusation was dropped'}."
    )


def signed(log: float) -> str:
    """A log ratio as a percentage with its sign."""
    return percent_change(math.expm1(log))


def percents(logs: Sequence[float]) -> str:
    """Log ratios as percentages, without the sign for percent."""
    return " ".join(f"{100 * math.expm1(log):+.1f}" for log in logs)


def chance(p: float) -> str:
    """A p value or a level with two significant digits."""
    return f"{p:.2g}" if p >= 1e-4 else "<0.0001" if p > 0 else "0"


def _p(value: float) -> str:
    """`p = 0.012`, `p < 0.0001`."""
    return f"p = {chance(value)}".replace("= <", "< ")
