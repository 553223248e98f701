"""Why a verdict of a gate is what it is: words first, the figures beside them. Pure: from a judgement to paragraphs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from harness.analysis.pairs import MetricPair
from harness.analysis.voided import told
from harness.analysis.words import slower
from harness.errors import NothingMeasuredError, UsageError
from harness.judge.judge import Judgement, is_sentinel
from harness.judge.timings import HOPELESS
from harness.judge.verdict import EVERYTHING, Verdict, Word
from harness.model import Case, filters
from harness.show.looks import course, levels, looks_table, percent, percents
from harness.show.table import Block
from harness.show.values import exact_words, sampled_words

MEAN = ("mean", EVERYTHING.suite)
"""What the geometric mean is called by."""
FEW = 3
"""Cases of which each gets a short paragraph; of more one has to choose."""

_MEANING: dict[Word, str] = {
    "regressed": "it is slower than its margin of {margin} allows",
    "ok": "a slowdown beyond its margin of {margin} is ruled out",
    "improved": "it is faster by more than its margin of {margin}",
    "inconclusive": "whether it is slower than its margin of {margin} allows is not known",
}
_SENTINEL: dict[Word, str] = {
    "regressed": "its code is the same on both sides and yet it has moved, so that no latency here can be trusted",
    "ok": "its code is the same on both sides, and it has not moved",
}
_FOUND = {
    True: (
        "one value a round, as the round is the independent unit: in each block the log of head's fastest sample over"
        " base's, of the blocks the middle half; then Student's t over the rounds"
    ),
    False: "one value a round and side, the log of its median; then Welch's t between the sides",
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
    is_paired: bool
    """Whether both sides took turns in the same rounds."""

    @property
    def reached(self) -> int | None:
        """Rounds of a gate whose sides took turns."""
        sides = [side for pair in self.judgement.pairs for side in (pair.baseline, pair.candidate) if side is not None]
        rounds = max((record.round + 1 for side in sides for record in side.records), default=0)
        return rounds if self.is_paired else None

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
            why = self.judgement.invalid or "fewer than two latencies were compared"
            raise NothingMeasuredError(f"there is no geometric mean: {why}")
        count = len(self._family("latency"))
        measured = f"the mean of the log ratios of {count} latencies, in each round that all of them have"
        if not self.is_paired:
            measured = f"the mean of the logs of {count} latencies, in each round and side that all of them have"
        paragraphs = [("Measured", measured), *self._timing(verdict, 1), *self._around(verdict)]
        short = self._short(verdict, verdict.reason.partition(";")[0])
        return Explanation(EVERYTHING.suite, short, [("Verdict", short), *paragraphs], (verdict,))

    def _case(self, pairs: Sequence[tuple[MetricPair, Verdict | None]]) -> Explanation:
        case = pairs[0][0].case
        exact = exact_words(pairs, self.judgement.rules)
        others = sampled_words(pairs)
        timed = next(((pair, verdict) for pair, verdict in pairs if pair.metric.name == "latency" and verdict), None)
        verdicts = tuple(verdict for _, verdict in pairs if verdict)
        if timed is None:
            short = f"no latency was judged. {exact}" if exact else "nothing of it was judged"
            return Explanation(case.name, short, [("Verdict", short)], verdicts)
        pair, verdict = timed
        short = self._short(verdict, slower(pair.comparison) if pair.comparison else verdict.reason)
        if not verdict.looks:
            short = f"{verdict.word.replace('_', ' ')}: {verdict.reason}"
        paragraphs: list[tuple[str, Block]] = [("Verdict", short)]
        if pair.comparison:
            paragraphs.append(("Measured", self._measured(pair)))
        family = 2 * len(self.judgement.sentinels) if is_sentinel(pair) else len(self._family("latency"))
        paragraphs += self._timing(verdict, family)
        if pair.candidate:
            paragraphs.append(
                ("Voided", told(pair.candidate.records) or "no block; the canary beside none was disturbed")
            )
        paragraphs += self._around(verdict)
        paragraphs += [
            (topic, words) for topic, words in (("Other timings", others), ("Exact metrics", exact)) if words
        ]
        return Explanation(case.name, short, paragraphs, verdicts)

    def _short(self, verdict: Verdict, change: str) -> str:
        if not verdict.looks:
            return f"{verdict.word.replace('_', ' ')}: {verdict.reason}"
        meanings = _SENTINEL if verdict in self.judgement.sentinels else {}
        meaning = meanings.get(verdict.word, _MEANING[verdict.word]).format(margin=percent(verdict.margin))
        words = [f"{verdict.word}: {change}; {meaning}.", *course(verdict, self.judgement.rules, self.reached)]
        return " ".join([*words, _cure(verdict)]).strip()

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
                f"{side} {pair.metric.format(summary)} a call, in {len(taken)} round{'s' * (len(taken) != 1)} of"
                f" together {samples} samples, each of {loops} call{'s' * (loops != '1')}"
            )
        turns = "by turns in a fresh process a side and round" if self.is_paired else "each side by itself"
        return f"{'; '.join(words)}; {turns}"

    def _timing(self, verdict: Verdict, family: int) -> list[tuple[str, Block]]:
        """What led to a verdict on a latency; nothing where there was no statistic."""
        if not verdict.looks:
            return []
        rules = self.judgement.rules
        rounds: list[tuple[str, Block]] = []
        if verdict.log_ratios:
            rounds = [("Rounds", f"head over base in each, in %: {percents(list(verdict.log_ratios.values()))}")]
        return [
            *rounds,
            ("Estimator", _FOUND[self.is_paired]),
            ("Margin", self._margin(verdict)),
            ("Looks", looks_table(verdict, self.is_paired)),
            ("Levels", levels(rules, family, self.is_paired)),
        ]

    def _margin(self, verdict: Verdict) -> str:
        rules = self.judgement.rules
        if verdict.case == EVERYTHING:
            return f"{percent(verdict.margin)} for the geometric mean"
        without_floor = msgspec.structs.replace(rules, floor=0.0)
        share = math.expm1(without_floor.limit(verdict.case, 1.0))
        reason = rules.reason(verdict.case)
        of_rules = f"{percent(share)}{f', an allowance: {reason}' if reason else ''}"
        if verdict.margin > share * (1 + 1e-9):
            floor = f"{rules.floor * 1e6:g} us"
            return (
                f"{percent(verdict.margin)}, as a call may always take {floor} longer; by share it would be {of_rules}"
            )
        return of_rules

    def _around(self, verdict: Verdict) -> list[tuple[str, Block]]:
        """What could have been found, and what the sentinels and the comparison say."""
        paragraphs: list[tuple[str, Block]] = []
        if not math.isnan(verdict.detectable):
            found = f"a slowdown of {percent(verdict.detectable)} would have been found in nine of ten repetitions"
            paragraphs.append(("Detectable", found))
        sentinels = [
            f"{_point(one.case)} {one.reason.partition(';')[0]}, {one.word}" for one in self.judgement.sentinels
        ]
        if sentinels and verdict not in self.judgement.sentinels:
            paragraphs.append(("Sentinels", f"{'; '.join(sentinels[:FEW])} (code that is the same on both sides)"))
        if verdict.comparison and verdict.comparison.warnings:
            paragraphs.append(("Doubts", "; ".join(verdict.comparison.warnings)))
        return paragraphs

    def _family(self, metric: str) -> list[Verdict]:
        """The verdicts on one sampled metric that were judged together."""
        return [one for one in self.judgement.verdicts if one and one.metric == metric and not math.isnan(one.margin)]


def _cure(verdict: Verdict) -> str:
    if verdict.word != "inconclusive":
        return ""
    if verdict.needed <= HOPELESS:
        return f"About {verdict.needed} rounds would settle it, if its noise stays."
    return "More rounds will not settle it: quieten the machine, see `bitbench env --check`, or allow it more."


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
