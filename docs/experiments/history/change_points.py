"""Which way of finding change points raises the fewest false alarms, and sees a step soonest? On known steps.

    python docs/experiments/history/change_points.py [RECORD [SEED]]

appends one line of JSON a method and kind of series to RECORD, for every method that is installed in this Python, and
prints the table of all lines in it. What the record has already is not measured again. `ruptures` is in the extra
`history`; asv and Apache Otava want an environment of their own, in which this file runs with numpy alone: Otava
replaces numpy by an older one.

A kind is 40 series of 100 runs, or 200 series where there is no step, with noise of 2 % unless it says otherwise. A
step counts as found within 3 runs of the truth; whatever else is found is a false alarm. The delay is the number of
runs with the step after which it is found first, up to 30: the median over the series. `gates` are real: the latency
of each case in gates of the same code on one machine, one after the other, and the same with a step put in.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

ROOT = Path(__file__).parents[3]
RECORD = ROOT / "results/experiments/change-points.jsonl"
HELD_OUT = 2026
"""The seed of the table: nothing was chosen by these series."""
SERIES, MORE, RUNS, NOISE, NEAR, LONGEST = 40, 200, 100, 0.02, 3, 30


class Known(NamedTuple):
    """Logs of a series, and where its level changes."""

    logs: np.ndarray
    truth: tuple[int, ...]


def simulated(kind: str, random: np.random.Generator) -> Known:
    """One series of a kind."""
    noise = NOISE * random.standard_normal(RUNS)
    level, truth = np.zeros(RUNS), ()
    match kind.split():
        case ["step", size]:
            level[50:], truth = math.log1p(float(size) / 100), (50,)
        case ["late", size]:
            level[RUNS - 6 :], truth = math.log1p(float(size) / 100), (RUNS - 6,)
        case ["up-and-down", size]:
            level[40:70], truth = math.log1p(float(size) / 100), (40, 70)
        case ["outliers"]:
            noise += np.where(random.random(RUNS) < 0.05, math.log(1.5), 0)
        case ["bimodal"]:
            noise += np.where(random.random(RUNS) < 0.3, math.log(1.08), 0)
        case ["correlated"]:
            for place in range(1, RUNS):
                noise[place] = 0.7 * noise[place - 1] + math.sqrt(1 - 0.7**2) * noise[place]
        case ["drift"]:
            level = np.linspace(0, math.log(1.05), RUNS)
    return Known(level + noise, truth)


WITHOUT_STEPS = ("flat", "outliers", "bimodal", "correlated", "drift")
SIMULATED = ("step 3", "step 5", "step 10", "late 5", "late 10", "up-and-down 5", *WITHOUT_STEPS)


def gates() -> list[np.ndarray]:
    """Logs of the latency of each case, over the gates of the same code on the machine that held most of them."""
    lines = [json.loads(line) for line in (ROOT / "results/experiments/gate.jsonl").read_text().splitlines()]
    held = [line for line in lines if line["experiment"] == "same"]
    machines = [json.dumps(line.get("machine", line.get("environment"))) for line in held]
    most = max(set(machines), key=machines.count)
    trials = [line["trial"]["cases"] for line, machine in zip(held, machines, strict=True) if machine == most]
    return [np.log([trial[case]["seconds"] for trial in trials]) for case in trials[0]]


def kinds(seed: int) -> Iterator[tuple[str, list[Known]]]:
    """All series, the same in every run of a seed."""
    for number, kind in enumerate(SIMULATED):
        random = np.random.default_rng((seed, number))
        is_quick = kind in WITHOUT_STEPS
        yield kind, [simulated(kind, random) for _ in range(MORE if is_quick else SERIES)]
    real = gates()
    yield "gates flat", [Known(logs, ()) for logs in real]
    for size in (10, 20):
        at = len(real[0]) // 2
        step = np.where(np.arange(len(real[0])) >= at, math.log1p(size / 100), 0)
        yield f"gates step {size}", [Known(logs + step, (at,)) for logs in real]


def methods() -> dict[str, Callable[[np.ndarray], list[int]]]:
    """Those that are installed, as functions from logs to the first places of new levels."""
    found: dict[str, Callable[[np.ndarray], list[int]]] = {}
    if find_spec("ruptures"):
        import ruptures

        from harness.analysis.history.change_points import proposed, steps

        def pelt(kernel: str, logs: np.ndarray, penalty: float) -> list[int]:
            return ruptures.KernelCPD(kernel=kernel, min_size=2).fit(logs).predict(pen=penalty)[:-1]

        def scaled(logs: np.ndarray) -> np.ndarray:
            return logs / (np.median(np.abs(np.diff(logs))) / 0.954)

        found |= {
            "PELT rbf, ln n": lambda logs: pelt("rbf", logs, math.log(len(logs))),
            "PELT l2, 3 ln n": lambda logs: pelt("linear", scaled(logs), 3 * math.log(len(logs))),
            "PELT rbf, 0.6 ln n": proposed,
            "the same, confirmed (chosen)": lambda logs: [step.at for step in steps(logs)],
        }
    if find_spec("asv"):
        from asv import step_detect

        found["asv 0.6.6"] = lambda logs: [step[0] for step in step_detect.detect_steps(list(np.exp(logs)))[1:]]
    if find_spec("otava"):
        from otava.analysis import compute_change_points

        def otava(logs: np.ndarray) -> list[int]:
            points = compute_change_points(list(map(float, np.exp(logs))))[0]
            return [point.index for point in points]

        found["Otava 0.8.0"] = otava
    return found


def delay(find: Callable[[np.ndarray], list[int]], known: Known) -> float:
    """Runs with the first step until it is found; infinite beyond LONGEST."""
    at = known.truth[0]
    for seen in range(1, min(LONGEST, len(known.logs) - at) + 1):
        if any(abs(place - at) <= NEAR for place in find(known.logs[: at + seen])):
            return seen
    return math.inf


def score(find: Callable[[np.ndarray], list[int]], series: list[Known]) -> dict[str, float | None]:
    """Shares and counts over the series of a kind."""
    hits = alarms = 0
    began = time.process_time()
    for known in series:
        places = find(known.logs)
        seen = {at for at in known.truth if any(abs(place - at) <= NEAR for place in places)}
        hits += len(seen)
        alarms += len(places) - len(seen)
    took = (time.process_time() - began) / len(series)
    delays = [delay(find, known) for known in series] if series[0].truth else []
    middle = float(np.median(delays)) if delays else math.inf
    return {
        "found": hits / sum(len(known.truth) for known in series) if delays else None,
        "false": alarms / len(series),
        "delay": middle if math.isfinite(middle) else None,
        "milliseconds": round(1000 * took, 1),
    }


def table(record: Path) -> None:
    """Print what the record holds: found / false alarms a series / delay."""
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    last = {(line["method"], line["kind"]): line for line in lines}
    names = list(dict.fromkeys(line["method"] for line in lines))
    print("| series |", " | ".join(names), "|")
    print("|---" * (len(names) + 1) + "|")
    for kind in dict.fromkeys(line["kind"] for line in lines):
        cells = []
        for name in names:
            one = last.get((name, kind))
            found = "" if one is None or one["found"] is None else f"{one['found']:.0%}, "
            late = "" if one is None or one["found"] is None else f", after {one['delay'] or f'> {LONGEST}'}"
            cells.append("" if one is None else f"{found}{one['false']:.2f}{late}")
        print(f"| {kind} |", " | ".join(cells), "|")


def main() -> None:
    """Score and print."""
    record = Path(sys.argv[1]) if len(sys.argv) > 1 else RECORD
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else HELD_OUT
    with record.open("a+") as file:
        file.seek(0)
        held = {(line["method"], line["kind"]) for line in map(json.loads, file)}
        for name, find in methods().items():
            for kind, series in kinds(seed):
                if (name, kind) in held:
                    continue
                file.write(json.dumps({"method": name, "kind": kind, **score(find, series)}) + "\n")
                file.flush()
    table(record)


if __name__ == "__main__":
    main()
