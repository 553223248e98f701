"""How many bytes the processor's caches hold, as the operating system tells."""

import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

PROCESSORS = Path("/sys/devices/system/cpu")
_DATA = ("Data", "Unified")
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


class Caches(NamedTuple):
    """Bytes of the last-level caches, and of the level below them, that a number of threads can fill; 0 if unknown."""

    core: int = 0
    last: int = 0


def caches(threads: int, root: Path = PROCESSORS) -> Caches:
    """The caches within reach of `threads` threads on the cores that this process may use; the best case of placing."""
    if platform.system() == "Darwin":
        return _by_level({(2, "0"): _sysctl("hw.perflevel0.l2cachesize"), (3, "0"): _sysctl("hw.l3cachesize")}, threads)
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return _by_level(_instances(root, usable), threads)


def _instances(root: Path, cores: Iterable[int]) -> dict[tuple[int, str], int]:
    """Bytes of every data cache of these cores, by level and the cores that share it."""
    found: dict[tuple[int, str], int] = {}
    for core in cores:
        for index in (root / f"cpu{core}" / "cache").glob("index*"):
            if _read(index / "type") in _DATA and _read(index / "level").isdecimal():
                shared = _read(index / "shared_cpu_list") or str(core)
                found[int(_read(index / "level")), shared] = _bytes(_read(index / "size"))
    return found


def _by_level(instances: dict[tuple[int, str], int], threads: int) -> Caches:
    """A thread fills one cache of each level at most."""
    sizes: dict[int, list[int]] = {}
    for (level, _), size in instances.items():
        if size:
            sizes.setdefault(level, []).append(size)
    totals = [sum(sorted(sizes[level], reverse=True)[:threads]) for level in sorted(sizes)]
    core, last = [0, 0, *totals][-2:]
    return Caches(core, last)


def _bytes(text: str) -> int:
    """As the kernel writes it: `32768K`; 0 for what it does not know."""
    number, unit = text[:-1], text[-1:]
    return int(number) * _UNITS.get(unit, 0) if number.isdecimal() else 0


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # a sandbox may list a file and not let it be read
        return ""


def _sysctl(name: str) -> int:
    done = subprocess.run(("sysctl", "-n", name), capture_output=True, text=True, check=False)
    return int(done.stdout) if done.stdout.strip().isdecimal() else 0
