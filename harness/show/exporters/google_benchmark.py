"""For tools that read Google Benchmark's JSON: a row a round, in seconds. There is no `cpu_time`: none was taken.

The value is that of the round, its median: such tools take every row for an independent one, and samples of one process
are not. Other metrics are counters of the first row of a case.
"""

import json
import math
from collections.abc import Iterator

from harness.analysis.results import Result
from harness.model.metrics import LATENCY
from harness.show.exporters.latencies import latencies
from harness.show.exporters.selection import Selection, Written

TOOL = "google-benchmark"


def write(selection: Selection) -> Written:
    """One document."""
    run = selection.run
    counters: dict[str, dict[str, float]] = {}
    for result, metric, summary in selection.values():
        if metric.name != LATENCY.name and math.isfinite(summary.centre):
            counters.setdefault(result.name, {})[metric.name] = summary.centre
    timed = [result for result, _ in latencies(selection)]
    rows = [row for number, one in enumerate(timed) for row in _rows(one, number, counters.get(one.name, {}))]
    context = {"date": run.started.replace("Z", "+00:00"), "num_cpus": run.environment.cores_logical}
    left_out = [f"{one.name}: it has no latency" for one in selection.results if one not in timed]
    return Written({"": json.dumps({"context": context, "benchmarks": rows}, indent=1)} if rows else {}, left_out)


def _rows(result: Result, family: int, counters: dict[str, float]) -> Iterator[dict[str, object]]:
    rounds = result.rounds(LATENCY.name).values()
    for index, taken in enumerate(rounds):
        yield {
            "name": result.name,
            "family_index": family,
            "per_family_instance_index": 0,
            "run_name": result.name,
            "run_type": "iteration",
            "repetitions": len(rounds),
            "repetition_index": index,
            "iterations": taken.iterations,
            "real_time": LATENCY.of_round(taken.values),
            "time_unit": "s",
            **(counters if index == 0 else {}),
        }
