"""A second of watching the machine while this process does nothing, and a loop that shows how steady it is."""

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 1.0
LOOPS = 200
NAMED = 3
"""How many of the busiest processes are named."""


@dataclass(frozen=True)
class Observation:
    """What happened meanwhile. None where the system does not tell."""

    steal: float | None
    """Share of all cores' time that the hypervisor gave to others."""
    busy: Mapping[str, float]
    """The busiest other processes by name: cores that each used."""
    used: float
    """Cores that were busy in all, also with what cannot be seen from here."""
    throttled: int | None
    """How often a core slowed down because of heat."""


def observe(processors: Path, seconds: float = SECONDS) -> Observation:
    """Sleep, and tell what others did."""
    import psutil

    before, heat, used = psutil.cpu_times(), throttles(processors), _used()
    start = time.monotonic()
    time.sleep(seconds)
    after, hotter, using = psutil.cpu_times(), throttles(processors), _used()
    elapsed = time.monotonic() - start
    stolen = after.steal - before.steal if hasattr(after, "steal") else None
    shares: dict[str, float] = defaultdict(float)
    for pid, name in using.keys() & used.keys():
        shares[name] += (using[pid, name] - used[pid, name]) / elapsed
    return Observation(
        steal=None if stolen is None else stolen / max(sum(after) - sum(before), 1e-9),
        busy=dict(sorted(shares.items(), key=lambda item: -item[1])[:NAMED]),
        used=(_working(after) - _working(before)) / elapsed,
        throttled=None if heat is None or hotter is None else hotter - heat,
    )


def _working(times: Any) -> float:
    """Seconds that the cores worked for this system."""
    elsewhere = sum(getattr(times, name, 0.0) for name in ("iowait", "steal", "guest", "guest_nice"))
    return float(sum(times) - times.idle - elsewhere)


def throttles(processors: Path) -> int | None:
    """How often cores have been slowed down because of heat since the machine started; None where it is not counted."""
    try:
        counts = [int(file.read_text()) for file in processors.glob("cpu[0-9]*/thermal_throttle/core_throttle_count")]
    except (OSError, ValueError):  # a sandbox may list a file and not let it be read
        return None
    return sum(counts) if counts else None


def loop_durations(loops: int = LOOPS) -> list[float]:
    """Seconds of each of `loops` runs of one fixed piece of Python, a tenth of a millisecond or so."""
    durations = []
    for _ in range(loops):
        start = time.perf_counter()
        for number in range(2000):
            number * number
        durations.append(time.perf_counter() - start)
    return durations


def clock_step() -> float:
    """Seconds between two looks at the clock that differ, at the least: its resolution or its cost."""
    steps = []
    for _ in range(LOOPS):
        start = time.perf_counter()
        while (end := time.perf_counter()) == start:
            pass
        steps.append(end - start)
    return min(steps)


def _used() -> dict[tuple[int, str], float]:
    """Seconds of processor that every other process has used so far, by its number and name."""
    import psutil

    found = {}
    for process in psutil.process_iter(["pid", "name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None and process.info["pid"] not in (0, os.getpid()):
            found[process.info["pid"], str(process.info["name"])] = times.user + times.system
    return found
