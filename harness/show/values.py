"""What became of a case's values besides its latency, in words: those that are exact, and those that vary."""

from collections.abc import Iterator, Sequence

from harness.analysis.pairs import MetricPair
from harness.judge.verdict import Verdict
from harness.model.metrics import Exact, Paired, Sampled
from harness.model.rules import Rules
from harness.model.units import amount, distinct_amounts
from harness.show.verdict_words import reason, spaced

Judged = Sequence[tuple[MetricPair, Verdict | None]]


def exact_words(pairs: Judged, rules: Rules) -> str:
    """Exact metrics: which are equal, which within their tolerance, and which are beyond it; empty without any."""
    equal, within, beyond = [], [], []
    for pair, verdict in pairs:
        if verdict is None or not isinstance(pair.metric, Exact):
            continue
        tolerance = _tolerance(rules.metric(pair.metric))
        if verdict.word != "ok":
            beyond.append(f"{pair.metric.name} {spaced(verdict.word)}: {reason(verdict)}; {tolerance}")
        elif _is_equal(pair):
            equal.append(pair.metric.name)
        else:
            within.append(f"{pair.metric.name} {_from_to(pair)}, {tolerance}")
    return ". ".join([*beyond, *_listed("within tolerance", within, "; "), *_listed("equal", equal, ", ")])


def paired_words(pairs: Judged) -> str:
    """Metrics that are compared unit by unit; empty without any."""
    return ". ".join(
        f"{pair.metric.name} {spaced(verdict.word)}: {reason(verdict)}"
        for pair, verdict in pairs
        if verdict and isinstance(pair.metric, Paired)
    )


def sampled_words(pairs: Judged) -> str:
    """Other metrics that vary from round to round; empty without any."""
    return "; ".join(
        f"{pair.metric.name} {spaced(verdict.word)}: {reason(verdict)}"
        for pair, verdict in pairs
        if verdict and isinstance(pair.metric, Sampled) and pair.metric.name != "latency"
    )


def _is_equal(pair: MetricPair) -> bool:
    return pair.comparison is not None and pair.comparison.baseline.centre == pair.comparison.candidate.centre


def _from_to(pair: MetricPair) -> str:
    assert pair.comparison is not None, "only what both sides measured is ok"
    values = (pair.comparison.baseline.centre, pair.comparison.candidate.centre)
    return " became ".join(distinct_amounts(*values, pair.metric.unit))


def _tolerance(metric: Exact) -> str:
    parts = [amount(metric.tolerance, metric.unit)] if metric.tolerance else []
    parts += [f"{100 * metric.relative_tolerance:g} %"] if metric.relative_tolerance else []
    return f"tolerance {' and '.join(parts) or '0'}"


def _listed(word: str, names: Sequence[str], between: str) -> Iterator[str]:
    if names:
        yield f"{word}: {between.join(names)}"
