"""The files of a checkout that a process has loaded, each with a digest: what was measured, whatever git says."""

import hashlib
import inspect
import re
import struct
import sys
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from importlib.machinery import all_suffixes
from pathlib import Path, PurePosixPath
from types import ModuleType

from harness import HOME
from harness.model.messages import Fingerprint, TakeFingerprint
from harness.user_code.folders import INSTALLED, within
from harness.worker.bootstrap import DECLARATION, MISSED

MAPS = Path("/proc/self/maps")
LIBRARIES = (".so", ".dylib", ".pyd", ".dll")
SHARED = (sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64")
"""Where libraries lie that both sides take from the same file."""
PARTS = (*sys.stdlib_module_names, "torch", "bitlinear")
"""Top-level names of modules that contestants are made with."""
ELF = b"\x7fELF\x02\x01"
"""How a library of 64 bits, lowest byte first, begins."""
ELF_HEADER, LOADED = 64, 1
"""Its bytes; the type of a segment that is put into memory (System V ABI, chapter 5: PT_LOAD)."""
BUILD_ID = re.compile(rb"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0.{20}", re.DOTALL)
"""The note NT_GNU_BUILD_ID: a digest of the file, so of every path in it."""


def loaded(question: TakeFingerprint) -> Fingerprint:
    """Modules and libraries below the root, by their paths in it, and what came from elsewhere all the same.

    Libraries that were compiled into a cache outside of it, as kernels are at their first use, are told by their names.
    The referee's own packages and the declaration of the suites are none of these: they are the same for both sides.
    """
    root, instead_of = question.root, question.instead_of
    modules = {name: file for name, module in list(sys.modules.items()) if (file := _file(module))}
    libraries = dict.fromkeys(_libraries())
    files = {**dict.fromkeys(modules.values()), **libraries}
    own = {str(path) for name in ("harness", "suites") for path in (HOME / name,)}
    ours = {file for file in files if any(file.startswith(folder + "/") for folder in own) or DECLARATION.holds(file)}
    mine = {file: Path(file).resolve().relative_to(Path(root).resolve()) for file in files if within(file, root)}
    strays = sorted(file for file in files if file not in ours and file not in mine and within(file, instead_of))
    built = {file: Path(file).name for file in libraries if file not in ours and file not in mine and not _shared(file)}
    digests = {str(name): _digest(file) for file, name in sorted({**built, **mine}.items())}
    others = {name: file for name, file in modules.items() if file not in mine and file not in ours}
    return Fingerprint(
        digests,
        tuple(strays),
        bool(mine),
        {name: where for name in map(_module_of, question.references) if (where := _elsewhere(name, root))},
        _copies(question, others),
        _absent(root, instead_of),
    )


def _file(module: ModuleType) -> str:
    """Where it lies; empty where it is no file."""
    file = getattr(module, "__file__", None)
    return file if isinstance(file, str) else ""


def _elsewhere(name: str, root: str) -> str:
    """Where a module comes from that is not below the root; empty for one that is, or that was never imported."""
    if name not in sys.modules:
        return ""
    module = sys.modules[name]
    places = [file] if (file := _file(module)) else [*getattr(module, "__path__", ())]  # a folder without a file
    return "" if any(within(place, root) for place in places) else (places[0] if places else "no file")


def _module_of(reference: str) -> str:
    """The module that defines a contestant, or the one it was asked of, if that makes it of other people's parts."""
    name, _, words = reference.partition(":")
    try:
        found = reduce(getattr, words.split("."), sys.modules[name])
        is_defined = inspect.isclass(found) or inspect.isroutine(found)
        if not is_defined or "<locals>" in found.__qualname__:
            return name
        module = str(found.__module__)
    except Exception:  # noqa: BLE001 - it was never imported, or is somebody's object, which may do anything when asked
        return name
    return name if module.partition(".")[0] in PARTS else module


def _copies(question: TakeFingerprint, others: Mapping[str, str]) -> dict[str, str]:
    """The changed files in place of which another was loaded: an installed copy of the same module.

    A file that this side lacks is none: nothing is loaded in its place, and its packages cannot be told.
    """
    copies = {}
    for file in (file for file in question.changed if Path(question.root, file).exists()):
        for name in _names(PurePosixPath(file), Path(question.root)):
            if name in others and name.partition(".")[0] not in sys.stdlib_module_names:
                copies[file] = others[name]
    return copies


def _names(file: PurePosixPath, root: Path) -> Iterator[str]:
    """What a file may be imported as: by the packages that it lies in, or without any by any of its folders."""
    words = file.with_suffix("").parts
    words = words[:-1] if words[-1] == "__init__" else words
    folders = [root / parent for parent in file.parents][:-1]  # the innermost first
    packages = next((n for n, folder in enumerate(folders) if not (folder / "__init__.py").exists()), len(folders))
    if file.name == "__init__.py":
        packages -= 1
    for length in [packages + 1] if packages > 0 else range(1, len(words) + 1):
        yield ".".join(words[len(words) - length :])


def _absent(root: str, instead_of: str) -> tuple[str, ...]:
    """What no finder had, and the repository has: it was made there, and is not part of what was checked out."""
    found = []
    for name, folders in MISSED.names.items():
        if name not in sys.modules:
            inside = (Path(folder).resolve() for folder in folders if within(folder, root))
            last = name.rpartition(".")[2]
            for folder in inside:
                here = folder.relative_to(Path(root).resolve()) / last
                tries = (f"{here}{middle}{end}" for middle in ("", "/__init__") for end in all_suffixes())
                found += [file for file in tries if Path(instead_of, file).is_file() and not Path(root, file).exists()]
    return tuple(dict.fromkeys(found))


def _shared(file: str) -> bool:
    return bool(INSTALLED & set(Path(file).parts)) or any(Path(file).is_relative_to(folder) for folder in SHARED)


def _libraries() -> Iterator[str]:
    """What is mapped into this process; nothing where the system does not tell."""
    if not MAPS.exists():
        return
    for line in MAPS.read_text(errors="replace").splitlines():
        path = line.partition("/")[2]
        if path.endswith(LIBRARIES):
            yield f"/{path}"


def _digest(file: str) -> str:
    state = Path(file).stat()
    return _digest_of(file, state.st_mtime_ns, state.st_size)


@cache
def _digest_of(file: str, *_: int) -> str:
    """Kept for as long as the file is left alone: a library may have hundreds of megabytes."""
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
