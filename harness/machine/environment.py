"""What machine and revision this is, and what must agree before two latencies may be compared.

No host name, user name or path is recorded: a stored run can be published as it is.
"""

import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from harness.machine.identity import identity, labels
from harness.machine.shell import _output
from harness.machine.variables import telling
from harness.model import Environment

INSTRUCTION_SETS: tuple[str, ...] = (
    *("avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("avx_vnni", "avx_vnni_int8", "amx_tile", "amx_int8", "amx_bf16", "amx_fp16"),
    *("neon", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "svei8mm", "svebf16", "sme"),
)
"""Those that decide which matrix kernel runs, as Linux spells them."""

_APPLE_SPELLING = {
    "hw.optional.avx2_0": "avx2",
    "hw.optional.avx512f": "avx512f",
    "hw.optional.avx512vnni": "avx512_vnni",
    "hw.optional.AdvSIMD": "asimd",
    "hw.optional.arm.FEAT_FP16": "asimdhp",
    "hw.optional.arm.FEAT_DotProd": "asimddp",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_SME": "sme",
}


def machine() -> Environment:
    """Everything that can be known without torch; takes milliseconds, so it is asked anew for every run.

    Raises UsageError where BITBENCH_LABELS holds no labels.
    """
    import psutil

    cpu_model, instruction_sets = _processor()
    return Environment(
        cpu_model=cpu_model,
        instruction_sets=instruction_sets,
        cores_physical=psutil.cpu_count(logical=False) or 0,
        cores_logical=psutil.cpu_count() or 0,
        affinity=usable_cores(),
        governor=governor(Path("/sys/devices/system/cpu")),
        memory_bytes=psutil.virtual_memory().total,
        operating_system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        load_average=psutil.getloadavg()[0],
        machine=identity(),
        labels=labels(),
        variables=telling(),
    )


def usable_cores() -> int:
    """How many logical cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def combine(without_torch: Environment, torch_fields: Mapping[str, object]) -> Environment:
    """One environment from what `machine` and `torch_side` say. Raises msgspec.ValidationError on a wrong type."""
    return msgspec.convert({**msgspec.to_builtins(without_torch), **torch_fields}, Environment)


def governor(directory: Path) -> str:
    """The frequency governors in use below `directory` (/sys/devices/system/cpu), most often one."""
    try:
        names = {path.read_text().strip() for path in directory.glob("cpu[0-9]*/cpufreq/scaling_governor")}
    except OSError:  # a sandbox may list the file and not let it be read
        names = set()
    return ", ".join(sorted(names)) or "unknown"


def read_cpuinfo(text: str) -> tuple[str, tuple[str, ...]]:
    """CPU model and instruction sets from Linux's /proc/cpuinfo. ARM kernels give part numbers instead of a name."""
    entries = (line.partition(":") for line in text.splitlines())
    first: dict[str, str] = {}
    for key, _, value in entries:
        first.setdefault(key.strip(), value.strip())
    part = f"implementer {first.get('CPU implementer')} part {first.get('CPU part')}" if "CPU part" in first else ""
    model = first.get("model name") or part or "unknown"
    return model, _known(f"{first.get('flags', '')} {first.get('Features', '')}".split())


def read_sysctl(text: str) -> tuple[str, tuple[str, ...]]:
    """CPU model and instruction sets from the `key: value` lines of macOS's sysctl."""
    entries = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    present = (name for key, name in _APPLE_SPELLING.items() if entries.get(key) == "1")
    return entries.get("machdep.cpu.brand_string", "unknown"), _known(present)


def _known(names: Iterable[str]) -> tuple[str, ...]:
    present = set(names)
    return tuple(name for name in INSTRUCTION_SETS if name in present)


def _processor() -> tuple[str, tuple[str, ...]]:
    """Read here rather than with py-cpuinfo, which takes a fifth of a second."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        return read_cpuinfo(cpuinfo.read_text())
    if platform.system() == "Darwin":
        return read_sysctl(_output("sysctl", "machdep.cpu.brand_string", "hw.optional"))
    return platform.processor() or "unknown", ()


LEAST_MEMORY = 2.0**20
"""Bytes; a worker takes hundreds of times as much."""


def available_memory() -> float:
    """Three quarters of the bytes that programs may take now: what remains keeps the machine alive."""
    import psutil

    return float(psutil.virtual_memory().available * 3 // 4)
