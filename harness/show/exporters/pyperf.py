"""For pyperf: a round is one of its runs. It takes values above zero only, and each name once."""

import json
import math

from harness.model import Environment, Measurement
from harness.show.exporters.latencies import latencies, untimed
from harness.show.exporters.selection import Selection, Written

TOOL = "pyperf"


def write(selection: Selection) -> Written:
    """One document, as of version 1.0 of the format."""
    left_out = untimed(selection, TOOL)
    benchmarks = []
    for result, rounds in latencies(selection):
        if all(0 < value < math.inf for taken in rounds.values() for value in taken.values):
            runs = [_run(taken, selection.run.started) for taken in rounds.values()]
            benchmarks.append({"metadata": {"name": result.name}, "runs": runs})
        else:
            left_out.append(f"{result.name}: pyperf has no value that is not above 0")
    at = selection.run.environment
    document = {"version": "1.0", "benchmarks": benchmarks, "metadata": {"unit": "second", **_machine(at)}}
    return Written({"": json.dumps(document)} if benchmarks else {}, left_out)


def _run(taken: Measurement, started: str) -> dict[str, object]:
    date = started.replace("T", " ").removesuffix("Z")
    return {"metadata": {"loops": taken.iterations, "date": date}, "values": list(taken.values)}


def _machine(at: Environment) -> dict[str, object]:
    told = {"cpu_model_name": at.cpu_model, "python_version": at.python, "platform": at.operating_system}
    known: dict[str, object] = {name: value for name, value in told.items() if value != "unknown"}
    return known | ({"cpu_count": at.cores_logical} if at.cores_logical else {})
