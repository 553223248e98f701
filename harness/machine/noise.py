"""What the machine did to this process since the last look: a look costs far less than what it watches over."""

import os
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import TypeAlias

SLOW = 2e-4
"""Seconds that reading one fact may take; what takes longer is not read at all."""
ASLEEP = 0.1
"""Seconds below which a machine has not slept."""
FREQUENCIES = 8
"""Cores whose frequency is read at most."""
_STEAL = 8
"""Where the line `cpu` of /proc/stat has the ticks that the hypervisor gave to others."""

Read: TypeAlias = Callable[[], float]
"""The value of a fact now. Raises one of ABSENT where it cannot be told."""
ABSENT = (OSError, ValueError, IndexError)


class NoiseMonitor:
    """Looks at what grows (`steal`, `suspended`, in seconds, switches, faults) and at what is (`frequency`, in Hz).

    What this system does not tell is left out from the beginning.
    """

    def __init__(self, proc: Path = Path("/proc"), processors: Path = Path("/sys/devices/system/cpu")) -> None:
        growing = {"steal": _steal(proc), "suspended": _suspended}
        frequency = next(filter(_readable, _frequencies(proc, processors)), None)
        self._growing = {name: read for name, read in growing.items() if _readable(read)}
        self._momentary = {"frequency": frequency} if frequency else {}
        self._last = self._now()

    def look(self) -> dict[str, float]:
        """What happened since the last look, or since the beginning."""
        last, self._last = self._last, self._now()
        grown = {name: value - last[name] for name, value in self._last.items()}
        if "suspended" in grown and grown["suspended"] < ASLEEP:
            grown["suspended"] = 0.0  # it was an interruption between looking at the one clock and at the other
        return {**grown, **{name: read() for name, read in self._momentary.items()}}

    def _now(self) -> Mapping[str, float]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        counted = {
            "involuntary_switches": float(usage.ru_nivcsw),
            "page_faults": float(usage.ru_minflt + usage.ru_majflt),
        }
        return {**counted, **{name: read() for name, read in self._growing.items()}}


def _readable(read: Read) -> bool:
    """Whether it tells something, and quickly: the frequency of some processors takes an interrupt to each core."""
    try:
        durations = []
        for _ in range(3):
            start = time.perf_counter()
            read()
            durations.append(time.perf_counter() - start)
    except ABSENT:
        return False
    return min(durations) <= SLOW


def _file(path: Path) -> Callable[[], bytes]:
    """Reads the beginning of a file of the kernel's anew, through a descriptor that is kept."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return lambda: b""
    return lambda: os.pread(descriptor, 4096, 0)


def _steal(proc: Path) -> Read:
    """Seconds that all cores together waited while the hypervisor ran somebody else."""
    stat = _file(proc / "stat")
    ticks = os.sysconf("SC_CLK_TCK")
    return lambda: int(stat().split(b"\n", 1)[0].split()[_STEAL]) / ticks


def _suspended() -> float:
    """Seconds that the machine has slept."""
    if not hasattr(time, "CLOCK_BOOTTIME"):
        raise OSError("no clock that goes on while the machine sleeps")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


def _frequencies(proc: Path, processors: Path) -> tuple[Read, Read]:
    """Two ways to the mean frequency in Hz: the governor's, in kHz, and /proc/cpuinfo's, in MHz."""
    cores = sorted(processors.glob("cpu[0-9]*/cpufreq/scaling_cur_freq"))[:FREQUENCIES]
    files = [_file(path) for path in cores]
    cpuinfo = _file(proc / "cpuinfo")

    def governor() -> float:
        return 1e3 * fmean(int(file()) for file in files)

    def listed() -> float:
        lines = cpuinfo().split(b"\n")[:-1]  # the last one may be cut off
        return 1e6 * fmean(float(line.partition(b":")[2]) for line in lines if line.startswith(b"cpu MHz"))

    return governor, listed
