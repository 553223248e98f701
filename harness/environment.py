"""What machine and revision this is, and what must agree before two latencies may be compared.

No host name, user name or path is recorded: a stored run can be published as it is.
"""

import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from harness import git
from harness.model import Environment, Revision

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

SOURCE = Path(__file__).parent.parent
"""The folder that the packages lie in: a checkout, or where they were installed."""

LIMIT = 10.0
"""Seconds that a program which is asked something may take."""

COMPARABLE_FIELDS: tuple[str, ...] = (
    "cpu_model",
    "instruction_sets",  # a hypervisor may hide some of the model's
    "cores_physical",
    "cores_logical",
    "affinity",
    "governor",
    "operating_system",  # its name
    "python",  # up to the minor version: an eager call spends its overhead there
    "torch",
    "blas",
    "gpu",
    "driver",
)
"""Fields of `Environment` that must agree before two latencies may be compared.

Left out: `memory_bytes` (a run that fits is no faster with more, and firmware keeps a varying share of it), the
kernel's release (patched so often that no baseline would last), `torch_threads` (every case names its own threads, and
only like cases are matched) and `load_average` (it changes by the minute; interleaving is the answer to it).
"""


def machine() -> Environment:
    """Everything that can be known without torch; takes milliseconds, so it is asked anew for every run."""
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
    )


def usable_cores() -> int:
    """How many logical cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def torch_side() -> dict[str, str | int | float]:
    """The fields of `Environment` that only torch knows. Called in the worker, the one process that imports torch."""
    import torch

    return {
        "torch": str(torch.__version__),  # a TorchVersion is a str that cannot be encoded
        "blas": blas_words(torch.__config__.show(), torch.backends.cpu.get_cpu_capability()),
        "torch_threads": torch.get_num_threads(),
        "gpu": _gpu(),
        "driver": _driver(),
    }


def combine(without_torch: Environment, torch_fields: Mapping[str, object]) -> Environment:
    """One environment from what `machine` and `torch_side` say. Raises msgspec.ValidationError on a wrong type."""
    return msgspec.convert({**msgspec.to_builtins(without_torch), **torch_fields}, Environment)


def revision(directory: Path = SOURCE) -> Revision:
    """The commit that the files in `directory` come from; dirty when they differ from it or some are not in it.

    A folder `results` in it does not count: it holds what was measured, not what ran. Empty where the files come from
    no commit: outside git, without git, or when git does not track them, like an installed copy in a virtual
    environment inside somebody's checkout.
    """
    if not _git(directory, "ls-files", "--", "."):
        return Revision()
    results = ":(exclude)results"
    status = _git(
        directory, "status", "--porcelain=v2", "--branch", "--untracked-files=no", "--", ".", results
    ).splitlines()
    unknown = _git(
        directory, "ls-files", "--others", "--exclude-standard", "--", *git.not_temporary(directory), results
    )
    commits = (re.fullmatch(r"# branch\.oid ([0-9a-f]+)", line) for line in status)
    commit = next((found[1] for found in commits if found), "")
    return Revision(commit, dirty=bool(commit) and (bool(unknown) or any(not line.startswith("#") for line in status)))


def differences(a: Environment, b: Environment) -> tuple[str, ...]:
    """Why latencies of `a` and `b` may not be compared, one `field: this vs that` each; empty when they may be."""
    sides = ((field, _told(field, a, b), _told(field, b, a)) for field in COMPARABLE_FIELDS)
    return tuple(f"{field}: {this} vs {that}" for field, this, that in sides if this != that)


def comparable(environment: Environment) -> tuple[str, ...]:
    """The fields that `differences` compares, as it compares them: equal tuples mean alike machines."""
    return tuple(_told(field, environment, Environment()) for field in COMPARABLE_FIELDS)


def _told(field: str, environment: Environment, other: Environment) -> str:
    """What `differences` compares and prints of one field."""
    match field:
        case "operating_system":
            return environment.operating_system.partition(" ")[0]
        case "python":
            return ".".join(environment.python.split(".")[:2])
        case "instruction_sets":  # the shared ones would hide the one that differs
            shared = set(environment.instruction_sets) & set(other.instruction_sets)
            return " ".join(name for name in environment.instruction_sets if name not in shared) or "none besides"
    return str(getattr(environment, field))


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


def blas_words(build: str, dispatch: str) -> str:
    """The matrix libraries of a torch build in short: `mkl 2024.2, oneDNN 3.12.0, AVX512 kernels`.

    `build` is the text of `torch.__config__.show()`, `dispatch` what `torch.backends.cpu.get_cpu_capability()` says:
    the instruction set that torch's own kernels take, which an environment variable can lower.
    """
    name = re.search(r"BLAS_INFO=(\w+)", build)
    mkl = re.search(r"Math Kernel Library Version ([\d.]+)", build)
    onednn = re.search(r"MKL-DNN v([\d.]+)", build)
    words = [f"{name[1] if name else 'unknown'}{' ' + mkl[1] if mkl else ''}"]
    words += [f"oneDNN {onednn[1]}"] if onednn else []
    return ", ".join([*words, f"{dispatch} kernels"])


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


def _gpu() -> str:
    import torch

    if torch.cuda.is_available():
        return ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
    return "Apple GPU" if torch.backends.mps.is_available() else "none"


def _driver() -> str:
    """Kernel driver and runtime of the GPU, since a kernel is compiled by the one and launched by the other."""
    import torch

    if not torch.cuda.is_available():
        return "none"
    if torch.version.hip:
        return f"ROCm {torch.version.hip}"
    versions = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").split()
    return f"NVIDIA {versions[0] if versions else 'unknown'}, CUDA {torch.version.cuda}"


def _git(directory: Path, *arguments: str) -> str:
    """What git prints; empty as of `_output`."""
    try:
        done = git.start(directory, ("--no-optional-locks", *arguments), limit=LIMIT)
    except (OSError, subprocess.SubprocessError):
        return ""
    return "" if done.returncode else done.stdout


def _output(*command: str) -> str:
    """What `command` prints; empty when it is missing, fails or takes longer than ten seconds."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
