"""For Bencher: its Metric Format, with centre and interval. Latencies are in nanoseconds, as Bencher has them."""

import json
import math

from harness.estimators.intervals import Summary
from harness.model.metrics import LATENCY
from harness.show.exporters.selection import Selection, Written

TOOL = "bencher"
LONGEST_NAME = 1024
"""Characters of the name of a benchmark."""
_NANOSECONDS = 1e9


def write(selection: Selection) -> Written:
    """One document."""
    document: dict[str, dict[str, object]] = {}
    left_out = []
    for result, metric, summary in selection.values():
        size = _NANOSECONDS if metric.name == LATENCY.name else 1.0
        if len(result.name) > LONGEST_NAME:
            left_out.append(f"{result.name[:60]}...: its name has more than {LONGEST_NAME} characters")
        elif not math.isfinite(summary.centre):
            left_out.append(f"{result.name}: {metric.name} is {summary.centre}, which is no number in JSON")
        else:
            document.setdefault(result.name, {})[metric.name] = _value(summary, size)
    return Written({"": json.dumps(document, indent=1)} if document else {}, left_out)


def _value(summary: Summary, size: float) -> dict[str, float]:
    bounds = {"lower_value": summary.lo, "upper_value": summary.hi}
    known = {name: value * size for name, value in bounds.items() if math.isfinite(value)}
    return {"value": summary.centre * size, **known}
