"""What makes this machine noisy, in words, and how to quiet it. Every check is one small function of what was read.

What cannot be read is said to be unknown, never taken to be good.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from harness.machine.environment import governor, usable_cores
from harness.machine.observation import Observation, clock_step, loop_durations, observe, throttles
from harness.model.units import amount

Severity: TypeAlias = Literal["meaningless", "noisy", "unknown", "quiet"]
"""The worst first."""

ROOT = Path("/")
PROCESSORS = Path("sys/devices/system/cpu")
BUSY = 0.05
"""Cores that another process has to use to be named."""
ROOM = 2**30
"""Bytes of free memory below which weights, inputs and their copies may have to make room for each other."""


@dataclass(frozen=True)
class Symptom:
    """One fact, what it does to a measurement, and what to do about it; a quiet one needs no cure."""

    topic: str
    severity: Severity
    what: str
    cure: str = ""


def check(root: Path = ROOT) -> list[Symptom]:
    """Everything, in about a second and a half."""
    import psutil

    processors, cores = root / PROCESSORS, usable_cores()
    seen = observe(processors)
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    battery = getattr(psutil, "sensors_battery", lambda: None)()
    return [
        load(psutil.getloadavg()[0], cores),
        others(seen),
        steal(seen.steal),
        jitter(loop_durations()),
        hypervisor(_text(root / "proc/cpuinfo")),
        quota(cpu_quota(root), cores),
        usable(cores, psutil.cpu_count() or cores),
        siblings(_text(processors / "smt/active")),
        frequency_governor(governor(processors)),
        turbo(_text(processors / "intel_pstate/no_turbo"), _text(processors / "cpufreq/boost")),
        heat(seen, throttles(processors)),
        power(None if battery is None else battery.power_plugged),
        free_memory(memory.available),
        swapping(swap.used),
        huge_pages(_text(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        clock(clock_step(), _text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource")),
    ]


def load(average: float, cores: int) -> Symptom:
    """Work that waits for the cores."""
    what = f"load average {average:.2f} over the last minute, {cores} usable cores"
    if average > 2 * cores:
        return Symptom("load", "meaningless", what, "stop the other work: whatever is measured waits for its turn")
    if average > 0.25 * cores:
        return Symptom("load", "noisy", what, "stop other work and wait a minute")
    return Symptom("load", "quiet", what)


def others(seen: Observation) -> Symptom:
    """Who used the processor while this process slept."""
    named = [f"{name} {100 * share:.0f} %" for name, share in seen.busy.items() if share > BUSY]
    if named:
        return Symptom("other processes", "noisy", f"of a core used: {', '.join(named)}", "end them, or pause them")
    if seen.used > 2 * BUSY:
        what = f"{seen.used:.2g} cores were busy with what cannot be seen from here, or with many small ones"
        return Symptom("other processes", "noisy", what, "look for it outside of this container, or as its user")
    return Symptom("other processes", "quiet", f"none used more than {100 * BUSY:.0f} % of a core")


def steal(share: float | None) -> Symptom:
    """What the hypervisor gave to other guests."""
    if share is None:
        return Symptom("steal", "unknown", "this system does not tell whether a hypervisor takes time away")
    what = f"a hypervisor took {100 * share:.1f} % of the cores' time away"
    if share > 0.2:
        return Symptom("steal", "meaningless", what, "use another machine, or one with dedicated cores")
    if share > 0.002:
        return Symptom("steal", "noisy", what, "use dedicated cores, or measure at another hour; more rounds help")
    return Symptom("steal", "quiet", what)


def jitter(durations: Sequence[float]) -> Symptom:
    """How steady a fixed loop is: its 95th percentile over its median."""
    ratio = statistics.quantiles(durations, n=20)[-1] / statistics.median(durations)
    what = f"a fixed loop takes {100 * (ratio - 1):.0f} % longer in one of twenty runs"
    if ratio > 3:
        return Symptom("steadiness", "meaningless", what, "find out who else runs here: see the rows above")
    if ratio > 1.1:
        return Symptom("steadiness", "noisy", what, "see the other rows for the cause")
    return Symptom("steadiness", "quiet", what)


def hypervisor(cpuinfo: str) -> Symptom:
    """Whether this is a virtual machine. Only x86 says so."""
    if "flags" not in cpuinfo:
        return Symptom("virtual machine", "unknown", "this processor does not say whether it is a virtual one")
    if "hypervisor" in cpuinfo.split():
        cure = "use bare metal to compare machines; interleaving keeps ratios within a run honest"
        return Symptom("virtual machine", "noisy", "caches, memory and power are shared with guests unseen", cure)
    return Symptom("virtual machine", "quiet", "this is not one, as far as the processor says")


def quota(cores: float | None, usable_here: int) -> Symptom:
    """How much of the processor the control group allows; beyond it, every thread stops for a while."""
    if cores is None:
        return Symptom("processor quota", "unknown", "this system has no control groups that can be read")
    if cores == math.inf:
        return Symptom("processor quota", "quiet", "no control group limits the processor")
    what = f"the control group allows {cores:g} of {usable_here} cores"
    if cores < 1:
        return Symptom("processor quota", "meaningless", what, "raise the quota to one core at least")
    if cores < usable_here:
        return Symptom("processor quota", "noisy", what, f"measure with --threads {int(cores)}, or lift the quota")
    return Symptom("processor quota", "quiet", what)


def usable(cores: int, logical: int) -> Symptom:
    """Whether others may have the rest of the cores."""
    what = f"this process may use {cores} of {logical} logical cores"
    if cores < logical:
        return Symptom("cores", "noisy", what, "whoever has the others shares caches, memory and power: keep them idle")
    return Symptom("cores", "quiet", what)


def siblings(active: str) -> Symptom:
    """Whether two threads share a core's units."""
    match active:
        case "0":
            return Symptom("hyper-threading", "quiet", "off")
        case "1":
            cure = "measure with one thread a physical core (taskset, --threads), or echo off > /sys/.../smt/control"
            return Symptom("hyper-threading", "noisy", "two threads may share one core", cure)
    return Symptom("hyper-threading", "unknown", "this system does not tell")


def frequency_governor(name: str) -> Symptom:
    """Whether the frequency follows the load."""
    if name == "unknown":
        return Symptom("frequency governor", "unknown", "this system does not tell")
    if name == "performance":
        return Symptom("frequency governor", "quiet", name)
    cure = "sudo cpupower frequency-set -g performance"
    return Symptom("frequency governor", "noisy", f"{name}: the frequency follows the load", cure)


def turbo(no_turbo: str, boost: str) -> Symptom:
    """Whether the frequency depends on heat and on how many cores work: Intel's file and everybody else's."""
    on = {"0": True, "1": False}.get(no_turbo, {"0": False, "1": True}.get(boost))
    if on is None:
        return Symptom("turbo", "unknown", "this system does not tell")
    if not on:
        return Symptom("turbo", "quiet", "off")
    file = "intel_pstate/no_turbo: write 1" if no_turbo else "cpufreq/boost: write 0"
    return Symptom("turbo", "noisy", "on: the frequency depends on heat and on other cores", f"{PROCESSORS}/{file}")


def heat(seen: Observation, since_start: int | None) -> Symptom:
    """Whether cores were slowed down because of heat, just now or before."""
    if since_start is None or seen.throttled is None:
        return Symptom("heat", "unknown", "this system does not count when heat slows a core down")
    if seen.throttled:
        return Symptom("heat", "noisy", f"cores were slowed down {seen.throttled} times just now", "cool it, or wait")
    if since_start:
        cure = "look at it again after a run: if it has grown, cool the machine or switch turbo off"
        return Symptom("heat", "noisy", f"cores were slowed down {since_start} times since it started", cure)
    return Symptom("heat", "quiet", "no core was ever slowed down")


def power(plugged: bool | None) -> Symptom:
    """Whether a battery limits what the processor may take."""
    if plugged is None:
        return Symptom("power", "unknown", "this system tells of no battery")
    if plugged:
        return Symptom("power", "quiet", "on mains")
    return Symptom("power", "noisy", "on battery, which limits the frequency", "plug it in")


def free_memory(available: int) -> Symptom:
    """Whether there is room."""
    what = f"{amount(available, 'B')} are available"
    if available < ROOM:
        return Symptom("memory", "noisy", what, "close what is large, or measure small shapes only")
    return Symptom("memory", "quiet", what)


def swapping(used: int) -> Symptom:
    """Whether memory was written to disk."""
    what = f"{amount(used, 'B')} are in use"
    if used > 2**20:
        return Symptom("swap", "noisy", what, "free memory, then sudo swapoff -a")
    return Symptom("swap", "quiet", what)


def huge_pages(enabled: str) -> Symptom:
    """Whether the kernel decides by luck which weights lie in large pages: `always [madvise] never`."""
    chosen = enabled.partition("[")[2].partition("]")[0]
    match chosen:
        case "":
            return Symptom("huge pages", "unknown", "this system does not tell")
        case "always":
            cure = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
            return Symptom("huge pages", "noisy", "always: which memory gets them depends on luck", cure)
    return Symptom("huge pages", "quiet", chosen)


def clock(step: float, source: str) -> Symptom:
    """How finely time can be told."""
    what = f"tells apart {amount(step, 's')}{f', from {source}' * bool(source)}"
    if step > 1e-6:
        return Symptom("clock", "noisy", what, "boot with clocksource=tsc; calls below 100 us are uncertain until then")
    return Symptom("clock", "quiet", what)


def cpu_quota(root: Path = ROOT) -> float | None:
    """Cores that the control groups of this process allow, the least of them; None where nothing is told of them."""
    groups = root / "sys/fs/cgroup"
    if not groups.is_dir():
        return None
    limits = [_quota_v1(groups / "cpu"), _quota_v1(groups / "cpu,cpuacct")]
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, kinds, path = line.split(":", 2)
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts) + 1):
            place = "/".join(parts[:depth])
            limits.append(_quota_v1(groups / kinds / place) if kinds else _quota_v2(groups / place))
    return min((limit for limit in limits if limit is not None), default=math.inf)


def _quota_v2(group: Path) -> float | None:
    allowed, _, period = _text(group / "cpu.max").partition(" ")
    return _cores(allowed, period)


def _quota_v1(group: Path) -> float | None:
    return _cores(_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us"))


def _cores(allowed: str, period: str) -> float | None:
    return int(allowed) / int(period) if allowed.isdecimal() and period.isdecimal() and int(period) else None


def _text(path: Path) -> str:
    """What a file of the kernel's says; nothing where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
