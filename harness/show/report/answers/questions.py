"""The three questions of the report, their answers, and what they come to over all contests."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.model.units import figure
from harness.show.typography import listed

FASTEST, SMALLEST, ACCURATE = QUESTIONS = ("Fastest", "Smallest", "Most accurate")

_RANKED = {FASTEST: "times as fast as {}", SMALLEST: "bits per weight", ACCURATE: "dB SQNR"}


@dataclass(frozen=True)
class ContestAnswer:
    """One question about one contest."""

    question: str
    winners: tuple[str, ...] = ()
    """Empty where nothing was measured, several on a tie."""
    undecided: bool = False
    """Whether several winners are within noise of each other, rather than equal."""
    amount: str = ""
    """The number that decides, with its interval."""
    reasons: tuple[str, ...] = ()
    """Sentences: what the number means, and what it costs in the other two questions."""
    rank: float = math.nan
    """The number for the headline: speed-up over the baseline, bits per weight, or SQNR in dB."""
    alike: str = ""
    """The verdict where there is no contest: who is alone, that all are equal, or that it is not known."""

    @property
    def is_measured(self) -> bool:
        """Whether there is anything to say."""
        return bool(self.winners or self.alike)

    @property
    def verdict(self) -> str:
        """The winners in words."""
        if self.alike:
            return self.alike
        if not self.winners:
            return "not measured"
        return f"undecided between {listed(sorted(self.winners))}" if self.undecided else listed(self.winners)


@dataclass(frozen=True)
class Card:
    """The three answers about one contest, or about all schemes at one point of a suite that measures only error."""

    contest: str
    """Empty where the card is about schemes."""
    title: str
    fastest: ContestAnswer
    rest: Callable[[], Iterable[ContestAnswer]]
    """The other two: a large run has thousands of contests, and the page shows what is said of a few hundred."""

    @cached_property
    def answers(self) -> tuple[ContestAnswer, ...]:
        """All three, in the order of QUESTIONS."""
        return (self.fastest, *self.rest())


def headlines(cards: Sequence[Card], baseline: str) -> list[ContestAnswer]:
    """Each question answered over all cards: who wins how many of them, and by how much; speed over `baseline`."""
    noun = "contest" if all(card.contest for card in cards) else "point"
    return [
        _headline(question, [card.answers[index] for card in cards], noun, baseline)
        for index, question in enumerate(QUESTIONS)
    ]


def _headline(question: str, answers: Sequence[ContestAnswer], noun: str, baseline: str) -> ContestAnswer:
    given = [answer for answer in answers if answer.is_measured]
    given.sort(key=lambda answer: math.inf if math.isnan(answer.rank) else -answer.rank)
    if not given:
        return ContestAnswer(question)
    tally = Counter(answer.verdict for answer in given)
    # The most accurate are schemes as a rule: which of them is best says more than how many contests each had.
    (first, wins), *others = tally.items() if question == ACCURATE else tally.most_common()
    span = _span(_RANKED[question].format(baseline), [answer.rank for answer in given if answer.verdict == first])
    also = [f"{name} in {count}" for name, count in others[:2]] + ["others in the rest"] * (len(others) > 2)
    return ContestAnswer(question, (first,), amount=span, reasons=(_share(wins, len(given), noun), *also))


def _share(wins: int, total: int, noun: str) -> str:
    if total == 1:
        return f"in the only {noun}"
    return f"in all {total} {noun}s" if wins == total else f"in {wins} of {total} {noun}s"


def _span(unit: str, ranks: Sequence[float]) -> str:
    """From the smallest to the largest rank: `2.41 to 2.58 times as fast as linear-bf16`."""
    known = sorted(rank for rank in ranks if math.isfinite(rank))
    ends = dict.fromkeys(figure(rank, 3) for rank in known[:1] + known[-1:])
    return f"{' to '.join(ends)} {unit}" if ends else ""
