"""Fleets whose processes are killed at random instants: is a record lost, or there twice?

`python docs/experiments/fleet/kills.py RECORD --times 17` appends one line a fleet to RECORD. `--table` prints what is
recorded, as Markdown. Two machines are two workers with an identity and a cache of their own on this one. Their runs
are real, with workers that make their answers up (`tests/harness/fakes/swift_worker.py`): a trial takes seconds.
Victims are, in turn, a worker of Dask, the controller of a run, the scheduler and the client; who is killed is started
again, as a supervisor would, and the client by the same command with `--go-on`.
"""

import argparse
import contextlib
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from harness import store

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from tests.harness.fakes.fleet_rig import Process, Rig  # noqa: E402 - found once the root is on the path

VICTIMS = ("worker", "run", "scheduler", "client")
ROUNDS = 8
ALL = 4 * 3 * ROUNDS + 4
"""Records of a run: three implementations in every round, and one that is skipped."""
KILLS = 3
"""Of one fleet, at most: it may have finished before."""
EARLY = 0.1
"""The share of kills that do not wait for a new record, and so fall into the begin or the repair."""
WRONGS = ("records missing", "records twice", "lines lost")


def whole(path: Path) -> bytes:
    """The whole lines of a file, or nothing."""
    with contextlib.suppress(FileNotFoundError):
        data = path.read_bytes()
        return data[: data.rfind(b"\n") + 1]
    return b""


def on_disks(rig: Rig) -> Mapping[str, bytes]:
    """By run: what is on the disk of its machine, or in the hub, whichever is more."""
    there: dict[str, bytes] = {}
    for path in (*rig.hub.glob("*/run.jsonl"), *rig.folder.glob("cache/*/bitlinear-bench/fleet/*/*/run/run.jsonl")):
        name = path.parent.name if path.parent.parent == rig.hub else path.parent.parent.name
        there[name] = max(there.get(name, b""), whole(path), key=len)
    return there


def kill(rig: Rig, client: Process, victim: str, rng: random.Random) -> bool:
    """Whether there was such a process."""
    worker = rig.workers[rng.choice(sorted(rig.workers))]
    match victim:
        case "worker":
            worker.kill()
        case "scheduler":
            rig.scheduler.kill()
        case "client":
            client.kill()
        case "run":
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                psutil.Process(worker.pid).children()[0].kill()
                return True
            return False
    return True


def has_news(rig: Rig, client: Process, lines: int) -> bool:
    """Whether more than so many lines are in the hub, or no more will come."""
    return len(rig.lines()) > lines or client.poll() is not None


def judged(rig: Rig, before: Mapping[str, bytes]) -> dict[str, int]:
    """What is wrong in the hub: runs, records lost, records twice, lines that were there and are not."""
    wrong = Counter(runs=0, missing=0, twice=0, lost_lines=0)
    places = [path.parent for path in rig.hub.glob("*/run.jsonl")]
    wrong["runs"] = abs(len(places) - len(rig.workers))
    for place in places:
        lines = (place / store.FILE_NAME).read_bytes().splitlines()[1:]
        turns = Counter((json.dumps(one["case"], sort_keys=True), one["round"]) for one in map(json.loads, lines))
        wrong["missing"] += ALL - len(turns)
        wrong["twice"] += sum(turns.values()) - len(turns)
    after = {place.name: (place / store.FILE_NAME).read_bytes() for place in places}
    for name, lines_before in before.items():
        wrong["lost_lines"] += 0 if after.get(name, b"").startswith(lines_before) else lines_before.count(b"\n")
    return dict(wrong)


def trial(rig: Rig, number: int, seconds: float) -> dict[str, object]:
    """One fleet, a few kills. A client that is no victim must finish by itself."""
    rng = random.Random(number)
    rig.hub = rig.folder / f"hub-{number}"
    said = (rig.folder / "client.log").stat().st_size
    began = time.monotonic()
    client = rig.client()
    struck: list[str] = []
    before: dict[str, bytes] = {}
    for kills in range(KILLS):
        victim = VICTIMS[(number * KILLS + kills) % len(VICTIMS)]
        if rng.random() >= EARLY:
            rig.wait(partial(has_news, rig, client, len(rig.lines())), tending=True)
        time.sleep(rng.uniform(0, seconds / KILLS))
        if client.poll() is not None:  # it has finished before
            break
        before |= {name: data for name, data in on_disks(rig).items() if len(data) > len(before.get(name, b""))}
        if kill(rig, client, victim, rng):
            struck.append(victim)
        if victim == "client":
            client.wait()
            client = rig.client("--go-on")
    code, log = rig.finished(client)
    return {
        "trial": number,
        "struck": struck,
        "records_before": sum(data.count(b"\n") for data in before.values()),
        "code": code,
        "attempts": sum(": begun on " in line or ": resumed on " in line for line in log[said:].splitlines()),
        "seconds": round(time.monotonic() - began, 1),
        **judged(rig, before),
        "left_on_machines": len(list(rig.folder.glob("cache/*/bitlinear-bench/fleet/*/*"))),
    }


def table(lines: list[dict[str, Any]]) -> str:
    """How many were killed, and what went wrong."""
    killed = Counter(victim for line in lines for victim in line["struck"])
    wrong = {name: sum(line[name] for line in lines) for name in ("missing", "twice", "lost_lines")}
    heads = [*(f"{victim}s killed" for victim in VICTIMS), "fleets", "of them finished", *WRONGS]
    values = [*(killed[victim] for victim in VICTIMS), len(lines), sum(line["code"] == 0 for line in lines)]
    rows = (heads, ["--:"] * len(heads), [*map(str, (*values, *wrong.values()))])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("--times", type=int, default=17)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.table:
        print(table([json.loads(line) for line in given.record.read_text().splitlines()]))
        return
    done = len(given.record.read_text().splitlines()) if given.record.exists() else 0
    with tempfile.TemporaryDirectory() as folder, Rig(Path(folder), words=("--rounds", str(ROUNDS))) as rig:
        began = time.monotonic()
        client = rig.client()
        rig.wait(rig.lines)
        begun = time.monotonic()
        code, said = rig.finished(client)
        assert code == 0, said
        seconds = time.monotonic() - begun
        print(f"undisturbed: {begun - began:.1f} s until it begins, then {seconds:.1f} s", flush=True)
        for number in range(done, given.times):
            line = json.dumps(trial(rig, number, seconds))
            print(line, flush=True)
            with given.record.open("a") as record:
                record.write(f"{line}\n")


if __name__ == "__main__":
    main()
