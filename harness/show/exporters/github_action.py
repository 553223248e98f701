"""For github-action-benchmark: the arrays of its custom tools. A file has one direction, so there are two.

`-smaller` is for `customSmallerIsBetter` and `-bigger` for `customBiggerIsBetter`. A benchmark is a case and a metric.
"""

import json
import math

from harness.estimators.intervals import Summary
from harness.model import Metric
from harness.show.exporters.selection import Selection, Written

TOOL = "github-action-benchmark"
_FILES = {"lower": "-smaller", "higher": "-bigger"}


def write(selection: Selection) -> Written:
    """Two documents, or the one that anything is in."""
    entries: dict[str, list[dict[str, object]]] = {}
    left_out = []
    for result, metric, summary in selection.values():
        name = f"{result.name}/metric={metric.name}"
        if math.isfinite(summary.centre):
            entries.setdefault(_FILES[metric.better], []).append(_entry(name, metric, summary))
        else:
            left_out.append(f"{name}: {summary.centre} is no number in JSON")
    return Written({end: json.dumps(entries[end], indent=1) for end in sorted(entries)}, left_out)


def _entry(name: str, metric: Metric, summary: Summary) -> dict[str, object]:
    """`range` is a text that the action prints after the value."""
    entry: dict[str, object] = {"name": name, "unit": metric.unit, "value": summary.centre}
    if math.isfinite(summary.hi) and summary.hi > summary.lo:
        entry["range"] = f"± {(summary.hi - summary.lo) / 2:.3g}"
    return entry | {"extra": f"{metric.title or metric.name}, {metric.better} is better, n = {summary.n}"}
