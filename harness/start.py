"""How a worker begins: the referee's own packages are bound first, then the contestants' folders get on the path.

So a folder called `harness` beside a contestant hides nothing (only its own code sees it, by `beside.py`), and two
workers of two revisions differ in nothing but the contestants' code: both are measured by one harness and one
declaration of the suites.
"""

import importlib.machinery
import json
import runpy
import sys
import types
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from pathlib import Path

import msgspec

from harness import beside

OWN = Path(__file__).parent.parent
"""The folder that this package lies in: a checkout, or where it was installed."""
BEGIN = "import sys; sys.path.insert(0, sys.argv.pop(1)); from harness.start import main; main()"
"""What the interpreter is told: nothing is imported from the current folder before this has run."""
INSTALLED = frozenset({"site-packages", "dist-packages"})


class Sources(msgspec.Struct, frozen=True):
    """Where a worker's contestants come from."""

    folders: tuple[str, ...]
    """The first places that are searched for anything but the referee's own packages."""
    instead_of: str = ""
    """A checkout of which nothing else may be imported; its installed packages, in a virtual environment, may."""
    current: str = ""
    """The current folder, which relative paths begin at; by default that of the controller."""


class Own(MetaPathFinder):
    """Finds top-level packages of the referee in its own folder, whatever else is called so."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = frozenset(packages)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The package, if it is the referee's and is there."""
        if path is not None or fullname not in self.packages:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, [str(OWN)], target)


def folders(here: Path) -> tuple[str, ...]:
    """Where packages are searched for that belong to a command given in `here`: in `src` there, then in `here`."""
    return tuple(str(place) for place in (here / "src", here) if place.is_dir())


class Missed(MetaPathFinder):
    """The last to be asked: keeps what nobody has found, by name, with the folders that it was looked for in."""

    def __init__(self) -> None:
        self.names: dict[str, tuple[str, ...]] = {}

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None) -> None:
        """Nothing, ever."""
        self.names[fullname] = tuple(sys.path if path is None else path)


MISSED = Missed()


def within(path: str, folder: str) -> bool:
    """Whether `path` belongs to the checkout in `folder`, and not to a virtual environment in it."""
    if not folder or not Path(path).is_absolute():
        return False
    resolved = _resolved(path)
    return resolved.is_relative_to(_resolved(folder)) and not INSTALLED & set(resolved.parts)


@cache
def _resolved(path: str) -> Path:
    """Thousands of modules are asked for again whenever a worker has built a contestant."""
    return Path(path).resolve()


def _is_of(sources: Sources, file: str) -> bool:
    """Whether a file lies in the folders of the contestants, and is none of the referee's own there."""
    is_own = any(Path(file).is_relative_to(OWN / name) for name in beside.MARKS)
    return not is_own and any(within(file, folder) for folder in sources.folders)


def main() -> None:
    """`SOURCES PROGRAM SUITES_MODULE ...`: run PROGRAM as if it were called by its name."""
    sys.path.pop(0)
    sources = msgspec.convert(json.loads(sys.argv[1]), Sources)
    program, module = sys.argv[2:4]
    places = beside.clashes(sources.folders)
    sys.meta_path.insert(0, Own(("harness", module.partition(".")[0], *places)))
    beside.install(places, lambda file: _is_of(sources, file))
    sys.meta_path.append(MISSED)
    sys.path[:] = [*sources.folders, *(place for place in sys.path if not within(place, sources.instead_of))]
    sys.argv[1:] = sys.argv[3:]
    runpy.run_module(program, run_name="__main__", alter_sys=True)
