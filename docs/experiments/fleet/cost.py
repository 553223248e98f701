"""The CPU time that the engine of a fleet takes beside what is timed, a second.

`python docs/experiments/fleet/cost.py RECORD --seconds 30` appends one line a process and case to RECORD. `--table`
prints what is recorded, as Markdown. Cases: a worker without a run, the same while it makes one and sends its records
(made up by `tests/harness/fakes/swift_worker.py`, many more a second than real ones), and a worker with its nanny
by Dask's own defaults. Times are those that the kernel's scheduler counts
(/proc/PID/task/*/schedstat, nanoseconds on a CPU) and do not depend on what else is running; wake-ups are voluntary
switches of context.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from tests.harness.fakes.fleet_rig import Rig  # noqa: E402 - found once the root is on the path

WINDOW, MOST = 5.0, 1.1
"""Seconds of a window, and how many times as long it may take."""
SETTLING = 5.0
"""Seconds after which a process that has just begun does only what it does all the time."""


def used(pid: int) -> tuple[float, int]:
    """Seconds on a CPU and wake-ups of all threads of a process so far."""
    tasks = [*Path(f"/proc/{pid}/task").iterdir()]
    seconds = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    switches = [line for task in tasks for line in (task / "status").read_text().splitlines()]
    return seconds, sum(int(line.split()[1]) for line in switches if line.startswith("voluntary"))


def watched(case: str, processes: dict[str, int], seconds: float) -> list[dict[str, object]]:
    """What each process takes in some seconds, in windows: one in which this machine stood still is left out."""
    cpu, wakes = dict.fromkeys(processes, 0.0), dict.fromkeys(processes, 0)
    wall = 0.0
    while wall < seconds:
        before, began = {name: used(pid) for name, pid in processes.items()}, time.monotonic()
        time.sleep(WINDOW)
        after, passed = {name: used(pid) for name, pid in processes.items()}, time.monotonic() - began
        if passed > MOST * WINDOW:
            continue
        wall += passed
        for name in processes:
            cpu[name] += after[name][0] - before[name][0]
            wakes[name] += after[name][1] - before[name][1]
    rate = {
        name: {"ms_a_second": round(1e3 * cpu[name] / wall, 3), "wakes": round(wakes[name] / wall, 1)} for name in cpu
    }
    return [{"case": case, "process": name, **rate[name], "seconds": round(wall, 1)} for name in processes]


def of_fleet(folder: Path, seconds: float) -> list[dict[str, object]]:
    """Idle first, then while a run is made whose records come one after another."""
    with Rig(folder, names=(), words=("--rounds", "5000")) as rig:
        rig.workers["a"] = rig.begin_worker("a")
        rig.wait(lambda: b"Registered" in (folder / "a.log").read_bytes())
        time.sleep(SETTLING)
        engine = {"scheduler": rig.scheduler.pid, "worker": rig.workers["a"].pid}
        idle = watched("no run", engine, seconds)
        client = rig.client()
        rig.wait(lambda: len(rig.lines()) > 1 or client.poll() is not None)
        assert client.poll() is None, (folder / "client.log").read_text()
        time.sleep(SETTLING)
        records = len(rig.lines())
        busy = watched("a run", {**engine, "client": client.pid}, seconds)
        rate = round((len(rig.lines()) - records) / seconds, 1)
        client.kill()
        client.wait()
        return [*idle, *({**line, "records_a_second": rate} for line in busy)]


def of_defaults(folder: Path, seconds: float) -> list[dict[str, object]]:
    """Dask as it is when nobody tells it anything."""
    file = str(folder / "scheduler.json")
    words = {
        "scheduler": ("dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", file),
        "nanny": ("dask_worker", "--nthreads", "1", "--no-dashboard", "--scheduler-file", file),
    }
    environment = {name: text for name, text in os.environ.items() if not name.startswith("DASK_")}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, "env": environment}
    begun = {}
    try:
        for name, (module, *rest) in words.items():
            begun[name] = subprocess.Popen([sys.executable, "-m", f"distributed.cli.{module}", *rest], **pipes)
        nanny = psutil.Process(begun["nanny"].pid)
        while not (workers := [one for one in nanny.children() if "spawn_main" in " ".join(one.cmdline())]):
            time.sleep(0.2)
        time.sleep(2 * SETTLING)
        pids = {name: process.pid for name, process in begun.items()} | {"worker": workers[0].pid}
        return watched("Dask's defaults, no run", pids, seconds)
    finally:
        for process in begun.values():
            process.terminate()
            process.wait()


def table(lines: list[dict[str, object]]) -> str:
    """One row a case and process."""
    rows = ["| case | process | CPU, ms a second | wake-ups a second |", "|---|---|--:|--:|"]
    return "\n".join(
        [
            *rows,
            *(f"| {one['case']} | {one['process']} | {one['ms_a_second']:.1f} | {one['wakes']:.0f} |" for one in lines),
        ]
    )


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.table:
        print(table([json.loads(line) for line in given.record.read_text().splitlines()]))
        return
    for case in (of_fleet, of_defaults):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, given.record.open("a") as record:
            lines = case(Path(folder), given.seconds)
            record.writelines(f"{json.dumps(line)}\n" for line in lines)
            print(table(lines), flush=True)


if __name__ == "__main__":
    main()
