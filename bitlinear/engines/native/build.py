"""Compiles the C sources of this folder, once for each machine, compiler and version of the sources."""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TypeAlias

SOURCES = Path(__file__).parent
FLAGS = ("-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-falign-functions=64")
"""No contraction: a product that is added to without having been rounded gives other codes than the contract. Functions
begin with a cache line, or a change of one would move the loops of the others, and so what they take."""
_Sources: TypeAlias = dict[str, tuple[str, ...]]
_X86: _Sources = {
    "amx.c": (),
    "avx512.c": ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni"),
    "avx2.c": ("-mavx2", "-mfma"),
}
_ARM: _Sources = {"neon.c": ("-march=armv8.2-a+dotprod",)}
_PATHS = {"x86_64": _X86, "AMD64": _X86, "aarch64": _ARM, "arm64": _ARM}
_ALWAYS: _Sources = {"integers.c": (), "linear.c": (), "paths.c": (), "plain.c": (), "weight_only.c": ()}


class BuildError(RuntimeError):
    """The sources could not be compiled; the message says why and what to do."""


@cache
def library_file() -> Path:
    """The compiled library in the user's cache, made if it is not there.

    `CC` names another compiler, and `BITLINEAR_NATIVE_CFLAGS` adds flags, such as those of a sanitizer. The file's name
    tells source, compiler, flags and processor apart, and it is complete or absent: it is compiled elsewhere and moved.

    Raises BuildError where there is no compiler, or where it fails.
    """
    compiler = compiler_command()
    sources = sources_for(platform.machine())
    extra = (*FLAGS, *shlex.split(os.environ.get("BITLINEAR_NATIVE_CFLAGS", "")))
    target = _cache() / f"native-{_key(compiler, sources, extra)}.so"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            _compile(compiler, sources, extra, Path(folder)).replace(target)
    return target


def sources_for(machine: str) -> _Sources:
    """The files to compile for a kind of processor, as `platform.machine` calls it, and the flags of each."""
    return {**_ALWAYS, **_PATHS.get(machine, {})}


def compiler_command() -> list[str]:
    """The system's C compiler and its first arguments. Raises BuildError where there is none."""
    named = shlex.split(os.environ.get("CC", ""))
    for command in [named] if named else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(command[0]):
            return command
    raise BuildError(
        f"no C compiler {named[0] if named else 'cc, gcc or clang'!r} was found; "
        f"install one (Debian: apt install gcc; macOS: xcode-select --install) or set CC"
    )


def _compile(compiler: list[str], sources: _Sources, extra: tuple[str, ...], folder: Path) -> Path:
    objects = []
    for name, flags in sources.items():
        objects.append(str(folder / f"{name}.o"))
        _run([*compiler, *extra, *flags, "-c", str(SOURCES / name), "-o", objects[-1]])
    library = folder / "native.so"
    _run([*compiler, *extra, "-shared", *objects, "-lm", "-o", str(library)])
    return library


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
        raise BuildError(f"{command[0]} could not compile the native kernels: {first}; try another compiler with CC=")


def _key(compiler: list[str], sources: _Sources, extra: tuple[str, ...]) -> str:
    version = subprocess.run([*compiler, "--version"], capture_output=True, text=True, check=False).stdout
    digest = hashlib.sha256(repr((compiler, version, sorted(sources.items()), extra, platform.machine())).encode())
    for file in sorted(SOURCES.glob("*.[chi]*")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _cache() -> Path:
    """A folder of the user's that outlives the process or, where there can be none, one that does not."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "bitlinear-bench" / "native"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written to: the process compiles for itself
        return _own_folder()
    return folder if os.access(folder, os.W_OK | os.X_OK) else _own_folder()


@cache
def _own_folder() -> Path:
    folder = tempfile.mkdtemp(prefix="bitlinear-native-")
    return Path(folder)
