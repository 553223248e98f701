"""Why a verdict of a gate is what it is: words first, the figures beside them. Pure: from a judgement to paragraphs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from harness.analysis.pairs import MetricPair
from harness.analysis.voided import told
from harness.errors import NothingMeasuredError, UsageError
from harness.judge.judge import Judgement, is_sentinel
from harness.judge.verdict import EVERYTHING, Verdict, Word
from harness.model import Case, filters
from harness.show.looks import LookWords, looks_table, percents, words_of
from harness.show.table import Block
from harness.show.values import exact_words, paired_words, sampled_words
from harness.show.verdict_words import change_words, cure_words, invalid_words, percent, reason, spaced

MEAN = ("mean", EVERYTHING.suite)
"""What the geometric mean is called by."""
FEW = 3
"""Cases of which each gets a short paragraph; of more one has to choose."""

_MEANING: dict[Word, str] = {
    "regressed": "it is slower than its margin of {margin} allows",
    "ok": "a slowdown beyond its margin of {margin} is ruled out",
    "improved": "it is faster by more than its margin of {margin}",
    "inconclusive": "the rounds do not say whether it is slower than its margin of {margin} allows",
}
_SENTINEL: dict[Word, str] = {
    "regressed": "its code is the same on both sides and yet it has moved, so that no latency here can be trusted",
    "ok": "its code is the same on both sides, and it has not moved",
}


@dataclass(frozen=True)
class Explanation:
    """Of one case, or of the geometric mean."""

    name: str
    short: str
    """The verdict and what it rests on, in a few sentences."""
    paragraphs: Sequence[tuple[str, Block]]
    """Topic and words, or a table."""
    verdicts: tuple[Verdict, ...]

    def page(self) -> list[Block]:
        """All of it; lines of prose stand together."""
        blocks: list[Block] = [self.name]
        for topic, block in self.paragraphs:
            if isinstance(block, str) and isinstance(blocks[-1], str) and len(blocks) > 1:
                blocks[-1] += f"\n{topic}: {block}"
            else:
                blocks.append(f"{topic}: {block}" if isinstance(block, str) else block)
        return blocks


@dataclass(frozen=True)
class Gate:
    """A judgement, and what its verdicts rest on."""

    judgement: Judgement

    @property
    def words(self) -> LookWords:
        """Those of a gate that looks so often."""
        return words_of(self.judgement.design)

    def cases(self) -> dict[str, list[tuple[MetricPair, Verdict | None]]]:
        """Pairs with their verdicts by case name; that of a sentinel's latency is among them."""
        watched = {verdict.case.name: verdict for verdict in self.judgement.sentinels}
        found: dict[str, list[tuple[MetricPair, Verdict | None]]] = {}
        for pair, verdict in zip(self.judgement.pairs, self.judgement.verdicts, strict=True):
            known = verdict or (watched.get(pair.case.name) if pair.metric.name == "latency" else None)
            found.setdefault(pair.case.name, []).append((pair, known))
        return found

    def explain(self, expression: str) -> list[Explanation]:
        """What `expression` stands for: the geometric mean, one case, or a few.

        Raises UsageError when no case is meant or more than a few are, NothingMeasuredError when there is none.
        """
        if expression.strip() in MEAN:
            return [self._mean()]
        cases = self.cases()
        return [self._case(cases[name]) for name in _chosen(expression, [pairs[0][0].case for pairs in cases.values()])]

    def _mean(self) -> Explanation:
        verdict = self.judgement.geometric_mean
        if verdict is None:
            why = invalid_words(self.judgement) or "fewer than two latencies were compared"
            raise NothingMeasuredError(f"there is no geometric mean: {why}")
        count = len(self._family("latency"))
        measured = self.words.mean.format(count=count)
        paragraphs = [("Measured", measured), *self._timing(verdict, 1), *self._around(verdict)]
        short = self._short(verdict)
        return Explanation(EVERYTHING.suite, short, [("Verdict", short), *paragraphs], (verdict,))

    def _case(self, pairs: Sequence[tuple[MetricPair, Verdict | None]]) -> Explanation:
        case = pairs[0][0].case
        further = {
            "Other timings": sampled_words(pairs),
            "Unit by unit": paired_words(pairs),
            "Exact metrics": exact_words(pairs, self.judgement.rules),
        }
        timed = next(((pair, verdict) for pair, verdict in pairs if pair.metric.name == "latency" and verdict), None)
        verdicts = tuple(verdict for _, verdict in pairs if verdict)
        if timed is None:
            words = ". ".join(filter(None, further.values()))
            short = f"no latency was judged. {words}" if words else "nothing of it was judged"
            return Explanation(case.name, short, [("Verdict", short)], verdicts)
        pair, verdict = timed
        short = self._short(verdict)
        paragraphs: list[tuple[str, Block]] = [("Verdict", short)]
        if pair.comparison:
            paragraphs.append(("Measured", self._measured(pair)))
        family = 2 * len(self.judgement.sentinels) if is_sentinel(pair) else len(self._family("latency"))
        paragraphs += self._timing(verdict, family)
        if pair.candidate:
            paragraphs.append(("Voided", told(pair.candidate.records) or "no block: the canary was never disturbed"))
        paragraphs += self._around(verdict)
        paragraphs += [(topic, words) for topic, words in further.items() if words]
        return Explanation(case.name, short, paragraphs, verdicts)

    def _short(self, verdict: Verdict) -> str:
        if not verdict.looks:
            return f"{spaced(verdict.word)}: {reason(verdict)}"
        meanings = _SENTINEL if verdict in self.judgement.sentinels else {}
        meaning = meanings.get(verdict.word, _MEANING[verdict.word]).format(margin=percent(verdict.margin))
        course = self.words.course(verdict, self.judgement.rules)
        cure = cure_words(verdict)
        cures = [f"{cure[0].upper()}{cure[1:]}."] if cure else []
        return " ".join([f"{verdict.word}: {change_words(verdict)}; {meaning}.", *course, *cures])

    def _measured(self, pair: MetricPair) -> str:
        assert pair.comparison is not None, "only what both sides measured is told"
        assert pair.baseline is not None, "only what both sides measured is told"
        assert pair.candidate is not None, "only what both sides measured is told"
        sides = {"base": pair.baseline, "head": pair.candidate}
        summaries = (pair.comparison.baseline, pair.comparison.candidate)
        words = []
        for (side, result), summary in zip(sides.items(), summaries, strict=True):
            taken = result.rounds(pair.metric.name).values()
            counts = sorted({measurement.iterations for measurement in taken})
            loops = " to ".join(map(str, (counts[0], counts[-1])[: len(counts)]))
            samples = sum(len(measurement.values) for measurement in taken)
            words.append(
                f"{side} takes {pair.metric.format(summary)} a call ({len(taken)}"
                f" round{'s' * (len(taken) != 1)}, {samples} samples, each of {loops} call{'s' * (loops != '1')})"
            )
        return f"{'; '.join(words)}; {self.words.turns}"

    def _timing(self, verdict: Verdict, family: int) -> list[tuple[str, Block]]:
        """What led to a verdict on a latency; nothing where there was no statistic."""
        if not verdict.looks:
            return []
        rules = self.judgement.rules
        rounds: list[tuple[str, Block]] = []
        if verdict.log_ratios:
            rounds = [("Rounds", f"the change in each, in %: {percents(list(verdict.log_ratios.values()))}")]
        return [
            *rounds,
            ("Estimator", self.words.estimator),
            ("Margin", self._margin(verdict)),
            ("Looks", looks_table(verdict, self.words)),
            ("Levels", self.words.levels(rules, family)),
        ]

    def _margin(self, verdict: Verdict) -> str:
        rules = self.judgement.rules
        if verdict.case == EVERYTHING:
            return f"{percent(verdict.margin)} for the geometric mean"
        without_floor = msgspec.structs.replace(rules, floor=0.0)
        share = math.expm1(without_floor.limit(verdict.case, 1.0))
        of_rules = f"{percent(share)}{f', an allowance: {verdict.allowance}' if verdict.allowance else ''}"
        if verdict.margin > share * (1 + 1e-9):
            floor = f"{rules.floor * 1e6:g} us"
            return f"{percent(verdict.margin)}, as the rules allow every call {floor} more; without that {of_rules}"
        return of_rules

    def _around(self, verdict: Verdict) -> list[tuple[str, Block]]:
        """What could have been found, and what the sentinels and the comparison say."""
        paragraphs: list[tuple[str, Block]] = []
        if not math.isnan(verdict.detectable):
            found = f"a slowdown of {percent(verdict.detectable)} would have been found in nine of ten repetitions"
            paragraphs.append(("Detectable", found))
        sentinels = [f"{_point(one.case)} {change_words(one)}, {spaced(one.word)}" for one in self.judgement.sentinels]
        if sentinels and verdict not in self.judgement.sentinels:
            paragraphs.append(("Sentinels", f"{'; '.join(sentinels[:FEW])} (their code is the same on both sides)"))
        if verdict.comparison and verdict.comparison.warnings:
            paragraphs.append(("Doubts", "; ".join(verdict.comparison.warnings)))
        return paragraphs

    def _family(self, metric: str) -> list[Verdict]:
        """The verdicts on one sampled metric that were judged together."""
        return [one for one in self.judgement.verdicts if one and one.metric == metric and not math.isnan(one.margin)]


def _point(case: Case) -> str:
    return " ".join([case.implementation, *(f"{key}={value}" for key, value in case.params.items() if key == "m")])


def _chosen(expression: str, cases: Sequence[Case]) -> list[str]:
    """The names of the cases that are meant; a full name means that case alone."""
    names = [case.name for case in cases]
    if not names:
        raise NothingMeasuredError("these runs have no case in common that is judged: there is nothing to explain")
    found = [expression] if expression in names else list(filter(filters.parse(expression), names))
    if not found:
        raise UsageError(f"no case is meant by {expression!r}; there {_there_is(cases)}, and `mean`")
    if len(found) > FEW:
        meant = [case for case in cases if case.name in found]
        raise UsageError(
            f"{expression!r} means {len(found)} cases; narrow it to {FEW} or fewer, by words joined with `and` (m=1/ is"
            f" not m=128): there {_there_is(meant)}"
        )
    return found


def _there_is(cases: Sequence[Case]) -> str:
    """What tells the cases apart."""
    points = [{"implementation": case.implementation, **case.params} for case in cases]
    names = ["implementation", *(name for name in dict.fromkeys(name for point in points for name in point))]
    values = {name: dict.fromkeys(str(point[name]) for point in points if name in point) for name in names}
    told_apart = [f"{name}={','.join(each)}" for name, each in values.items() if len(each) > 1]
    noun = "is 1 case" if len(cases) == 1 else f"are {len(cases)} cases"
    return f"{noun}: {' '.join(told_apart) or cases[0].name}"
