"""A fleet of which one process is killed at a random instant, again and again: is a record lost, or there twice?

`python docs/experiments/fleet/kills.py RECORD --times 50` appends one line a trial to RECORD. `--table` prints what is
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
from pathlib import Path

import psutil

from harness import store

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from tests.harness.fakes.fleet_rig import Process, Rig  # noqa: E402 - found once the root is on the path

VICTIMS = ("worker", "run", "scheduler", "client")
ROUNDS = 12
ALL = 4 * 3 * ROUNDS + 4
"""Records of a run: three implementations in every round, and one that is skipped."""
EARLY = 0.1
"""The share of trials that kill while the fleet begins."""


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
    """Kill once. A client that was not the victim must finish by itself."""
    rng, victim = random.Random(number), VICTIMS[number % len(VICTIMS)]
    rig.hub = rig.folder / f"hub-{number}"
    said = (rig.folder / "client.log").stat().st_size
    began = time.monotonic()
    client = rig.client()
    if rng.random() >= EARLY:
        rig.wait(lambda: rig.lines() or client.poll() is not None)
    after = rng.uniform(0, seconds)
    time.sleep(after)
    before, ended = on_disks(rig), client.poll() is not None
    struck = kill(rig, client, victim, rng) and not ended
    if victim == "client":
        client.wait()
        client = rig.client("--go-on")
    code, log = rig.finished(client)
    attempts = sum(": begun on " in line or ": resumed on " in line for line in log[said:].splitlines())
    return {
        "trial": number,
        "victim": victim,
        "struck": struck,
        "after": round(after, 3),
        "records_before": sum(data.count(b"\n") for data in before.values()),
        "code": code,
        "attempts": attempts,
        "seconds": round(time.monotonic() - began, 1),
        **judged(rig, before),
        "left_running": len(list(rig.folder.glob("cache/*/bitlinear-bench/fleet/*/*"))),
    }


def table(lines: list[dict[str, object]]) -> str:
    """One row a victim."""
    wrongs = ("missing", "twice", "lost_lines")
    rows = [
        "| killed | trials | while it worked | finished | records missing | twice | lines lost |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for victim in VICTIMS:
        own = [line for line in lines if line["victim"] == victim]
        numbers = [len(own), sum(bool(line["struck"]) for line in own), sum(line["code"] == 0 for line in own)]
        numbers += [sum(int(str(line[wrong])) for line in own) for wrong in wrongs]
        rows.append(f"| {victim} | {' | '.join(map(str, numbers))} |")
    return "\n".join(rows)


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("--times", type=int, default=50)
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
