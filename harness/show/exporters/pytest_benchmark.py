"""For `pytest-benchmark compare`: one benchmark a case, its rounds one after the other in `data`.

The node id is `SUITE::IMPLEMENTATION[PARAMS]`. How many values each process gave is in `extra_info`, so that
`bitbench import` reads the same rounds back.
"""

import itertools
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from harness.analysis.results import Result
from harness.model import Environment, Measurement
from harness.show.exporters.latencies import latencies, untimed
from harness.show.exporters.selection import Selection, Written

TOOL = "pytest-benchmark"


def write(selection: Selection) -> Written:
    """One document."""
    run = selection.run
    document = {
        "machine_info": _machine(run.environment),
        "commit_info": {"id": run.revision.commit or "unversioned", "dirty": run.revision.dirty, "time": None},
        "benchmarks": [_benchmark(result, rounds) for result, rounds in latencies(selection)],
        "datetime": run.started.replace("Z", "+00:00"),
        "version": version(TOOL),
    }
    return Written({"": json.dumps(document, indent=1)} if document["benchmarks"] else {}, untimed(selection, TOOL))


def _machine(at: Environment) -> dict[str, object]:
    """As the tool's own reports look it up; a run tells no name of a host."""
    system, _, release = at.operating_system.partition(" ")
    cpu = {"brand_raw": at.cpu_model, "count": at.cores_logical}
    return {
        "system": system,
        "release": release,
        "python_version": at.python,
        "cpu": cpu,
    }


def _benchmark(result: Result, rounds: Mapping[int, Measurement]) -> dict[str, object]:
    from pytest_benchmark.stats import Stats  # late: it imports pytest

    stats: Any = Stats()  # type: ignore[no-untyped-call]  # it ships no types
    values = list(itertools.chain.from_iterable(taken.values for taken in rounds.values()))
    for value in values:
        stats.update(value)
    case = result.case
    identifier = "-".join(f"{name}={value}" for name, value in case.params.items()) or None
    name = f"{case.implementation}[{identifier}]" if identifier else case.implementation
    iterations = min(taken.iterations for taken in rounds.values())
    return {
        "group": case.suite,
        "name": name,
        "fullname": f"{case.suite}::{name}",
        "params": dict(case.params) or None,
        "param": identifier,
        "extra_info": {"bitbench_rounds": [len(taken.values) for taken in rounds.values()]},
        "options": {},
        "stats": {**stats.as_dict(), "data": values, "iterations": iterations},
    }
