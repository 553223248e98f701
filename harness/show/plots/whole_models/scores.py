"""Frames that figures of whole models are drawn from: scores unit by unit, and tokens a second."""

import math
from typing import Any

import pandas as pd

from harness.analysis.pairs import stands
from harness.analysis.results import Result
from harness.analysis.view import View
from harness.analysis.whole_model.step import FULL_BYTES, Step, steps
from harness.model import Params
from harness.model.metrics import Paired

FULL_BITS = 16
"""Weights of so many bits are not quantised."""
EXACT = ("packed_bytes", "quantised_bytes", "output_sqnr")
"""Exact metrics of a case that stand beside each of its scores; bytes of all layers and of those by the scheme, dB."""
_WORDS = ("model", "text", "layers", "scheme", "task", "training", "plan")
_COLUMNS = (
    "run", "suite", "subject", "case", "implementation", *_WORDS, "weight_bits", "metric", "heading", "title", "unit",
    "better", "tolerance", "allowed", "centre", "lo", "hi", "values", *EXACT, "reference", "difference",
    "difference_lo", "difference_hi", "word",
)  # fmt: skip
_RATES = (
    "run", "model", "implementation", "scheme", "is_whole", "rate", "rate_lo", "rate_hi", "packed_bytes", "setting",
)  # fmt: skip


def scores(*views: View) -> pd.DataFrame:
    """One row a case and paired metric: the mean over units with its interval, and `values`, one a unit.

    `subject` is alike in cases that differ in scheme and contestant alone. `difference` is that from full precision,
    unit by unit, with its interval, and `word` is the metric's on it: from the case that the suite says, else from the
    contestant's own of FULL_BITS. Both are missing where there is none. `allowed` is by how much the metric lets it get
    worse.
    """
    rows: list[dict[str, Any]] = []
    for view in views:
        paired = [one for one in view.results if any(isinstance(metric, Paired) for metric in one.metrics)]
        full = {(_subject(one), one.case.implementation): one for one in paired if _bits(one) >= FULL_BITS}
        for result in paired:
            other = view.counterparts.get(result.name, full.get((_subject(result), result.case.implementation)))
            head = {"run": view.stored.run.id, "subject": _subject(result), **_of_case(result)}
            rows += [head | _score(result, one, other) for one in result.metrics if isinstance(one, Paired)]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def rates(*views: View) -> pd.DataFrame:
    """One row a step of a whole model: `rate`, in tokens a second with its interval.

    `packed_bytes` are those of all its products but the head, by the scheme, or in 16 bits by a baseline, so they tell
    which scores are of the same model and scheme. `is_whole` is whether all else than the products was timed, too.
    """
    rows = [_rate(view.stored.run.id, step) for view in views for step in steps(view.stored, view.results)]
    return pd.DataFrame(rows, columns=list(_RATES))


def _bits(result: Result) -> float:
    return float(result.facts.get("weight_bits", math.nan))


def _subject(result: Result) -> str:
    others = {name: value for name, value in result.case.params.items() if name != "scheme"}
    return " ".join([result.case.suite, *(f"{name}={value}" for name, value in others.items())])


def _of_case(result: Result) -> dict[str, Any]:
    known: Params = {**result.facts, **result.case.params}
    exact = {name: result.summary(name) for name in EXACT}
    return {
        "suite": result.case.suite,
        "case": result.name,
        "implementation": result.case.implementation,
        "weight_bits": _bits(result),
        **{name: str(known[name]) for name in _WORDS if name in known},
        **{name: one.centre if one else math.nan for name, one in exact.items()},
    }


def _score(result: Result, metric: Paired, other: Result | None) -> dict[str, Any]:
    found = result.summary(metric.name)
    assert found is not None, "only what was measured is among the metrics of a result"
    row: dict[str, Any] = {
        "metric": metric.name,
        "heading": metric.label,
        "title": metric.title,
        "unit": metric.unit,
        "better": metric.better,
        "tolerance": metric.tolerance,
        "centre": found.centre,
        "lo": found.lo,
        "hi": found.hi,
        "values": tuple(next(iter(result.rounds(metric.name).values())).values),
    }
    if other is None or (before := other.summary(metric.name)) is None:
        return row
    row |= {"reference": before.centre, "allowed": metric.allowed(before.centre)}
    word, comparison, _ = stands(other, result, metric.name)
    if other is result or comparison is None or comparison.difference is None:
        return row
    apart = comparison.difference
    return row | {"difference": apart.centre, "difference_lo": apart.lo, "difference_hi": apart.hi, "word": word}


def _rate(run: str, step: Step) -> dict[str, Any]:
    scheme = str(step.setting.get("scheme", ""))
    centre, lo, hi = step.rate
    products = [product for product in step.model.products if not product.is_head]
    in_full = sum(FULL_BYTES * product.weights for product in products)
    known = all(scheme in product.scheme_bytes for product in products)
    by_scheme = sum(product.scheme_bytes[scheme] for product in products) if known else math.nan
    return {
        "run": run,
        "model": step.model.name,
        "implementation": step.implementation,
        "scheme": "" if step.is_baseline else scheme,
        "is_whole": step.rest is not None,
        "rate": centre,
        "rate_lo": lo,
        "rate_hi": hi,
        "packed_bytes": in_full if step.is_baseline else by_scheme,
        "setting": _in_words(step.setting),
    }


def _in_words(setting: Params) -> str:
    """Of a step, without its scheme: `m=1 context=256 device=cpu threads=2`."""
    return " ".join(f"{name}={setting[name]}" for name in ("m", "context", "device", "threads") if name in setting)
