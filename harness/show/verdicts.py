"""What became of a candidate against its baseline: verdicts for people, tidy rows for machines."""

import math
from collections import Counter
from collections.abc import Sequence

from harness.analysis.pairs import MetricPair, declared_otherwise
from harness.analysis.results import Result, varying
from harness.estimators.intervals import Summary
from harness.judge.judge import Judgement, is_sentinel
from harness.judge.policy import Policy, detectable, exit_code
from harness.judge.verdict import EVERYTHING, Verdict, Word
from harness.model import Case, Run, StoredRun
from harness.model.units import MOST_CHANGE
from harness.show.run_header import describe_run
from harness.show.table import Block, Cell, Column, Table
from harness.show.verdict_words import invalid_words, legend, reason, spaced, told_verdict, values

WORDS: tuple[Word, ...] = ("regressed", "not_measured", "incomparable", "inconclusive", "improved", "new", "ok")
"""The gravest first."""

_MEANING = {
    0: "ok",
    1: "regressed",
    2: "incomparable",
    3: "inconclusive",
    4: "the environment is invalid",
    5: "not everything was measured and judged",
}


def comparison_page(baseline: StoredRun, candidate: StoredRun, judgement: Judgement) -> list[Block]:
    """For people: every row of both runs with its change and its verdict."""
    naming = _Naming(judgement.pairs)
    columns = (
        *(Column(heading) for heading in ("implementation", "case", "metric")),
        *(Column(heading, "right") for heading in ("base", "head", "change")),
        Column("verdict"),
    )
    rows = [
        [
            pair.case.implementation,
            naming.point(pair.case),
            pair.metric.name,
            _amount(pair.baseline, pair),
            _amount(pair.candidate, pair),
            _change(pair, verdict),
            spaced(verdict.word) if verdict else "",
        ]
        for pair, verdict in zip(judgement.pairs, judgement.verdicts, strict=True)
    ]
    table = Table(naming.shared, columns, _without_repeats(rows))
    mean = judgement.geometric_mean
    lines = [_counts(judgement)]
    lines += [f"geometric mean of the latencies: {reason(mean)} ({spaced(mean.word)})"] if mean else []
    lines += [words] if (words := invalid_words(judgement)) else []
    top = f"{_sides(baseline, candidate)}\n{legend(judgement.judged)}"
    return [top, table, "\n".join(lines), *_doubts(baseline, candidate, judgement)]


def gate_page(baseline: StoredRun, candidate: StoredRun, judgement: Judgement, policy: Policy) -> list[Block]:
    """For people: the verdict in one line, then the rows that are not simply ok, the gravest first."""
    top = [headline(judgement, policy), rules_line(judgement, policy)]
    top += [invalid_words(judgement)] if judgement.moved and not _is_said(judgement) else []
    head = "\n".join([*top, _sides(baseline, candidate), legend(judgement.judged)])
    naming = _Naming(judgement.pairs)
    rows = _folded([verdict for verdict in judgement.judged if verdict.word != "ok"], naming)
    headings = ("verdict", "implementation", "case", "metric", "change, reason")
    columns = tuple(Column(heading) for heading in headings)
    tables: list[Block] = [Table(naming.shared, columns, rows)] if rows else []
    return [head, *tables, *_doubts(baseline, candidate, judgement)]


def _is_said(judgement: Judgement) -> bool:
    """Whether a row says why latencies give no verdict."""
    return any(verdict.word == "incomparable" for verdict in judgement.judged)


def headline(judgement: Judgement, policy: Policy) -> str:
    """The verdict in one line."""
    code = exit_code(judgement, policy)
    return f"{_MEANING[code]} (exit code {code}): {_counts(judgement)}"


def rules_line(judgement: Judgement, policy: Policy) -> str:
    """What was tolerated, how small a slowdown may pass unseen, and what became of all cases together."""
    words = [f"margin {100 * judgement.rules.margin:g} %, policy {policy}"]
    limit, mean = detectable(judgement), judgement.geometric_mean
    if math.isfinite(limit):
        least = f"{100 * limit:.1f} %" if limit <= MOST_CHANGE else f"above {100 * MOST_CHANGE:.0f} %"
        words.append(f"sensitivity {least} (a smaller slowdown of one case may pass unseen)")
    if mean is not None:
        words.append(f"geometric mean of the latencies: {values(mean) or 'unknown'}")
    return "; ".join(words)


def tidy(judgement: Judgement) -> Table:
    """For machines: one row a case and metric, in base units; `ratio` is candidate over baseline.

    `difference` is candidate less baseline, of paired metrics alone; their `rounds` are units.
    """
    sides = [f"{side}_{name}" for side in ("baseline", "candidate") for name in ("centre", "lo", "hi", "rounds")]
    headings = ["case", "metric", "unit", "verdict", "reason", *sides]
    headings += [f"{name}{bound}" for name in ("ratio", "difference") for bound in ("", "_lo", "_hi")]
    rows = []
    for pair, verdict in zip(judgement.pairs, judgement.verdicts, strict=True):
        row: list[Cell] = [pair.case.name, pair.metric.name, pair.metric.unit]
        row += [verdict.word, reason(verdict)] if verdict else ["", "shown, never judged"]
        row += [*_numbers(pair.baseline, pair), *_numbers(pair.candidate, pair)]
        found = pair.comparison
        row += [found.ratio, found.lo, found.hi] if found else [None] * 3
        difference = found.difference if found else None
        row += [difference.centre, difference.lo, difference.hi] if difference else [None] * 3
        rows.append(row)
    return Table("", tuple(map(Column, headings)), rows)


def content(baseline: StoredRun, candidate: StoredRun, judgement: Judgement) -> dict[str, object]:
    """What `--format json` says of both runs and every row."""
    mean = judgement.geometric_mean
    return {
        "baseline": baseline.run,
        "candidate": candidate.run,
        "rules": judgement.rules,
        "differing": judgement.differing,
        "invalid": invalid_words(judgement),
        "counts": Counter(verdict.word for verdict in judgement.judged),
        "geometric_mean": told_verdict(mean) if mean else None,
        "sentinels": [told_verdict(verdict) for verdict in judgement.sentinels],
        "warnings": warnings(baseline, candidate, judgement),
        "rows": tidy(judgement).as_dicts(),
    }


def warnings(baseline: StoredRun, candidate: StoredRun, judgement: Judgement) -> list[str]:
    """Every doubt about the runs and the rows compared, each once."""
    doubts = dict.fromkeys([*baseline.doubts, *candidate.doubts, *declared_otherwise(judgement.pairs)])
    if baseline.run.id == candidate.run.id:
        doubts["base and head are the same run: nothing can have changed"] = None
    if _tells_no_machine(baseline.run) and _tells_no_machine(candidate.run):
        doubts["neither base nor head tells its machine: the verdicts hold if it was the same one"] = None
    for pair in judgement.pairs:
        doubts.update(dict.fromkeys(pair.comparison.warnings if pair.comparison else ()))
    judged = {pair.case.name for pair in judgement.pairs if not is_sentinel(pair)}
    doubts.update(dict.fromkeys(judgement.rules.idle(judged)))
    return list(doubts)


def _tells_no_machine(run: Run) -> bool:
    """Whether it was imported from files that do not say where they were measured."""
    return run.origin is not None and (run.environment.cpu_model, run.environment.gpu) == ("unknown", "none")


class _Naming:
    """Cases in few words: what they all share is said once, the rest row by row."""

    def __init__(self, pairs: Sequence[MetricPair]) -> None:
        sides = [side for pair in pairs for side in (pair.baseline, pair.candidate) if side is not None]
        shared, self._differing = varying(sides)
        self._suites = {side.case.suite for side in sides}
        words = [*self._suites] if len(self._suites) == 1 else []
        self.shared = " ".join(["all of", *words, *(f"{name}={value}" for name, value in shared.items())])

    def point(self, case: Case) -> str:
        """What distinguishes the case, apart from its implementation."""
        if case == EVERYTHING:
            return EVERYTHING.suite
        words = [f"{name}={case.params[name]}" for name in self._differing if name in case.params]
        return " ".join([case.suite, *words] if len(self._suites) > 1 else words)


def _folded(verdicts: Sequence[Verdict], naming: _Naming) -> list[list[Cell]]:
    """The gravest first; one row for metrics of one case that share a reason, one for all that are incomparable."""
    groups: dict[tuple[Word, str, Case | None], list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: WORDS.index(verdict.word)):
        case = None if verdict.word == "incomparable" else verdict.case
        groups.setdefault((verdict.word, reason(verdict), case), []).append(verdict)
    rows: list[list[Cell]] = []
    for (word, why, case), group in groups.items():
        metrics = list(dict.fromkeys(verdict.metric for verdict in group))
        named = ", ".join(metrics) if len(metrics) <= 2 else f"{len(metrics)} metrics"
        where = [case.implementation, naming.point(case)] if case else ["", f"{len(group)} rows"]
        rows.append([spaced(word), *where, named, why])
    return rows


def _without_repeats(rows: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """Implementation and case are printed once for the rows that share them."""
    previous: Sequence[Cell] = ()
    shortened: list[list[Cell]] = []
    for row in rows:
        shortened.append(["", "", *row[2:]] if row[:2] == previous else list(row))
        previous = row[:2]
    return shortened


def _sides(baseline: StoredRun, candidate: StoredRun) -> str:
    return f"base: {describe_run(baseline.run)}\nhead: {describe_run(candidate.run)}"


def _counts(judgement: Judgement) -> str:
    counts = Counter(verdict.word for verdict in judgement.judged)
    return ", ".join(f"{counts[word]} {spaced(word)}" for word in WORDS if counts[word]) or "no row to judge"


def _doubts(baseline: StoredRun, candidate: StoredRun, judgement: Judgement) -> list[Block]:
    doubts = warnings(baseline, candidate, judgement)
    return ["\n".join(["warnings:", *(f"  {doubt}" for doubt in doubts)])] if doubts else []


def _summary(side: Result | None, pair: MetricPair) -> Summary | None:
    return side.summary(pair.metric.name) if side else None


def _amount(side: Result | None, pair: MetricPair) -> str:
    summary = _summary(side, pair)
    return side.known[pair.metric.name].format(summary) if side and summary else ""


def _numbers(side: Result | None, pair: MetricPair) -> list[Cell]:
    summary = None if side is pair.baseline and pair.units else _summary(side, pair)  # a row has one unit
    return [summary.centre, summary.lo, summary.hi, summary.n] if summary else [None] * 4


def _change(pair: MetricPair, verdict: Verdict | None) -> str:
    """Nothing where the two must not be compared, so that nobody reads a difference of machines as one of code."""
    if pair.comparison is None or (verdict and verdict.word == "incomparable"):
        return ""
    return pair.metric.change(pair.comparison)
