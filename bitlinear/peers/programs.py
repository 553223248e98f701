"""Programs that peers call, such as compilers: found, beside a Python that is not activated too, or named."""

import os
import shutil
import sys
import sysconfig

INDUCTORS_COMPILER = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
"""That of torch.compile, unless CXX names another."""
EXTENSIONS_COMPILER = "cl" if sys.platform == "win32" else "c++"
"""That of `torch.utils.cpp_extension`, likewise."""


def own_programs() -> str:
    """The folder in which pip puts the programs of this Python's packages."""
    return sysconfig.get_path("scripts")


def with_own_programs() -> str:
    """PATH with that folder behind all others, so that it hides nothing."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folders if own_programs() in folders else [*folders, own_programs()])


def offer_own_programs() -> None:
    """Has libraries that look along PATH find what was installed with them, for the rest of the process."""
    os.environ["PATH"] = with_own_programs()


def why_no_compiler(name: str, default: str) -> str | None:
    """A sentence with the cure where `name` would find no C++ compiler: the one that CXX names, or the default."""
    compiler = os.environ.get("CXX") or default
    if shutil.which(compiler, path=with_own_programs()):
        return None
    return (
        f"{name} compiles in its first call and finds no C++ compiler {compiler!r}; install it, or set CXX to another"
    )


def why_no_ninja(name: str) -> str | None:
    """The same of ninja, by which torch builds extensions."""
    if shutil.which("ninja", path=with_own_programs()):
        return None
    return f"{name} compiles in its first call and finds no ninja: pip install ninja"
