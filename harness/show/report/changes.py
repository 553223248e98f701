"""Runs against earlier ones: what became of every latency, and which other metrics changed."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.judge.judge import Judgement, judge_runs
from harness.judge.verdict import Verdict
from harness.model import StoredRun, known_metrics
from harness.model.metrics import judged
from harness.model.rules import Rules
from harness.model.units import distinct_amounts
from harness.show.plots.forest import Change
from harness.show.report.gates import CaseNames, change_of, gravest, percent
from harness.show.report.tables import Heading, Sheet, SheetRow
from harness.show.typography import listed
from harness.show.verdict_words import invalid_words
from harness.show.verdicts import WORDS

_SENTINELS = 12
"""Latencies of what is the same code that are drawn; the table has them all."""
_APART = (
    "The two runs were taken at different times: whatever else changed on the machine between them is in these changes"
    " too. `bitbench gate` measures both sides turn by turn."
)


@dataclass(frozen=True)
class ChangePart:
    """All that the page says of a later run against the first, apart from its figure."""

    name: str
    sides: tuple[str, str]
    """What the first and the later run are called, in few characters."""
    words: Sequence[str]
    """Which runs these are, what changed, and what to hold against that."""
    cases: Sequence[Change]
    sentinels: Sequence[Change]
    """Latencies of what is the same code in both runs."""
    sheet: Sheet

    @property
    def is_drawn(self) -> bool:
        """Whether there is a latency to draw."""
        return bool(self.cases or self.sentinels)


def changes_of(runs: Sequence[StoredRun], rules: Rules | None = None) -> list[ChangePart]:
    """A part for every run that shares a measured case with an earlier one, against the first such, in their order.

    Runs that are the two sides of one gate are left out: `gates_of` has them.
    """
    gates = Counter(stored.run.pair for stored in runs if stored.run.pair)
    alone = [stored for stored in runs if gates[stored.run.pair] < 2]
    ordered = sorted(alone, key=lambda stored: (stored.run.started, stored.run.id))
    parts: list[ChangePart] = []
    for index, head in enumerate(ordered):
        against = (_part(base, head, rules or Rules()) for base in ordered[:index])
        parts += [part for part in against if part][:1]
    return parts


def _part(base: StoredRun, head: StoredRun, rules: Rules) -> ChangePart | None:
    judgement = judge_runs(base, head, judged(known_metrics(base.run, head.run)), rules)
    if not any(pair.comparison for pair in judgement.pairs):
        return None
    names = CaseNames(judgement)
    verdicts = [one for one in judgement.verdicts if one and one.comparison]
    latencies = [] if judgement.differing else gravest(one for one in verdicts if one.metric == "latency")
    changed = gravest(one for one in verdicts if one.metric != "latency" and one.word in ("regressed", "improved"))
    sentinels = [] if judgement.differing else list(judgement.sentinels)
    sides = _sides(base, head)
    return ChangePart(
        f"changes-{head.run.id}",
        sides,
        [f"{head.run.id} against {base.run.id}: {_told(latencies, changed)}.", *_doubts(judgement)],
        _drawn(latencies, names),
        _drawn(sentinels, names)[:_SENTINELS],
        _sheet(head, sides, [gravest([*latencies, *changed]), sentinels], names),
    )


def _sides(base: StoredRun, head: StoredRun) -> tuple[str, str]:
    """Commits where they tell the runs apart, else the runs' own names."""
    one, other = (stored.run.revision.commit[:7] for stored in (base, head))
    return (one, other) if one and other and one != other else (base.run.id, head.run.id)


def _told(latencies: Sequence[Verdict], changed: Sequence[Verdict]) -> str:
    """How many latencies came to which verdict, and how many other metrics changed."""
    words, others = (Counter(one.word for one in verdicts) for verdicts in (latencies, changed))
    counts = [f"{words[word]} {word.replace('_', ' ')}" for word in WORDS if words[word]]
    told = [f"of {len(latencies)} latencies {listed(counts, len(WORDS))}" if counts else "no latency is judged"]
    told += [f"other metrics {word}: {others[word]}" for word in WORDS if others[word]]
    return "; ".join(told)


def _doubts(judgement: Judgement) -> list[str]:
    if judgement.differing:
        return [f"The machines are unlike, so that no latency is compared: {'; '.join(judgement.differing)}."]
    return [_APART, *([invalid_words(judgement)] if judgement.moved else []), *_missing(judgement)]


def _missing(judgement: Judgement) -> list[str]:
    """How many cases only one of the runs has."""
    only = {
        "first": {pair.case.name for pair in judgement.pairs if pair.candidate is None},
        "later": {pair.case.name for pair in judgement.pairs if pair.baseline is None},
    }
    return [f"Cases in the {side} run only: {len(cases)}." for side, cases in only.items() if cases]


def _drawn(verdicts: Iterable[Verdict], names: CaseNames) -> list[Change]:
    return [change for one in verdicts if (change := change_of(names.of(one.case), one))]


def _sheet(head: StoredRun, sides: tuple[str, str], groups: Sequence[Sequence[Verdict]], names: CaseNames) -> Sheet:
    headings = (
        *(Heading(text, words=True) for text in ("implementation", "verdict", "case", "metric")),
        *(Heading(text, "%") for text in ("change", "from", "to")),
        *(Heading(side, words=True) for side in sides),
    )
    blocks = [[_row(one, names) for one in group] for group in groups if group]
    return Sheet(f"changes-{head.run.id}", "Changes", "", headings, blocks)


def _row(verdict: Verdict, names: CaseNames) -> SheetRow:
    change, both = change_of("", verdict), verdict.comparison
    ratios = (change.ratio, change.lo, change.hi) if change else (math.nan,) * 3
    unit = names.judgement.metric(verdict).unit
    values = distinct_amounts(both.baseline.centre, both.candidate.centre, unit) if both else ("", "")
    return SheetRow(
        [
            verdict.case.implementation,
            verdict.word.replace("_", " "),
            names.point(verdict.case),
            verdict.metric,
            *(percent(100 * (value - 1)) for value in ratios),
            *(value.replace("us", "µs").replace("-", "−") for value in values),
        ],
        marked=verdict.word == "regressed",
    )
