"""The files of a checkout that a process has loaded, each with a digest: what was measured, whatever git says."""

import hashlib
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.protocol import Loaded
from harness.start import OWN, within

MAPS = Path("/proc/self/maps")
LIBRARIES = (".so", ".dylib", ".pyd", ".dll")
SHARED = (sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64")
"""Where libraries lie that both sides take from the same file."""
ELF = b"\x7fELF\x02\x01"
"""How a library of 64 bits, lowest byte first, begins."""
ELF_HEADER, LOADED = 64, 1
"""Its bytes; the type of a segment that is put into memory (System V ABI, chapter 5: PT_LOAD)."""
BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0.{20}", re.DOTALL)
"""The note NT_GNU_BUILD_ID: a digest of the file, so of every path in it."""


def loaded(root: str, instead_of: str) -> Loaded:
    """Modules and libraries below `root`, by their paths in it; and those that came from `instead_of` all the same.

    Libraries that were compiled into a cache outside of it, as kernels are at their first use, are told by their names.
    The referee's own packages are none of these: they are the same for both sides.
    """
    libraries = dict.fromkeys(_libraries())
    files = {**dict.fromkeys(_modules()), **libraries}
    own = {str(path) for name in ("harness", "suites") for path in (OWN / name,)}
    ours = {file for file in files if any(file.startswith(folder + "/") for folder in own)}
    mine = {file: Path(file).resolve().relative_to(Path(root).resolve()) for file in files if within(file, root)}
    strays = sorted(file for file in files if file not in ours and file not in mine and within(file, instead_of))
    built = {file: Path(file).name for file in libraries if file not in ours and file not in mine and not _shared(file)}
    digests = {str(name): _digest(file) for file, name in sorted({**built, **mine}.items())}
    return Loaded(digests, tuple(strays))


def _shared(file: str) -> bool:
    return any(Path(file).is_relative_to(folder) for folder in SHARED)


def _modules() -> Iterator[str]:
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str):
            yield file


def _libraries() -> Iterator[str]:
    """What is mapped into this process; nothing where the system does not tell."""
    if not MAPS.exists():
        return
    for line in MAPS.read_text(errors="replace").splitlines():
        path = line.partition("/")[2]
        if path.endswith(LIBRARIES):
            yield f"/{path}"


def _digest(file: str) -> str:
    content = Path(file).read_bytes()
    return hashlib.sha256(_code(content) if content.startswith(ELF) else content).hexdigest()


def _code(library: bytes) -> bytes:
    """What of it is put into memory: the debug information tells where it was built, so no two are the same."""
    (start,), (size, count) = struct.unpack_from("<Q", library, 32), struct.unpack_from("<HH", library, 54)
    parts = []
    for number in range(count):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", library, start + number * size)
        if kind == LOADED:
            parts.append(library[max(offset, ELF_HEADER) : offset + length])
    return BUILD_ID.sub(b"", b"".join(parts))
